"""Hook of MkDocs: pages may link to files beside docs/, as `../THIRD_PARTY.md`; the site takes these along.

So one and the same link works in the site, in an editor and on a code host.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<=\]\()\.\./(?!\.\.)([^)#\s]+)")
_TAKEN = "beside/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages link to outside of docs/."""
    root = Path(config.config_file_path).parent
    pages = [file.content_string for file in files.documentation_pages()]
    for path in {path for page in pages for path in _LINK.findall(page)}:
        source = root / path
        if source.is_file():  # a link that leads nowhere stays as it is, and the strict build names it
            added = File.generated(
                config, _TAKEN + path, abs_src_path=str(source), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let the links to what was taken along point there."""
    if page.file.src_uri.startswith(_TAKEN):
        return markdown
    up = "../" * page.file.src_uri.count("/")

    def moved(match: re.Match[str]) -> str:
        uri = _TAKEN + posixpath.normpath(match[1])
        return up + uri if files.get_file_from_path(uri) else match[0]

    return _LINK.sub(moved, markdown)
