"""Extension of griffe: docstrings name arguments in plain sentences, `name: what it is.`; the site lists them.

A paragraph such as `size: bytes of the file. start, end: seconds.` becomes two items. Other text stays as it is.
"""

import re
from typing import Any

from griffe import Extension, Function

_NAMES = re.compile(r"(?:^|(?<=\. ))((?:\w+)(?:, \w+)*): ")


def listed(paragraph: str, arguments: set[str]) -> str:
    """The paragraph with a list item for each argument it explains, if it explains any."""
    text = " ".join(paragraph.split())
    starts = [match for match in _NAMES.finditer(text) if set(match[1].split(", ")) <= arguments]
    if not starts:
        return paragraph
    parts = [text[: starts[0].start()].strip()]
    for match, end in zip(starts, [*(start.start() for start in starts[1:]), len(text)], strict=True):
        names = ", ".join(f"`{name}`" for name in match[1].split(", "))
        parts.append(f"- {names}: {text[match.end() : end].strip()}")
    return "\n".join(["\n\n".join(parts[:1]), "", *parts[1:]]).strip()


class Docstrings(Extension):
    """Rewrites the docstring of every function."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        if func.docstring:
            arguments = {parameter.name for parameter in func.parameters}
            paragraphs = func.docstring.value.split("\n\n")
            func.docstring.value = "\n\n".join(listed(part, arguments) for part in paragraphs)
