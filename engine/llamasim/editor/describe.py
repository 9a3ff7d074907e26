"""What is known of cells, attributes, units and declarations, as short Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from llamasim.editor.scope import Declared, parameters
from llamasim.language.ast import Function, Import, Module, Param, SourceDecl, Technique
from llamasim.language.calls import SCALARS
from llamasim.language.cells import CELLS, Cell, Law
from llamasim.language.infer_arithmetic import unit_of
from llamasim.language.types import TYPES, Type
from llamasim.language.vocabulary import VOCABULARY, Attribute
from llamasim.units import UNITS, Dimension

_LAWS: Mapping[Law, str] = MappingProxyType(
    {
        "set": "one writer, or several that set equal values",
        "and": "true where every writer says true",
        "accumulate": "`min(cap, max(raise, (set or base) * product(scale) + sum(add)))`",
    }
)
_MOST = 12


def page(head: str, *parts: str) -> str:
    """Return code and paragraphs as Markdown."""
    return "\n\n".join(p for p in (f"```llamasim-rules\n{head}\n```", *parts) if p)


def _facts(facts: Mapping[str, str]) -> str:
    return "\n".join(f"- {k}: {v}" for k, v in facts.items() if v)


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{w}`" for w in words)


def holds(kind: str, dimension: Dimension | None, symbols: tuple[str, ...] | None) -> str:
    """Return what a cell or an attribute can be, in words."""
    if kind == "bool":
        return "true or false"
    if kind == "symbol":
        return f"one of {_code(symbols)}" if symbols else "a word"
    if dimension is None or dimension.is_ratio:
        return "a plain number"
    unit = unit_of(dimension, bits=True)
    return f"{dimension} (`{unit}`)" if not unit.startswith("(") else str(dimension)


def cell(found: Cell) -> str:
    """Describe a cell."""
    facts = {
        "cell of": _code(found.elements),
        "holds": holds(found.kind, found.dimension, found.symbols),
        "stratum": found.stratum.name.lower(),
        "verbs": _code(found.verbs),
        "merge law": _LAWS[found.law],
        "by phase": "`during` restricts it" if found.phased else "one value for all phases",
    }
    return page(found.name, found.doc, _facts(facts))


def attribute(found: Attribute) -> str:
    """Describe a readable attribute."""
    facts = {
        "is": holds(found.kind, found.dimension, found.symbols),
        "stratum": found.stratum.name.lower(),
        "known on": _code(found.elements) if found.elements else "all elements, and in `requires`",
    }
    return page(found.path, found.doc, _facts(facts))


def element(name: str) -> str:
    """Describe an element: the cells that rules on it may write, and what they may read."""
    cells = [c.name for c in CELLS.values() if name in c.elements]
    reads = [a.path for a in VOCABULARY.values() if a.elements and name in a.elements]
    return page(f"on {name}", _facts({"cells": _code(cells), "reads": _code(reads)}))


def unit(name: str) -> str:
    """Describe a unit by its dimension and its value in base units."""
    known = UNITS.get(name)
    if known is None:
        return ""
    base = next((u for u, q in UNITS.items()
                 if q.dimension == known.dimension and q.value == 1.0), "")
    same = "" if name == base or not base else f"1 {name} = {known.value:,g} {base}"
    return page(name, f"{known.dimension}. {same}".strip())


def type_(found: Type) -> str:
    """Describe a type of parameters."""
    kind = "a plain whole number" if found.whole else holds(found.kind, found.dimension, None)
    return page(found.name, f"{kind[:1].upper()}{kind[1:]}, for example `{found.example}`.")


def function(name: str) -> str:
    """Describe a function of the language or of the engine."""
    count = SCALARS.get(name)
    if count is None:
        return page(f"{name}(...)", "A function that the engine provides.")
    return page(f"{name}({', '.join('xyz'[:count])})",
                f"A function of {count} plain number{'s' * (count > 1)}.")


def declared(found: Declared) -> str:
    """Describe a name by its declaration."""
    node = found.node
    if isinstance(node, Technique):
        return technique(f"{found.module.name}.{node.name}", node)
    if isinstance(node, SourceDecl):
        return page(f"source {node.name}", node.text, node.doc)
    if isinstance(node, Import):
        return page(node.span.text)
    if found.what == "argument" and isinstance(node, Function):
        kind = TYPES.get(dict(node.formals).get(found.name, ""))
        text = f"Argument of `{node.name}`"
        return page(f"{found.name}: {kind.name}" if kind else found.name, text)
    return page(node.span.text, found.doc)


def parameter(found: Param) -> str:
    """Describe a parameter."""
    return page(found.span.text, found.doc)


def technique(name: str, found: Technique) -> str:
    """Describe a technique: its doc and its parameters."""
    rows = [f"- `{p.span.text.removeprefix('param ')}` {_line(p.doc)}".rstrip()
            for p in parameters(found).values()]
    return page(f"technique {name}", found.doc, "\n".join(rows))


def module(found: Module) -> str:
    """Describe a module: its techniques."""
    rows = [f"- `{i.name}`: {_line(i.doc)}".rstrip(": ")
            for i in found.items if isinstance(i, Technique)]
    return page(f"module {found.name}", "\n".join(rows))


def names(glob: str, element_: str, matched: tuple[str, ...]) -> str:
    """Describe a pattern by what it matches in models."""
    if not matched:
        return page(glob, f"Matches no {element_}.")
    shown = _code(matched[:_MOST])
    more = f" and {len(matched) - _MOST} more" if len(matched) > _MOST else ""
    return page(glob, f"Matches {len(matched)} names of {element_}: {shown}{more}.")


def _line(text: str) -> str:
    return " ".join(text.split())
