"""Fenced blocks of the documentation: files to write, commands to run, output to compare."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/tour.md", "docs/techniques.md", "docs/language.md", "docs/reference.md",
         "docs/physics.md", "docs/editors.md", "docs/serving.md", "docs/serving-techniques.md")
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(llamasim [^`]+)`")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@attrs.frozen
class Fence:
    """One fenced block: its info string, its text, and the line it begins at."""

    info: str
    text: str
    line: int


def fences(page: str) -> list[Fence]:
    """Return the fenced blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Fence(m[1].strip(), m[2], text.count("\n", 0, m.start()) + 1)
        for m in _FENCE.finditer(text)
    ]


def commands(fence: Fence) -> Iterator[list[str]]:
    """Yield the arguments of each `llamasim` command of a block."""
    for line in fence.text.splitlines():
        words = shlex.split(line, comments=True)
        if words and words[0] == "llamasim":
            yield words[1:]


def module_of(fence: Fence) -> str:
    """Return the module that a block of rules declares."""
    return fence.text.partition("\nmodule ")[2].split()[0]


def inline_commands(page: str) -> list[list[str]]:
    """Return the commands that a page names between backticks, without their placeholders."""
    text = _FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    return [shlex.split(m)[1:] for m in dict.fromkeys(_INLINE.findall(text))]


def missing(expected: str, printed: str, tolerance: float) -> list[str]:
    """Return the lines of an expected output that do not occur in what was printed, in order.

    Words must be equal, bars and spacing aside; numbers may differ by `tolerance`; a line of
    `...` stands for any lines.
    """
    rest = iter(printed.splitlines())
    return [
        line for line in expected.splitlines()
        if line.strip() not in ("", "...")
        and not any(_alike(line, other, tolerance) for other in rest)
    ]


def _alike(line: str, other: str, tolerance: float) -> bool:
    if _words(line) != _words(other):
        return False
    pairs = zip(_numbers(line), _numbers(other), strict=True)
    return all(abs(a - b) <= tolerance * max(abs(a), abs(b)) for a, b in pairs)


def _words(line: str) -> list[str]:
    return _NUMBER.sub("0", line).replace("#", "").split()


def _numbers(line: str) -> list[float]:
    return [float(n.replace(",", "")) for n in _NUMBER.findall(line)]
