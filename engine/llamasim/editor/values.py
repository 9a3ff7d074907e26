"""What can be written in an expression: names, attributes, functions, words and units."""

from __future__ import annotations

from collections.abc import Iterator

from llamasim.editor import describe, usage
from llamasim.editor.offers import LAST, VERBS, Completion, Spot, words
from llamasim.editor.roles import path_text, slot_of
from llamasim.editor.scope import Declared, axes_in, functions_in, names_in, parameters
from llamasim.language.ast import Const, ExtraModel, Param, Path, SetDomain
from llamasim.language.calls import PROVIDED, SCALARS
from llamasim.language.cells import CELLS, ELEMENTS, Cell, Stratum
from llamasim.language.infer_arithmetic import unit_of
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import VOCABULARY, Attribute
from llamasim.units import UNITS, Dimension

#: Statements whose expressions read nothing of the scenario.
_CONSTANT = ("param", "constant", "arg")
#: Statements that speak of no element, and may read what holds for all.
_OF_NO_ELEMENT = ("requires", "advise", "claim", "axis", "function")


def values(spot: Spot) -> Iterator[Completion]:
    """Yield what an expression can consist of at a place."""
    yield from words(_symbols(spot), order=0)
    yield from _names(spot)
    yield from _functions(spot)
    for attribute in _attributes(spot):
        holds = describe.holds(attribute.kind, attribute.dimension, attribute.symbols)
        yield Completion(attribute.path, "attribute", holds, describe.attribute(attribute), 3)
    if slot_of(spot.chain, "expect"):
        for cell in CELLS.values():
            holds = describe.holds(cell.kind, cell.dimension, cell.symbols)
            yield Completion(cell.name, "cell", holds, describe.cell(cell), 3)
        yield from words(sorted(usage.asked(spot.document)), "attribute", "of a result", 2)
        asked = sorted(usage.questions(spot.document))
        yield from (Completion(n, "function", "of a result", insert=f"{n}(") for n in asked)
    if slot_of(spot.chain, "call"):
        yield from words(axes_in(spot.document), "name", "axis", 2)


def _names(spot: Spot) -> Iterator[Completion]:
    for name, found in names_in(spot.document, spot.chain).items():
        if not _seen(spot, found) or (
            slot_of(spot.chain, *_CONSTANT) and not isinstance(found.node, Const)
        ):
            continue
        yield Completion(name, "name", found.what, describe.declared(found), 1)
        node = found.node
        is_model = isinstance(node, ExtraModel) or (
            isinstance(node, Param) and node.type == "Model")
        if is_model and spot.written.startswith(f"{name}."):
            for attribute in VOCABULARY.values():
                root, _, rest = attribute.path.partition(".")
                if root == "model":
                    yield Completion(f"{name}.{rest}", "attribute", "", attribute.doc, 1)


def _seen(spot: Spot, found: Declared) -> bool:
    """Whether a name is declared before the place; an argument always is."""
    span, slot = found.node.span, slot_of(spot.chain, "let", "constant", "function")
    if slot is not None and len(slot.values) > 1 and slot.values[1] == found.name:
        return False
    return found.what == "argument" or (
        spot.document.offset(span.end_line, span.end_column) <= spot.start)


def _functions(spot: Spot) -> Iterator[Completion]:
    for name, found in functions_in(spot.document).items():
        if _seen(spot, found):
            yield Completion(name, "function", "function", describe.declared(found), 2, f"{name}(")
    for name in (*SCALARS, *PROVIDED):
        yield Completion(name, "function", "", describe.function(name), 4, f"{name}(")


def _attributes(spot: Spot) -> Iterator[Attribute]:
    """Yield the attributes that may be read here."""
    if slot_of(spot.chain, *_CONSTANT):
        return
    cell = written_cell(spot)
    most = max(cell.stratum, Stratum.LAYOUT) if cell else Stratum.CLAIMS
    if slot_of(spot.chain, "axis"):
        most = Stratum.LAYOUT
    for attribute in VOCABULARY.values():
        if attribute.stratum < most and _known(spot, attribute):
            yield attribute


def _known(spot: Spot, attribute: Attribute) -> bool:
    if attribute.elements is None or spot.element not in (*ELEMENTS, ""):
        return True
    if spot.element:
        return spot.element in attribute.elements
    return not slot_of(spot.chain, *_OF_NO_ELEMENT)


def written_cell(spot: Spot) -> Cell | None:
    """Return the cell that the effect under way writes, where it was already named."""
    slot = slot_of(spot.chain, *VERBS)
    return CELLS.get(path_text(slot.values[1])) if slot and len(slot.values) > 1 else None


def _symbols(spot: Spot) -> tuple[str, ...]:
    """Return the words that are meant here: those of a cell, a parameter or a comparison."""
    compared = slot_of(spot.chain, "compare", "among")
    if compared is not None:
        return _symbols_of(spot, path_text(compared.values[0]))
    cell = written_cell(spot)
    if cell is not None:
        return cell.symbols or ()
    argument = slot_of(spot.chain, "arg")
    given = slot_of(spot.chain, "given")
    if argument is not None and given is not None and len(given.values) > 1:
        technique = spot.document.technique(path_text(given.values[1]))
        found = parameters(technique[1]) if technique else {}
        return _choices(found.get(path_text(argument.values[0])))
    field = slot_of(spot.chain, "bring_field")
    return _symbols_of(spot, f"op.{path_text(field.values[0])}") if field else ()


def _symbols_of(spot: Spot, name: str) -> tuple[str, ...]:
    attribute = VOCABULARY.get(name)
    if attribute is not None:
        return attribute.symbols or ()
    found = names_in(spot.document, spot.chain).get(name)
    return _choices(found.node) if found else ()


def _choices(node: object) -> tuple[str, ...]:
    """Return the words that a parameter can be."""
    if not isinstance(node, Param) or not isinstance(node.domain, SetDomain):
        return ()
    return tuple(o.text for o in node.domain.options if isinstance(o, Path))


def units(spot: Spot) -> Iterator[Completion]:
    """Yield units, those of what is meant here first."""
    wanted = _dimension(spot)
    usual = unit_of(wanted, bits=True) if wanted else ""
    for name, unit in sorted(UNITS.items(), key=lambda u: u[0] != usual):
        order = LAST - 1 if wanted is None else 0 if unit.dimension == wanted else LAST
        yield Completion(name, "unit", str(unit.dimension), describe.unit(name), order)


def _dimension(spot: Spot) -> Dimension | None:
    cell = written_cell(spot)
    if cell is not None:
        return cell.dimension
    slot = slot_of(spot.chain, "param", "constant")
    kind = TYPES.get(path_text(slot.values[3])) if slot and len(slot.values) > 3 else None
    return kind.dimension if kind else None

