"""Where the name at a place is declared, and where else a file speaks of the same."""

from __future__ import annotations

from pathlib import Path

import attrs

from llamasim.diagnostics import Span
from llamasim.editor.document import Document
from llamasim.editor.roles import Mention, mention_at, mentions, named, path_text, slot_of
from llamasim.editor.scope import (
    Declared,
    axes_in,
    declare,
    functions_in,
    names_in,
    parameters,
    sources_in,
)
from llamasim.language.ast import Param
from llamasim.language.load import find_file


@attrs.frozen
class Place:
    """A part of a file; without a span, its beginning."""

    path: Path
    span: Span | None = None


def definition(document: Document, line: int, column: int) -> Place | None:
    """Return where the name at a place (from 1) is declared, in whatever file."""
    mention = mention_at(document, line, column)
    if mention is None:
        return None
    if mention.role == "module":
        path = find_file(mention.text, document.search)
        return Place(path) if path else None
    found = declaration(document, mention)
    return Place(document.file_of(found.module), found.span) if found else None


def references(document: Document, line: int, column: int) -> tuple[Span, ...]:
    """Return every place of a file that speaks of the same declaration as a place."""
    mention = mention_at(document, line, column)
    found = declaration(document, mention) if mention else None
    return occurrences(document, found) if found else ()


def occurrences(document: Document, of: Declared) -> tuple[Span, ...]:
    """Return where a file speaks of a declaration, its own place among them."""
    found = []
    for mention in mentions(document, of.name):
        same = declaration(document, mention)
        if same is not None and same.what == of.what and same.node is of.node and (
            same.name == of.name
        ):
            found.append(own_span(mention, of))
    return tuple(s for s in found if s.text == of.name)


def own_span(mention: Mention, of: Declared) -> Span:
    """Return the part of a dotted name that stands for a declaration."""
    span = mention.words[-1 if of.what == "technique" else 0].span
    if mention.role != "glob":
        return span
    return Span(span.source, span.line, span.column, span.line, span.column + len(of.name))


def declaration(document: Document, mention: Mention) -> Declared | None:
    """Return the declaration that a name means, if a rule file has it."""
    role, name = mention.role, mention.text
    if role in ("value", "model"):
        return _value(document, mention)
    if role == "axis":
        return axes_in(document).get(name)
    if role == "source":
        return sources_in(document).get(name)
    if role == "technique":
        return _technique(document, name)
    if role in ("target", "argument"):
        return _given(document, mention)
    if role == "glob":
        first = names_in(document, mention.chain).get(name.partition(".")[0])
        return first if first and _is_model(first) and "." in name else None
    return _declared_here(document, mention) if role == "declaration" else None


def _value(document: Document, mention: Mention) -> Declared | None:
    name = mention.text
    if document.source.text[mention.words[-1].end :].lstrip()[:1] == "(":
        return functions_in(document).get(name)
    found = names_in(document, mention.chain).get(name.partition(".")[0])
    if found is not None:
        return found if "." not in name or _is_model(found) else None
    return axes_in(document).get(name) if slot_of(mention.chain, "call") else None


def _is_model(found: Declared) -> bool:
    return found.what == "model" or (
        isinstance(found.node, Param) and found.node.type == "Model")


def _technique(document: Document, name: str) -> Declared | None:
    found = document.technique(name)
    return declare(*found) if found else None


def _given(document: Document, mention: Mention) -> Declared | None:
    slot = slot_of(mention.chain, "given")
    read = [path_text(v) for v in slot.values] if slot else []
    if read[:1] != ["use"]:
        return None
    if mention.role == "target":
        return _technique(document, mention.text)
    found = document.technique(read[1]) if len(read) > 1 else None
    param = parameters(found[1]).get(mention.text) if found else None
    return declare(found[0], param) if found and param else None


def _declared_here(document: Document, mention: Mention) -> Declared | None:
    """Return what a name declares at the very place where it stands."""
    chain, name = mention.chain, mention.text
    kind = chain[0].rule if chain else ""
    if kind == "formal":
        function = functions_in(document).get(named(chain, "function"))
        return declare(function.module, function.node, name) if function else None
    if kind == "technique":
        return _technique(document, name)
    if kind == "axis":
        return axes_in(document).get(name)
    if kind == "function":
        return functions_in(document).get(name)
    if kind == "source":
        return sources_in(document).get(name)
    if kind in ("param", "let", "extra_model", "constant"):
        return names_in(document, chain).get(name)
    return None
