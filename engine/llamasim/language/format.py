"""Formats rule files: one layout, every remark kept."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable

import attrs

from llamasim.diagnostics import Diagnostic, Source, Span
from llamasim.language.ast import Number
from llamasim.language.parser import parse
from llamasim.language.show import show

_PIECES = re.compile(r'"[^"\n]*"|///[^\n]*|(?P<remark>#[^\n]*)')
_DIGITS = re.compile(r"\d+(_\d+)*(\.\d+)?([eE][+-]?\d+)?")


def format_text(source: Source) -> tuple[str | None, list[Diagnostic]]:
    """Return a rule file in the one layout, or None and why it cannot be read."""
    module, diagnostics = parse(source)
    if module is None or any(d.is_error for d in diagnostics):
        return None, diagnostics
    return show(module, _Remarks.of(source)), diagnostics


@attrs.frozen
class _Remark:
    """A remark; `alone` where nothing stands before it on its line."""

    line: int
    text: str
    alone: bool


@attrs.define
class _Remarks:
    """The remarks and blank lines of a text, handed out in order, each remark once."""

    source: Source
    lines: list[str]
    remarks: list[_Remark]
    taken: int = 0

    @classmethod
    def of(cls, source: Source) -> _Remarks:
        """Find the remarks of a text."""
        lines = source.text.split("\n")
        found = []
        for number, line in enumerate(lines, 1):
            for match in _PIECES.finditer(line):
                if match.lastgroup == "remark":
                    alone = not line[: match.start()].strip()
                    found.append(_Remark(number, match.group().rstrip(), alone))
        return cls(source, lines, found)

    def _take(self, until: int) -> list[_Remark]:
        """Take the remarks on lines before `until` that were not yet taken."""
        end = bisect.bisect_left(self.remarks, until, key=lambda r: r.line)
        taken = self.remarks[self.taken : end]
        self.taken = max(self.taken, end)
        return taken

    def before(self, span: Span) -> Iterable[str]:
        """Return remarks before a statement, with an empty text for blank lines among them."""
        first = span.line
        while first > 1 and self._is_lead(first - 1):
            first -= 1
        result = [r.text for r in self._take(first)]
        for number in range(first, span.line):
            text = self.lines[number - 1].strip()
            if not text and result[-1:] != [""]:
                result.append("")
            elif text.startswith("#"):
                result += [r.text for r in self._take(number + 1)]
        return result

    def _is_lead(self, line: int) -> bool:
        """Whether a line is blank, a remark or a description."""
        text = self.lines[line - 1].strip()
        return not text or text.startswith(("#", "///"))

    def behind(self, span: Span) -> str:
        """Return the remarks within a statement, behind its end."""
        texts = [r.text for r in self._take(span.end_line + 1)]
        if not texts:
            return ""
        return "  " + texts[0] + "".join(f" {t.lstrip('# ')}" for t in texts[1:])

    def opening(self, span: Span) -> str:
        """Return the remark on the line that opens a block, the last one of its head."""
        index = self.taken
        if index < len(self.remarks):
            remark = self.remarks[index]
            if remark.line == self._brace(span) and not remark.alone:
                self.taken += 1
                return f"  {remark.text}"
        return ""

    def _brace(self, span: Span) -> int:
        """Return the line on which a block opens; the first one where nothing does."""
        last = span.line if self._is_module(span) else span.end_line + 1
        for number in range(span.line, last):
            code = _PIECES.sub("", self.lines[number - 1]).rstrip()
            if code.endswith("{"):
                return number
        return span.line

    def closing(self, span: Span) -> Iterable[str]:
        """Return the remarks before the end of a block."""
        last = span.end_line if span.end_line > span.line else span.line
        whole = span.line == 1 or self._is_module(span)
        return [r.text for r in self._take(len(self.lines) + 1 if whole else last)]

    @staticmethod
    def _is_module(span: Span) -> bool:
        return span.source.line(span.line).lstrip().startswith("edition")

    def busy(self, span: Span) -> bool:
        """Whether a remark stands within a statement's lines, but for the last."""
        return any(span.line <= r.line < span.end_line for r in self.remarks)

    def number(self, number: Number) -> str | None:
        """Return a number as it was written."""
        text = number.span.text
        digits = _DIGITS.match(text)
        if digits is None or float(digits.group().replace("_", "")) != number.value:
            return None
        return text if number.unit is None else f"{digits.group()} {number.unit}"
