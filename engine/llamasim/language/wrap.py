"""Breaks a statement that is too long for a line, where a reader would."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

#: Columns that a line may have, and by how much its continuations are indented.
WIDTH = 100
HANG = "    "

_TOKEN = re.compile(r'"[^"]*"|\.\.|[\w.*%]+|[^\w\s"]| ')
_CLAUSES = ("else", "because", "for", "when", "from", "note", "except", "tokens", "during", "where",
            "within", "then")
#: Words before which a break tears something apart: the more, the worse.
_OPERATORS = {"or": 3, "and": 4, "==": 6, "!=": 6, "<": 6, ">": 6, "<=": 6, ">=": 6, "divides": 6,
              "+": 7, "-": 7, "*": 9, "/": 9, "^": 11}
_COMMA, _DEEPER = 2, 3


@attrs.frozen
class _Break:
    """A blank at which a line may end: `at` is its place, `cost` how much it tears apart."""

    at: int
    cost: int


def wrapped(text: str, indent: str, hang: str = HANG) -> list[str]:
    """Return a statement's text as lines with an indent; continuations hang further in.

    Every break stands at a blank outside of texts in quotes. What cannot be broken stays long.
    """
    lines: list[str] = []
    lead = indent
    while len(lead) + len(text) > WIDTH:
        cut = _best(text, WIDTH - len(lead))
        if cut is None:
            break
        lines.append(lead + text[:cut])
        text, lead = text[cut + 1 :], indent + hang
    return [*lines, lead + text]


def _best(text: str, room: int) -> int | None:
    """Return the cheapest break within reach, the last of equal ones; else the first beyond."""
    within = [b for b in _breaks(text) if b.at <= room]
    if within:
        least = min(b.cost for b in within)
        return max(b.at for b in within if b.cost == least)
    return next((b.at for b in _breaks(text)), None)


def _breaks(text: str) -> Iterator[_Break]:
    depth, before = 0, ""
    tokens = list(_TOKEN.finditer(text))
    for position, token in enumerate(tokens):
        word = token.group()
        if word in "({":
            depth += 1
        elif word in ")}":
            depth -= 1
        elif word == " " and position:
            cost = _cost(before, tokens[position + 1].group() if position + 1 < len(tokens) else "")
            if cost is not None:
                yield _Break(token.start(), cost + _DEEPER * depth)
        if word != " ":
            before = word


def _cost(before: str, after: str) -> int | None:
    if before == ",":
        return _COMMA
    if after in _CLAUSES:
        return 0
    # A sign that follows an operator or a bracket belongs to its number.
    if after in _OPERATORS and before not in _OPERATORS and before not in "({=:":
        return _OPERATORS[after]
    return None
