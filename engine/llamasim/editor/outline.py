"""What a rule file declares, as a tree."""

from __future__ import annotations

from typing import Literal

import attrs

from llamasim.diagnostics import Span
from llamasim.editor.document import Document
from llamasim.language.ast import (
    Axis,
    Bring,
    Claim,
    Const,
    ExtraModel,
    Function,
    Item,
    Let,
    Member,
    Param,
    Rule,
    SourceDecl,
    Technique,
)
from llamasim.language.scope import name_in

Kind = Literal["technique", "function", "constant", "source", "test", "parameter", "let", "axis",
               "rule", "claim", "brought", "model"]


@attrs.frozen
class Symbol:
    """A declaration: its name, its whole text, and where its name stands."""

    name: str
    kind: Kind
    detail: str
    span: Span
    name_span: Span
    children: tuple[Symbol, ...] = ()


def outline(document: Document) -> tuple[Symbol, ...]:
    """Return the declarations of a file in order; of techniques, their members too."""
    return tuple(_item(i) for i in document.module.items) if document.module else ()


def _item(item: Item) -> Symbol:
    if isinstance(item, Technique):
        members = tuple(s for m in item.members if (s := _member(m)) is not None)
        return _symbol(item.name, "technique", _first(item.doc), item.span, members)
    if isinstance(item, Function):
        return _symbol(item.name, "function", item.type, item.span)
    if isinstance(item, Const):
        return _symbol(item.name, "constant", item.type, item.span)
    if isinstance(item, SourceDecl):
        return _symbol(item.name, "source", item.text, item.span)
    return _symbol(item.title or "test", "test", "", item.span)


def _member(member: Member) -> Symbol | None:
    span = member.span
    if isinstance(member, Param):
        return _symbol(member.name, "parameter", member.type, span)
    if isinstance(member, Let):
        return _symbol(member.name, "let", "", span)
    if isinstance(member, Axis):
        return _symbol(member.name, "axis", "", span)
    if isinstance(member, ExtraModel):
        return _symbol(member.name, "model", "", span)
    if isinstance(member, Bring):
        return _symbol(member.name, "brought", member.what, span)
    if isinstance(member, Claim):
        return _symbol(member.metric, "claim", "", span)
    if isinstance(member, Rule):
        return _symbol(_head(member), "rule", "", span)
    return None


def _head(rule: Rule) -> str:
    globs = ", ".join(g.text for g in rule.globs)
    return f"on {rule.element}" + (f" of {globs}" if globs else "")


def _symbol(
    name: str, kind: Kind, detail: str, span: Span, children: tuple[Symbol, ...] = ()
) -> Symbol:
    at = name_in(span, name)
    if at == span:
        line = span.source.line(span.line)
        at = Span(span.source, span.line, span.column, span.line,
                  max(len(line.rstrip()) + 1, span.column + 1))
    return Symbol(name, kind, detail, span, at, children)


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
