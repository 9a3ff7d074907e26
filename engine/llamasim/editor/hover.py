"""What an editor shows of the word under the pointer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from llamasim.diagnostics import Span
from llamasim.editor import describe, grammar
from llamasim.editor.document import Document
from llamasim.editor.roles import Mention, Role, mention_at, named, path_text, slot_of
from llamasim.editor.scope import (
    axes_in,
    declare,
    functions_in,
    names_in,
    parameters,
    sources_in,
)
from llamasim.editor.tables import Slot
from llamasim.language.calls import PROVIDED, SCALARS
from llamasim.language.cells import CELLS, ELEMENTS
from llamasim.language.load import Program
from llamasim.language.scope import element_names
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import BRING_FIELDS, VOCABULARY


@attrs.frozen
class Hover:
    """A description in Markdown, and the words that it is of."""

    text: str
    span: Span


def hover(document: Document, line: int, column: int) -> Hover | None:
    """Return what is known of the word at a place (both from 1), or None."""
    mention = mention_at(document, line, column)
    if mention is None:
        return None
    describer = _BY_ROLE.get(mention.role)
    text = describer(document, mention) if describer else ""
    return Hover(text, mention.span) if text else None


def _keyword(document: Document, mention: Mention) -> str:
    form = grammar.form(mention.chain, mention.text)
    return describe.page(form, grammar.meaning(mention.chain, mention.text)) if form else ""


def _obligation(document: Document, mention: Mention) -> str:
    own = Mention(mention.role, mention.text, mention.words, [Slot(mention.text, mention.text, "")])
    return _keyword(document, own)


def _cell(document: Document, mention: Mention) -> str:
    found = CELLS.get(mention.text)
    return describe.cell(found) if found else ""


def _value(document: Document, mention: Mention) -> str:
    name = mention.text
    if name in VOCABULARY:
        return describe.attribute(VOCABULARY[name])
    if _is_call(document, mention):
        own = functions_in(document).get(name)
        if own is not None:
            return describe.declared(own)
        return describe.function(name) if name in (*SCALARS, *PROVIDED) else ""
    first = name.partition(".")[0]
    known = names_in(document, mention.chain)
    if first in known:
        own_model = VOCABULARY.get(f"model.{name.partition('.')[2]}")
        return describe.attribute(own_model) if "." in name and own_model else (
            describe.declared(known[first]))
    if name in CELLS and slot_of(mention.chain, "expect"):
        return describe.cell(CELLS[name])
    return _axis(document, mention) if slot_of(mention.chain, "call") else ""


def _is_call(document: Document, mention: Mention) -> bool:
    return document.source.text[mention.words[-1].end :].lstrip()[:1] == "("


def _axis(document: Document, mention: Mention) -> str:
    axes = axes_in(document)
    if mention.text not in axes:
        return ""
    found = axes[mention.text]
    if found is not None:
        return describe.declared(found)
    return describe.page(f"axis {mention.text}", "An axis of the mesh that is always there.")


def _technique(document: Document, mention: Mention) -> str:
    found = document.technique(mention.text)
    if found is None:
        return ""
    module, technique = found
    return describe.technique(f"{module.name}.{technique.name}", technique)


def _target(document: Document, mention: Mention) -> str:
    given = slot_of(mention.chain, "given")
    return _technique(document, mention) if given and path_text(given.values[0]) == "use" else ""


def _argument(document: Document, mention: Mention) -> str:
    given = slot_of(mention.chain, "given")
    found = document.technique(path_text(given.values[1])) if given and given.values[1:] else None
    parameter = parameters(found[1]).get(mention.text) if found else None
    return describe.parameter(parameter) if parameter else ""


def _source(document: Document, mention: Mention) -> str:
    found = sources_in(document).get(mention.text)
    return describe.declared(found) if found else ""


def _module(document: Document, mention: Mention) -> str:
    module = document.load([mention.text]).modules.get(mention.text)
    if module is None:
        return ""
    return describe.module(module)


def _declaration(document: Document, mention: Mention) -> str:
    name, chain = mention.text, mention.chain
    module = document.module
    if slot_of(chain[:1], "source"):
        return _source(document, mention)
    if slot_of(chain[:1], "technique"):
        return _technique(document, mention)
    own = functions_in(document).get(name)
    if own is not None and slot_of(chain[:1], "function"):
        return describe.declared(own)
    if slot_of(chain[:1], "axis"):
        return _axis(document, mention)
    if slot_of(chain[:1], "import_") and module:
        imported = next((i for i in module.imports if i.alias == name), None)
        return describe.declared(declare(module, imported)) if imported else ""
    known = names_in(document, chain).get(name)
    return describe.declared(known) if known else ""


def _glob(document: Document, mention: Mention) -> str:
    element = named(mention.chain, "rule")
    if slot_of(mention.chain, "bring"):
        element = "op"
    if document.module is None or element not in ELEMENTS:
        return ""
    program = Program({**document.imported.modules, document.module.name: document.module})
    names = element_names(document.module, program)
    return describe.names(mention.text, element, names.matched(mention.text, element))


def _element(document: Document, mention: Mention) -> str:
    return describe.element(mention.text) if mention.text in ELEMENTS else ""


def _unit(document: Document, mention: Mention) -> str:
    return describe.unit(mention.text)


def _type(document: Document, mention: Mention) -> str:
    found = TYPES.get(mention.text)
    return describe.type_(found) if found else ""


def _field(document: Document, mention: Mention) -> str:
    if mention.text not in BRING_FIELDS:
        return ""
    kind, dimension = BRING_FIELDS[mention.text]
    return describe.page(f"{mention.text}: ...",
                         f"A field of `bring`: {describe.holds(kind, dimension, None)}.")


_BY_ROLE: Mapping[Role, Callable[[Document, Mention], str]] = MappingProxyType(
    {
        "keyword": _keyword, "cell": _cell, "value": _value, "axis": _axis, "element": _element,
        "technique": _technique, "target": _target, "argument": _argument, "source": _source,
        "module": _module, "declaration": _declaration, "glob": _glob, "unit": _unit,
        "type": _type, "field": _field, "model": _value,
        "obligation": _obligation,
    }
)
