"""Answers of this room in the words of the Language Server Protocol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from lsprotocol import types
from pygls.uris import from_fs_path

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.editor import Completions, Edit, Hover, Place, Symbol

_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "hint": types.DiagnosticSeverity.Hint,
}
#: Findings of declarations that nothing uses; editors grey them out.
_UNUSED = ("W0201", "W0203")
_COMPLETIONS: Mapping[str, types.CompletionItemKind] = {
    "keyword": types.CompletionItemKind.Keyword,
    "cell": types.CompletionItemKind.Field,
    "attribute": types.CompletionItemKind.Property,
    "name": types.CompletionItemKind.Variable,
    "function": types.CompletionItemKind.Function,
    "word": types.CompletionItemKind.EnumMember,
    "unit": types.CompletionItemKind.Unit,
    "type": types.CompletionItemKind.TypeParameter,
    "pattern": types.CompletionItemKind.Value,
    "technique": types.CompletionItemKind.Class,
    "module": types.CompletionItemKind.Module,
}
_SYMBOLS: Mapping[str, types.SymbolKind] = {
    "technique": types.SymbolKind.Class,
    "function": types.SymbolKind.Function,
    "constant": types.SymbolKind.Constant,
    "source": types.SymbolKind.String,
    "test": types.SymbolKind.Method,
    "parameter": types.SymbolKind.Property,
    "let": types.SymbolKind.Variable,
    "axis": types.SymbolKind.Array,
    "rule": types.SymbolKind.Event,
    "claim": types.SymbolKind.Number,
    "brought": types.SymbolKind.Object,
    "model": types.SymbolKind.Object,
}


@attrs.frozen
class Units:
    """How a client counts columns: in units of UTF-16, unless it was agreed otherwise."""

    encoding: str = types.PositionEncodingKind.Utf16

    def _width(self, text: str) -> int:
        if self.encoding == types.PositionEncodingKind.Utf32:
            return len(text)
        if self.encoding == types.PositionEncodingKind.Utf8:
            return len(text.encode())
        return len(text.encode("utf-16-le")) // 2

    def place(self, text: str, position: types.Position) -> tuple[int, int]:
        """Return line and column, from 1 and in characters, of a client's position."""
        lines = text.split("\n")
        line = lines[position.line] if position.line < len(lines) else ""
        column = used = 0
        while column < len(line) and used < position.character:
            used += self._width(line[column])
            column += 1
        return position.line + 1, column + 1

    def range(self, span: Span) -> types.Range:
        """Return a span as a client counts it."""
        return types.Range(self._position(span, span.line, span.column),
                           self._position(span, span.end_line, span.end_column))

    def _position(self, span: Span, line: int, column: int) -> types.Position:
        before = span.source.line(line)[: max(column - 1, 0)]
        return types.Position(max(line - 1, 0), self._width(before))


def uri_of(path: Path) -> str:
    """Return a file's address."""
    return from_fs_path(str(path.resolve())) or ""


def diagnostic(found: Diagnostic, own: str, units: Units) -> types.Diagnostic:
    """Return a finding; one of another file is shown at the file's beginning, with its place.

    Args:
        own: under which name messages show the open file.

    """
    main = next((x for x in found.labels if x.primary), None)
    here = main is not None and main.span.source.name == own
    text = [found.message if here or main is None else f"{found.message} ({_where(main)})"]
    text += [f"why: {found.why}"] if found.why else []
    text += [f"help: {h}" for h in found.help]
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    return types.Diagnostic(
        range=units.range(main.span) if main is not None and here else start,
        message="\n".join(text),
        severity=_SEVERITIES[found.severity],
        code=found.code,
        source="llamasim",
        tags=[types.DiagnosticTag.Unnecessary] if found.code in _UNUSED else None,
        related_information=[_related(x, units) for x in found.labels if x is not main or not here],
    )


def _where(label: Label) -> str:
    return f"{label.span.source.name}:{label.span.line}"


def _related(label: Label, units: Units) -> types.DiagnosticRelatedInformation:
    at = types.Location(uri_of(Path(label.span.source.name)), units.range(label.span))
    return types.DiagnosticRelatedInformation(at, label.text or "here")


def hover(found: Hover, units: Units) -> types.Hover:
    """Return a description."""
    text = types.MarkupContent(types.MarkupKind.Markdown, found.text)
    return types.Hover(text, units.range(found.span))


def completions(found: Completions, units: Units) -> types.CompletionList:
    """Return what can be written; the order is kept by the sort text."""
    at = units.range(found.span)
    items = [
        types.CompletionItem(
            label=item.label,
            kind=_COMPLETIONS[item.kind],
            detail=item.detail or None,
            documentation=types.MarkupContent(types.MarkupKind.Markdown, item.doc)
            if item.doc else None,
            sort_text=f"{number:04}",
            filter_text=item.label,
            text_edit=types.TextEdit(at, item.insert or item.label),
        )
        for number, item in enumerate(found.items)
    ]
    return types.CompletionList(is_incomplete=False, items=items)


def location(found: Place, units: Units) -> types.Location:
    """Return a place in a file."""
    start = types.Range(types.Position(0, 0), types.Position(0, 0))
    return types.Location(uri_of(found.path), units.range(found.span) if found.span else start)


def edits(found: Iterable[Edit], units: Units) -> list[types.TextEdit]:
    """Return edits."""
    return [types.TextEdit(units.range(e.span), e.text) for e in found]


def symbol(found: Symbol, units: Units) -> types.DocumentSymbol:
    """Return a declaration with those inside it."""
    return types.DocumentSymbol(
        name=found.name,
        kind=_SYMBOLS[found.kind],
        range=units.range(found.span),
        selection_range=units.range(found.name_span),
        detail=found.detail or None,
        children=[symbol(c, units) for c in found.children],
    )
