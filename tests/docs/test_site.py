"""The site holds every page, builds without a warning, and asks no other server for anything."""

import os
import re
import subprocess
import sys

import pytest
import yaml

import vivae
from tests.docs.reading import ROOT

DOCS = ROOT / "docs"
_FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)"
)


def nav_pages(entries):
    """The files that a `nav` names, at any depth."""
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            if isinstance(value, list):
                yield from nav_pages(value)
            else:
                yield value


@pytest.fixture(scope="module")
def nav():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return list(nav_pages(yaml.safe_load(text)["nav"]))


def test_every_page_is_in_the_navigation_once(nav):
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert set(nav) == pages, "mkdocs.yml: `nav` needs one line for each page of docs/"
    assert len(nav) == len(set(nav))


def test_every_benchmark_is_on_the_page_of_benchmarks():
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    missing = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "benchmarks").rglob("results.md")
        if f"../{path.relative_to(ROOT).as_posix()}" not in page
    ]
    assert not missing, f"docs/benchmarks.md: a line is missing for {missing}"


def test_every_public_function_is_in_the_reference():
    page = (DOCS / "api.md").read_text(encoding="utf-8")
    shown = {line.split(".")[-1] for line in page.splitlines() if line.startswith("::: vivae.")}
    missing = set(vivae.__all__) - shown - {"VivaeError"}  # the page shows all of vivae.errors
    assert not missing, f"docs/api.md: ::: vivae.NAME is missing for {sorted(missing)}"


def test_no_page_has_a_gap_that_was_to_be_filled():
    gap = re.compile(r"\b(?:TODO|TBD|FIXME|FIGURES|TABLE_[A-Z]+|[A-Z]+TABLE)\b|^[A-Z_]{5,}$")
    found = [
        f"{path.name}:{number}"
        for path in DOCS.glob("*.md")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if gap.search(line)
    ]
    assert not found


def test_the_site_builds_strictly_and_stands_alone(tmp_path):
    pytest.importorskip("material", reason="the site needs the extra 'docs'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md")))
    for page in pages:
        assert not _FETCHED.findall(page.read_text(encoding="utf-8")), page.name
    reference = (tmp_path / "api.html").read_text(encoding="utf-8")
    assert "doc-function" in reference
    assert "<li><code>target_vmaf</code>: " in reference  # arguments are listed
