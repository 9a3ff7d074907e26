"""Diagnostics as text for people and as plain data for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from llamasim.diagnostics.model import Diagnostic, Label, Source, Span
from llamasim.diagnostics.snippet import Paint, snippet

WIDTH = 100


def render(diags: Iterable[Diagnostic], color: bool = False) -> str:
    """Return diagnostics as text of at most about 100 columns; drawn in ASCII.

    A text may hold any characters a user's file holds; those that cannot be printed show as `?`.
    """
    paint = Paint(color)
    return "\n\n".join("\n".join(_one(d, paint)) for d in diags)


def _one(diagnostic: Diagnostic, paint: Paint) -> list[str]:
    head = paint(diagnostic.severity, f"{diagnostic.severity}[{diagnostic.code}]")
    message = textwrap.wrap(
        printable(diagnostic.message), WIDTH - 2, break_long_words=False, break_on_hyphens=False,
        initial_indent=" " * (len(diagnostic.severity) + len(diagnostic.code) + 4),
        subsequent_indent="  ",
    )
    first = message[0].lstrip() if message else ""
    lines = [f"{head}: {paint('bold', first)}", *(paint("bold", m) for m in message[1:])]
    numbers = [label.span.line for label in diagnostic.labels]
    gutter = len(str(max(numbers, default=1)))
    for position, (source, labels) in enumerate(_by_source(diagnostic.labels)):
        lines += snippet(source, labels, diagnostic.severity, gutter, position == 0, paint)
    bar = paint("frame", " " * gutter + " |")
    if diagnostic.labels:
        lines.append(bar)
    lines += _block("why:  ", diagnostic.why, paint)
    for way in diagnostic.help:
        first, *rest = printable(way, keep_lines=True).split("\n")
        lines += _block("help: ", first, paint)
        lines += [f"{bar}     {r}" for r in rest]
    while lines and lines[-1] == bar:
        lines.pop()
    return lines


def _block(title: str, text: str, paint: Paint) -> list[str]:
    if not text:
        return []
    lines: list[str] = []
    for part in printable(text, keep_lines=True).split("\n"):
        indent = title if not lines else "      "
        lines += textwrap.wrap(
            part, WIDTH, initial_indent=indent, subsequent_indent="      ",
            break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
        ) or [indent.rstrip()]
    lines[0] = paint("bold", title.rstrip()) + lines[0][len(title.rstrip()) :]
    return lines


def _by_source(labels: Sequence[Label]) -> list[tuple[Source, list[Label]]]:
    """Group labels by file, the primary label's file first."""
    ordered = sorted(labels, key=lambda label: not label.primary)
    groups: dict[int, tuple[Source, list[Label]]] = {}
    for label in ordered:
        source = label.span.source
        groups.setdefault(id(source), (source, []))[1].append(label)
    return list(groups.values())


def printable(text: str, keep_lines: bool = False) -> str:
    """Return a text without characters that would disturb a terminal."""
    return "".join(
        c if c.isprintable() or (keep_lines and c == "\n") else " " if c in "\t\n" else "?"
        for c in text
    )


def to_json(diags: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return diagnostics as plain data: the same fields as the text form shows."""
    return [
        {
            "code": d.code,
            "severity": d.severity,
            "message": d.message,
            "labels": [_label(label) for label in d.labels],
            "why": d.why,
            "help": list(d.help),
        }
        for d in diags
    ]


def _label(label: Label) -> dict[str, Any]:
    return {**_place(label.span), "text": label.text, "primary": label.primary}


def _place(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }
