"""What can be written at a place of a rule file."""

from __future__ import annotations

import re

import attrs

from llamasim.diagnostics import Source, Span
from llamasim.editor import grammar, offers
from llamasim.editor.document import Document
from llamasim.editor.offers import Completion, Spot
from llamasim.editor.roles import role_of
from llamasim.editor.words import Point, read_point
from llamasim.language.keywords import KEYWORDS, STATEMENTS

__all__ = ["Completion", "Completions", "complete"]

#: The name or pattern that is being written; numbers are not completed.
_WRITTEN = re.compile(r"[A-Za-z_*][\w.*]*\Z")
_OPENINGS = frozenset(KEYWORDS[w] for w in STATEMENTS)
_NAMES = frozenset(("NAME", "GLOB"))


@attrs.frozen
class Completions:
    """What can stand in the place of the word that is being written."""

    span: Span
    items: tuple[Completion, ...]


def complete(document: Document, line: int, column: int) -> Completions:
    """Return what can be written at a place (line and column from 1), best first.

    The list is not narrowed to what was already written of the word; editors do that.
    """
    offset = document.offset(line, column)
    text = document.source.text[:offset]
    written = _WRITTEN.search(text)
    start = written.start() if written else offset
    span = document.span(start, offset)
    before = Source(document.source.name, text[:start])
    at_line_start = not text[text.rfind("\n") + 1 : start].strip()
    point = read_point(before)
    if point is None or (start == offset and text[-1:].isdigit()):
        return Completions(span, ())
    items = _items(document, point, start, text[start:])
    if at_line_start and not point.accepted & _OPENINGS:
        fresh = read_point(before, fresh=True)
        items += _keywords(fresh) if fresh else []
    found: dict[str, Completion] = {}
    for item in sorted(items, key=lambda i: i.order):
        found.setdefault(item.label, item)
    return Completions(span, tuple(found.values()))


def _items(document: Document, point: Point, start: int, written: str) -> list[Completion]:
    items = _keywords(point)
    for kind in sorted(point.accepted & _NAMES):
        chain = point.chain(kind)
        items += offers.offer(role_of(chain), Spot(document, chain, start, written))
    return items


def _keywords(point: Point) -> list[Completion]:
    found = []
    for word, kind in KEYWORDS.items():
        if kind in point.accepted:
            chain = point.chain(kind)
            form = grammar.form(chain, word)
            order = 0 if kind in _OPENINGS and not point.accepted & _NAMES else offers.LAST
            found.append(Completion(word, "keyword", form, grammar.meaning(chain, word), order))
    return found
