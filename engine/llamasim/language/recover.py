"""Reports the syntax errors of a file, several in one run."""

from __future__ import annotations

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from llamasim.diagnostics import Diagnostic, Label, Source, Span


def parse_with_errors(
    parser: Lark, source: Source
) -> tuple[Tree[Token] | None, list[Diagnostic]]:
    """Parse a text that is known to have a mistake."""
    try:
        return parser.parse(source.text), []
    except UnexpectedInput as error:
        line, column = max(error.line, 1), max(error.column, 1)
        span = Span(source, line, column, line, column + 1)
        return None, [Diagnostic("E0104", "this is not understood", (Label(span),))]
