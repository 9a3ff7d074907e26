"""What a user asks for: `weight.bytes@layers.3.mlp.down` and its like, or why that is nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest
from llamasim.language.cells import CELLS, TENSORS
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.sites import STEP
from llamasim.techniques.elements import element_names, full_name

#: What follows from cells, by the elements that have it.
DERIVED: Mapping[str, tuple[str, ...]] = {
    "bytes": ("weight", "grad", "optimizer", "activation", "kv_cache"),
    "elements": ("weight", "grad", "optimizer"),
    "bits": TENSORS,
    "kept": ("activation",),
    "placement": ("activation",),
    "seconds": ("op",),
}
#: Totals of a device: `memory.weights`, of a stage with `memory.weights@stage.3`.
MEMORY = (
    "total", "weights", "gradients", "optimizer", "activations", "kv_cache", "transient", "buffers",
    "reserve",
)
OWNERS = (*TENSORS, "op", "step")
_STAGE = re.compile(r"stage\.(\d+)")


@attrs.frozen
class Query:
    """A cell that exists.

    Attributes:
        kind: `cell`, `comm`, `memory` or `seconds` (of a step).
        cell: without its element (`bytes`, `numerics.bits`, a category of memory).
        element: `weight`, ...; empty where there is none.
        places: where each element of that name stands.
        stage: for totals of one stage.
        also: the same cell of other elements of that name.

    """

    kind: str
    cell: str
    element: str = ""
    place: Place = STEP
    stage: int | None = None
    also: tuple[str, ...] = ()


def read_query(text: str, case: Case) -> tuple[Query | None, list[Diagnostic]]:
    """Return what a text asks for."""
    left, at, name = text.replace(" ", "").partition("@")
    if left in ("step.seconds", "seconds") and not at:
        return Query("seconds", "seconds", "step"), []
    family, _, rest = left.partition(".")
    if family == "memory":
        return _memory(text, rest, name, case)
    if left == "comm":
        return _comm(text, name, case)
    element, cell = (family, rest) if family in OWNERS and rest else ("", left)
    cell = {"elems": "elements", "flops": "cost.flops"}.get(cell, cell)
    owners = _owners(cell)
    if not owners or (element and element not in owners):
        return None, [_no_cell(text, left, element, owners)]
    if owners == ("step",) or element == "step" or (not at and "step" in owners):
        return Query("cell", cell, "step"), []
    return _element(text, element, cell, owners, name, case)


def _owners(cell: str) -> tuple[str, ...]:
    if cell in DERIVED:
        return DERIVED[cell]
    return CELLS[cell].elements if cell in CELLS else ()


def _element(
    text: str, element: str, cell: str, owners: tuple[str, ...], name: str, case: Case
) -> tuple[Query | None, list[Diagnostic]]:
    wanted = (element,) if element else tuple(o for o in owners if o != "step")
    found = [(o, p) for o in wanted if (p := find(case, o, name)) is not None]
    if not found:
        return None, [_no_element(text, wanted, name, case)]
    first, place = found[0]
    also = tuple(f"{o}.{cell}@{place.full}" for o, _ in found[1:])
    return Query("cell", cell, first, place, also=also), []


def find(case: Case, element: str, name: str) -> Place | None:
    """Return where an element stands, or None where the model has none of that name."""
    layer = re.fullmatch(r"layers\.(\d+)\.(.+)", name)
    if layer:
        number = int(layer[1])
        if number >= len(case.applied.class_of):
            return None
        index = case.applied.class_of[number]
        real = element_names(case.applied.blocks[index].block, element).get(layer[2])
        return None if real is None else Place(index, number, real)
    for index, facts in enumerate(case.applied.blocks):
        real = element_names(facts.block, element).get(name)
        if real is not None and not facts.block.layers:
            return Place(index, None, real)
    return None


def _comm(text: str, name: str, case: Case) -> tuple[Query | None, list[Diagnostic]]:
    for element in ("activation", "weight"):
        place = find(case, element, name)
        if place is not None:
            return Query("comm", "comm", element, place), []
    return None, [_no_element(text, ("activation", "weight"), name, case)]


def _memory(
    text: str, category: str, name: str, case: Case
) -> tuple[Query | None, list[Diagnostic]]:
    if category not in MEMORY:
        near = nearest(category, MEMORY)
        return None, [Diagnostic(
            "E0712", f"there is no category of memory `{category}`", (_label(text, category),),
            help=(*((f"did you mean `memory.{near}`?",) if near else ()),
                  f"there are: {', '.join(MEMORY)}"))]
    stage = _STAGE.fullmatch(name)
    stages = len(case.plan.ranks)
    if name and (stage is None or int(stage[1]) >= stages):
        return None, [Diagnostic(
            "E0713", f"there is no stage `{name}`", (_label(text, name),),
            help=(f"stages are stage.0 to stage.{stages - 1}",))]
    return Query("memory", category, stage=int(stage[1]) if stage else None), []


def cells_of(element: str) -> list[str]:
    """Return what can be asked of an element, derived values first."""
    derived = [c for c, owners in DERIVED.items() if element in owners]
    return derived + [n for n, c in CELLS.items() if element in c.elements]


def _no_cell(text: str, left: str, element: str, owners: tuple[str, ...]) -> Diagnostic:
    label = (_label(text, left),)
    if element and owners:
        return Diagnostic(
            "E0712", f"{element} has no cell `{left.partition('.')[2]}`", label,
            why=f"{', '.join(owners)} have it", help=(_list(element),))
    if element:
        near = nearest(left.partition(".")[2], cells_of(element))
        return Diagnostic(
            "E0712", f"{element} has no cell `{left.partition('.')[2]}`", label,
            help=(*((f"did you mean `{element}.{near}`?",) if near else ()), _list(element)))
    if left.partition(".")[0] in _BLOCKS:
        return Diagnostic(
            "E0712", f"`{left}` names an element and no cell of it", label,
            help=(f"say what of it: `weight.bytes@{left}`, or `comm@{left}`",))
    known = [*DERIVED, *CELLS, "comm", "step.seconds", *(f"memory.{m}" for m in MEMORY),
             *(f"{o}.{c}" for c, owners in DERIVED.items() for o in owners)]
    near = nearest(left, known)
    return Diagnostic(
        "E0712", f"there is no cell `{left}`", label,
        help=(*((f"did you mean `{near}`?",) if near else ()),
              f"derived: {', '.join(f'{c} of {_either(o)}' for c, o in DERIVED.items())}, comm, "
              "memory.weights and its like, step.seconds",
              f"cells that rules write: {', '.join(CELLS)}"))


#: How names of elements begin.
_BLOCKS = ("layers", "embed", "head", "final_norm", "entry")


def _either(owners: tuple[str, ...]) -> str:
    return "any tensor" if owners == TENSORS else "/".join(owners)


def _list(element: str) -> str:
    return f"{element} has: {', '.join(cells_of(element))}"


def _no_element(text: str, wanted: tuple[str, ...], name: str, case: Case) -> Diagnostic:
    if not name:
        known = _names(case, wanted)
        return Diagnostic(
            "E0713", f"`{text}` does not say of which {_or(wanted)}", (_label(text, text),),
            help=(f"add its name: `{text}@{_typical(known)}`",))
    known = _names(case, wanted)
    near = nearest(name, known)
    layers = len(case.applied.class_of)
    short = [k for k in known if k.startswith(("layers.0.",)) or "layers." not in k]
    return Diagnostic(
        "E0713", f"the model has no {_or(wanted)} `{name}`", (_label(text, name),),
        why=f"layers are numbered 0 to {layers - 1}" if name.startswith("layers.") else "",
        help=(*((f"did you mean `{text.partition('@')[0]}@{near}`?",) if near else ()),
              f"there are: {', '.join(short)}"))


def _typical(known: list[str]) -> str:
    return next((k for k in known if ".mlp." in k), known[0] if known else "layers.0.mlp.down")


def _or(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _names(case: Case, wanted: tuple[str, ...]) -> list[str]:
    """Return the full names of all elements of some kinds, in the order of the model."""
    found: dict[str, None] = {}
    for facts in case.applied.blocks:
        for index in facts.block.layers or (None,):
            for element in wanted:
                for alias in element_names(facts.block, element):
                    found[full_name(index, alias)] = None
    return list(found)


def _label(text: str, part: str) -> Label:
    column = max(0, text.find(part)) + 1
    return Label(Span(Source("CELL", text), 1, column, 1, column + len(part)), "unknown")
