"""A rule file as a test has it open, with places told by a mark."""

from __future__ import annotations

from pathlib import Path

from llamasim.editor import Document, complete, open_document

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "rules").rglob("*.rules"))
#: A module that no shipped one is called, beside them.
HERE = ROOT / "rules" / "quantization" / "mine.rules"
MARK = "|"

HEAD = """edition 2026
module quantization.mine
import parallelism.tensor as par

source book = "a book"
"""


def opened(text: str, path: Path = HERE) -> Document:
    """Open a text."""
    return open_document(text, path)


def marked(text: str, path: Path = HERE) -> tuple[Document, int, int]:
    """Open a text without its one mark, and return where the mark stood, from 1."""
    before, after = text.split(MARK)
    line = before.count("\n") + 1
    return opened(before + after, path), line, len(before) - before.rfind("\n")


def place(text: str, words: str, nth: int = 1) -> tuple[int, int]:
    """Return line and column, from 1, of the nth occurrence of some words."""
    at = -1
    for _ in range(nth):
        at = text.index(words, at + 1)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def within(body: str) -> tuple[Document, int, int]:
    """Open a file whose one technique has a body with a mark."""
    return marked(f"{HEAD}technique mine {{\n{body}\n}}\n")


def offered(text: str) -> list[str]:
    """Return what can be written at the mark of a whole file, best first."""
    return [i.label for i in complete(*marked(text)).items]


def offered_within(body: str) -> list[str]:
    """Return what can be written at the mark of a technique's body."""
    return [i.label for i in complete(*within(body)).items]
