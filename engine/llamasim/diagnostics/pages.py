"""The long page of each code: what it means, an example that gives it, how to mend it.

Pages are kept as Markdown beside this file, one file a family of codes. Their examples are run by
the tests: a fence is a file (`rules bits.rules`, `yaml mine.yaml`, `text NAME`) or commands (`sh`;
without one, `llamasim check` of the files), and a `diff` is what mends them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import attrs

FOLDER = Path(__file__).parent / "pages"
WIDTH = 100
_HEADING = re.compile(r"^## ([EW]\d{4}): (.+)$", re.MULTILINE)
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)
#: Families of codes: the first three characters, the file, and what they are about.
FAMILIES: Mapping[str, tuple[str, str]] = {
    "E01": ("syntax", "Reading a rule file"),
    "E02": ("types", "Names, types and units of rules"),
    "E03": ("merge", "Techniques that contradict each other"),
    "E04": ("use", "Techniques on this model and these machines"),
    "E05": ("scenario", "Scenarios"),
    "E06": ("catalog", "The catalog and imports"),
    "E07": ("commands", "Commands, files and results"),
    "W": ("warnings", "Warnings"),
}


@attrs.frozen
class Example:
    """A fenced block of a page: what it is (`rules bits.rules`, `sh`, `diff`) and its text."""

    info: str
    text: str


@attrs.frozen
class Page:
    """One code's page: its title, its text as Markdown, and the examples in it."""

    code: str
    title: str
    markdown: str
    examples: tuple[Example, ...]

    @property
    def text(self) -> str:
        """The page as a terminal shows it."""
        return "\n".join([f"{self.code}: {self.title}", "", *_lines(self.markdown)]).rstrip()


@cache
def pages() -> Mapping[str, Page]:
    """Return every page by its code, in the order of codes."""
    found = [p for path in sorted(FOLDER.glob("*.md")) for p in _read(path)]
    return {p.code: p for p in sorted(found, key=lambda p: p.code)}


def _read(path: Path) -> list[Page]:
    text = path.read_text(encoding="utf-8")
    heads = list(_HEADING.finditer(text))
    ends = [*(h.start() for h in heads[1:]), len(text)]
    return [
        Page(head[1], head[2], body := text[head.end() : end].strip() + "\n",
             tuple(Example(m[1].strip(), m[2]) for m in _FENCE.finditer(body)))
        for head, end in zip(heads, ends, strict=True)
    ]


def _lines(markdown: str) -> list[str]:
    """Return Markdown as lines: paragraphs wrapped, fenced blocks indented under their names."""
    lines: list[str] = []
    at = 0
    for match in _FENCE.finditer(markdown):
        lines += _paragraphs(markdown[at : match.start()])
        _, _, name = match[1].partition(" ")
        lines += [f"  {name}:"] if name else []
        lines += [f"    {line}".rstrip() for line in match[2].splitlines()]
        lines.append("")
        at = match.end()
    return lines + _paragraphs(markdown[at:])


def _paragraphs(text: str) -> list[str]:
    lines: list[str] = []
    for part in text.strip().split("\n\n"):
        if part.strip():
            lines += [*textwrap.wrap(" ".join(part.split()), WIDTH, break_on_hyphens=False), ""]
    return lines
