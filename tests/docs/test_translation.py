"""The Chinese README says what the English one says: the same commands, code, headings, tables, links and figures."""

import re

import pytest

from tests.docs.reading import ROOT, blocks

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
_COMMENT = re.compile(r"\s+#.*$", re.M)
_TARGET = re.compile(r"\]\(([^)]+)\)")


def code(page):
    """The code blocks without their comments, which are translated."""
    return [(block.language, _COMMENT.sub("", block.text)) for block in blocks(page)]


def prose(page):
    """The lines outside of code blocks."""
    lines, fenced = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and not line.startswith("    "):
            lines.append(line)
    return lines


def headings(page):
    return [line.split()[0] for line in prose(page) if line.startswith("#")]


def tables(page):
    """Rows of tables as their number of cells."""
    return [line.count("|") for line in prose(page) if line.startswith("|")]


def links(page):
    """Where the page leads; the two READMEs lead to each other."""
    targets = _TARGET.findall("\n".join(prose(page)))
    return sorted(target for target in targets if not target.startswith("README"))


def figures(page):
    """All numbers that a reader may compare, in tables."""
    rows = [line for line in prose(page) if line.startswith("|")]
    return [re.findall(r"\d+(?:[.x]\d+)*", row) for row in rows]


@pytest.mark.parametrize("part", [code, headings, tables, links, figures], ids=lambda part: part.__name__)
def test_both_readmes_agree(part):
    assert part(CHINESE) == part(ENGLISH)


def test_it_is_chinese():
    text = "\n".join(prose(CHINESE))
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) > len(re.findall(r"[A-Za-z]+", text))
