"""What the documents tell a reader to type: code blocks, and the commands in them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "README.zh.md", *(ROOT / "docs").glob("*.md")])
SHELLS = ("", "bash", "sh", "console")

_FENCE = re.compile(r" *```([\w-]*)")
_INLINE = re.compile(r"(?<!`)`(vivae [^`]+)`(?!`)")
_STARTS = re.compile(
    r"(?:\$ )?(?:\.venv/bin/)?(?=vivae )|(?:\$ )?(?:python|torchrun( --\S+ \S+)*) -m (?=vivae )"
)


@dataclass(frozen=True)
class Block:
    """A code block. language: of its fence, empty for an indented block."""

    page: Path
    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One call of vivae: the words behind `vivae`. whole: from a code block, not mentioned in a sentence."""

    page: Path
    line: int
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: vivae {shlex.join(self.words)}"


def blocks(page: Path) -> list[Block]:
    """All code blocks of a page: fenced ones, and paragraphs indented by four spaces."""
    found: list[Block] = []
    language: str | None = None
    begin, lines, before = 0, [], ""
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), ""], 1):
        fence = _FENCE.match(line)
        if language:  # inside a fence
            if fence:
                found.append(Block(page, begin, language, "\n".join(lines)))
                language, lines = None, []
            else:
                lines.append(line)
        elif fence:
            language, begin = fence[1] or "text", number + 1
        elif line.startswith("    ") and (lines or not before.strip()):
            begin = begin if lines else number
            lines.append(line[4:])
        elif lines:
            found.append(Block(page, begin, "", "\n".join(lines)))
            lines = []
        before = line
    assert language is None, f"{page.name}: the code block at line {begin} has no end"
    return found


def commands(page: Path) -> list[Command]:
    """The calls of vivae in the page's shell blocks, in their order."""
    found = []
    for block in blocks(page):
        if block.language in SHELLS:
            text = block.text.replace("\\\n", " \n")
            for offset, line in enumerate(text.split("\n")):
                for part in re.split(r" ; | && ", line.strip()):
                    if start := _STARTS.match(part):
                        words = shlex.split(part[start.end() :], comments=True)[1:]
                        found.append(Command(page, block.line + offset, tuple(words), True))
    return found


def mentions(page: Path) -> list[Command]:
    """Calls of vivae that sentences speak of, some of them without their files: `vivae bench vae --part memory`."""
    return [
        Command(page, number, tuple(shlex.split(text, comments=True)[1:]), False)
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if not line.startswith("    ")
        for text in _INLINE.findall(line)
    ]
