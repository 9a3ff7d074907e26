"""The lines of a source with its labels drawn under them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import attrs

from llamasim.diagnostics.model import Label, Source

WIDTH = 100
_NARROWEST = 36
_TAB = 4
_CUT = "..."
#: Lines longer than this are cut before they are drawn.
_LONG = 2000
_COLORS: Mapping[str, str] = {
    "error": "1;31", "warning": "1;33", "hint": "1;36", "frame": "1;34", "bold": "1",
}


@attrs.frozen
class Paint:
    """Wraps text in terminal colours, or leaves it plain."""

    on: bool

    def __call__(self, kind: str, text: str) -> str:
        """Return a text in the colour of a kind."""
        return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if self.on and text else text


@attrs.frozen
class _Mark:
    """A label on one drawn line: columns from 0, the end exclusive."""

    start: int
    end: int
    text: str
    kind: str


@attrs.frozen
class _Line:
    """A source line as it is drawn: tabs expanded, cut to the width.

    Attributes:
        columns: where the source columns from `first` on are drawn.

    """

    text: str
    columns: tuple[int, ...]
    first: int = 0

    def at(self, column: int) -> int:
        """Return where a source column (from 0) is drawn."""
        return self.columns[max(0, min(column - self.first, len(self.columns) - 1))]


def snippet(
    source: Source,
    labels: Sequence[Label],
    severity: str,
    gutter: int,
    first: bool,
    paint: Paint,
) -> list[str]:
    """Draw one file's labels; `gutter` is the width of line numbers."""
    arrow = "-->" if first else ":::"
    at = labels[0].span
    place = f"{source.name}:{at.line}:{at.column}"
    lines = [paint("frame", " " * gutter + arrow) + f" {place}"]
    if not source.text:
        return lines
    lines.append(paint("frame", " " * gutter + " |"))
    by_line: dict[int, list[Label]] = {}
    for label in labels:
        by_line.setdefault(label.span.line, []).append(label)
    for number in sorted(by_line):
        room = WIDTH - gutter - 3
        drawn = _draw(source.line(number), by_line[number], room)
        marks = [_mark(drawn, label, severity) for label in by_line[number]]
        lines.append(f"{paint('frame', f'{number:>{gutter}} |')} {drawn.text}".rstrip())
        bar = paint("frame", " " * gutter + " |")
        lines += [f"{bar} {row}".rstrip() for row in _under(marks, room, paint)]
    return lines


def _draw(line: str, labels: Sequence[Label], room: int) -> _Line:
    if len(line) > _LONG:
        return _part(line, labels, room)
    text, columns = "", []
    for char in line:
        columns.append(len(text))
        text += " " * (_TAB - len(text) % _TAB) if char == "\t" else _shown(char)
    columns.append(len(text))
    if len(text) <= room:
        return _Line(text, tuple(columns))
    starts = [columns[min(label.span.column - 1, len(line))] for label in labels]
    ends = [columns[min(_end(label, line), len(line))] for label in labels]
    low = 0
    if max(ends) > room - len(_CUT):
        low = max(0, min(min(starts) - 12, max(ends) + 12 - room))
        low = max(low, 0)
    return _window(text, columns, low, room)


def _part(line: str, labels: Sequence[Label], room: int) -> _Line:
    """Draw a line that is far longer than the screen: only what lies round its first label."""
    first = max(0, min(label.span.column - 1 for label in labels) - 12)
    part = line[first : first + room]
    drawn = "".join(" " if c == "\t" else _shown(c) for c in part)
    return _window(_CUT * (first > 0) + drawn + _CUT,
                   [len(_CUT) * (first > 0) + k for k in range(len(part) + 1)], 0, room, first)


def _shown(char: str) -> str:
    return char if char.isprintable() else "?"


def _window(text: str, columns: list[int], low: int, room: int, first: int = 0) -> _Line:
    head = _CUT if low else ""
    keep = room - len(head) - len(_CUT)
    high = min(len(text), low + keep)
    tail = _CUT if high < len(text) else ""
    moved = tuple(len(head) + max(0, min(c, high) - low) for c in columns)
    return _Line(head + text[low:high] + tail, moved, first)


def _end(label: Label, line: str) -> int:
    """Return where a label ends on its first line, from 0."""
    span = label.span
    if span.end_line == span.line:
        return span.end_column - 1
    return len(line.rstrip())


def _mark(drawn: _Line, label: Label, severity: str) -> _Mark:
    # The drawn columns already hold one entry for each character of the line, and one more.
    last = drawn.first + len(drawn.columns) - 1
    start = drawn.at(label.span.column - 1)
    span = label.span
    end = drawn.at(span.end_column - 1 if span.end_line == span.line else last)
    kind = severity if label.primary else "frame"
    text = " ".join("".join(_shown(c) for c in label.text.replace("\n", " ")).split())
    return _Mark(start, max(end, start + 1), text, kind)


def _under(marks: list[_Mark], room: int, paint: Paint) -> list[str]:
    """Return the rows under a line: the marks, then texts that found no room beside them."""
    marks = sorted(marks, key=lambda m: (m.start, m.end))
    row, width = _marker_row(marks, paint)
    rightmost = marks[-1]
    texts = [m for m in marks if m.text]
    beside = bool(texts) and texts[-1] is rightmost and width + 1 + len(rightmost.text) <= room
    if beside and all(m.end <= rightmost.end for m in marks):
        return [f"{row} {paint(rightmost.kind, rightmost.text)}",
                *_hanging(texts[:-1], room, paint)]
    return [row, *_hanging(texts, room, paint)]


def _marker_row(marks: Sequence[_Mark], paint: Paint) -> tuple[str, int]:
    width = max(m.end for m in marks)
    cells = [""] * width
    for mark in sorted(marks, key=lambda m: m.kind != "frame"):
        sign = "-" if mark.kind == "frame" else "^"
        for column in range(mark.start, mark.end):
            cells[column] = paint(mark.kind, sign)
    return "".join(c or " " for c in cells), width


def _hanging(marks: Sequence[_Mark], room: int, paint: Paint) -> list[str]:
    """Return texts below the marks, the rightmost first, joined to them by bars."""
    if not marks:
        return []
    rows = [_bars(marks, paint)]
    for count in range(len(marks), 0, -1):
        mark, left = marks[count - 1], marks[: count - 1]
        start = mark.start if room - mark.start >= min(len(mark.text), _NARROWEST) else max(
            0, room - max(_NARROWEST, min(len(mark.text), room)))
        bars = [m for m in left if m.start < start]
        for part in textwrap.wrap(mark.text, max(room - start, _NARROWEST),
                                  break_long_words=False, break_on_hyphens=False):
            lead = _bars(bars, paint)
            used = max((m.start + 1 for m in bars), default=0)
            rows.append(lead + " " * (start - used) + paint(mark.kind, part))
    return rows


def _bars(marks: Sequence[_Mark], paint: Paint) -> str:
    text, used = "", 0
    for mark in marks:
        if mark.start >= used:
            text += " " * (mark.start - used) + paint(mark.kind, "|")
            used = mark.start + 1
    return text
