"""What a diagnostic is made of."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import attrs

Severity = Literal["error", "warning", "hint"]


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    return text.split("\n")


@attrs.frozen(eq=False)
class Source:
    """A text and the name it is shown under (a path relative to where the user stands)."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """Return one line, counted from 1; empty where there is none."""
        lines = _lines(self.text)
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@attrs.frozen
class Span:
    """A place in a source: 1-based lines and columns, the end exclusive."""

    source: Source = attrs.field(repr=False)
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def text(self) -> str:
        """The text it covers, with runs of blanks and newlines as one blank."""
        lines = [self.source.line(n) for n in range(self.line, self.end_line + 1)]
        if lines:
            lines[-1] = lines[-1][: self.end_column - 1]
            lines[0] = lines[0][self.column - 1 :]
        return " ".join(" ".join(lines).split())


@attrs.frozen
class Label:
    """A place and what to say about it; exactly one label of a diagnostic is primary."""

    span: Span
    text: str = ""
    primary: bool = True


@attrs.frozen
class Diagnostic:
    """One finding. Codes: E01xx syntax, 02xx types and units, 03xx merge, 04xx applicability,
    05xx scenario, 06xx catalog, 07xx results and arguments, W lint.

    Attributes:
        message: one plain sentence, small first letter, no full stop.
        why: the reason, where the message alone does not give it.
        help: ways out, each with text to paste where that is possible.

    """

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    severity: Severity = "error"
    why: str = ""
    help: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """Whether this stops the run."""
        return self.severity == "error"
