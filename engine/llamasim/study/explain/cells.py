"""The value of a cell that rules can write: its base, what each rule wrote, and their merger."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.language.cells import CELLS
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.sites import STEP, cell_sites
from llamasim.study.explain.text import UNITS
from llamasim.study.explain.tree import Known, Node, Site
from llamasim.techniques.applied import NOTHING, Merged
from llamasim.techniques.defaults import base_bits
from llamasim.units import NONE


@attrs.frozen
class Base:
    """What a cell is worth where no rule sets it, and where that comes from."""

    value: Known
    note: str


def cell_node(case: Case, place: Place, element: str, cell: str, phase: str = "") -> Node:
    """Return a cell's value with every write to it.

    `phase` is ignored by cells that hold for all phases.
    """
    at = phase if CELLS[cell].phased else ""
    merged = merged_of(case, place, element, cell, at)
    base = base_of(case, place, element, cell, at)
    sites = cell_sites(case, place, element, at, cell, merged)
    dimension = CELLS[cell].dimension
    unit = UNITS.get(NONE if dimension is None else dimension, "")
    if CELLS[cell].kind != "number" or CELLS[cell].law == "set":
        if merged.value is None or (CELLS[cell].law == "and" and not sites):
            return Node(cell, base.value, unit, note=base.note, sites=sites)
        return Node(cell, merged.value, unit, sites=sites)
    return _accumulated(Node(cell, None, unit, sites=sites), merged, base)


def merged_of(case: Case, place: Place, element: str, cell: str, phase: str) -> Merged:
    """Return all writes to a cell, merged by its law."""
    if place is STEP:
        return case.applied.step.get((phase, cell), NOTHING)
    return case.facts(place).merged(element, place.name, cell, phase)


def _accumulated(node: Node, merged: Merged, base: Base) -> Node:
    """Return a number by the law `min(cap, max(raise, (set or base) x scale + add))`."""
    start = base.value if merged.value is None else merged.value
    if merged.cap is not None and start is None and merged == Merged(cap=merged.cap):
        return attrs.evolve(node, value=merged.cap, note="the least cap; no bound without one")
    if not isinstance(start, float | int) or isinstance(start, bool):
        return attrs.evolve(node, value=start, note=base.note, inputs=_factors(node, merged))
    value = merged.number(float(start))
    parts = [Node("start", float(start), node.unit, note="" if merged.value else base.note)]
    formula = "{start}"
    if merged.scale != 1.0:
        formula += " x {scale}"
        parts.append(Node("scale", merged.scale))
    if merged.add:
        formula += " + {added}"
        parts.append(Node("added", merged.add, node.unit))
    if merged.floor is not None:
        formula = f"max({{least}}, {formula})"
        parts.append(Node("least", merged.floor, node.unit))
    if merged.cap is not None:
        formula = f"min({{most}}, {formula})"
        parts.append(Node("most", merged.cap, node.unit))
    if len(parts) == 1:
        return attrs.evolve(node, value=value, note=base.note if merged.value is None else "")
    if len(node.sites) == 1 and value in (merged.add, merged.scale, merged.cap):
        return attrs.evolve(node, value=value)  # nothing but what the one rule says
    return attrs.evolve(node, value=value, formula=formula, inputs=tuple(parts))


def _factors(node: Node, merged: Merged) -> tuple[Node, ...]:
    """Return what changes a base that is not a figure of one place."""
    found = []
    if merged.scale != 1.0:
        found.append(Node("scale", merged.scale))
    if merged.add or merged.add_per_token:
        found.append(Node("added", merged.add, node.unit))
    if merged.add_per_token:
        found.append(Node("added a token", merged.add_per_token, node.unit))
    return tuple(found)


def base_of(case: Case, place: Place, element: str, cell: str, phase: str) -> Base:
    """Return what a cell is worth without rules."""
    if place is STEP:
        return _of_step(case, cell)
    dtype = case.scenario.workload.dtype
    if cell == "numerics.bits":
        return _bits(case, place, element, dtype)
    if cell == "wire.bits":
        return _wire(case, place, element, dtype)
    if cell == "saved.bits":
        return Base(case.lowering(place).local.bits("activation", place.name), "base (as at rest)")
    if cell == "numerics.math" and element == "optimizer":
        return Base("fp32", "base (element by element)")
    if cell == "trainable":
        return Base(case.training, "base (the workload trains)" if case.training
                    else "base (inference)")
    if cell == "numerics.math":
        return Base(dtype, f"base (workload.dtype {dtype})")
    return Base(_PLAIN.get(cell), _stated(cell))


#: Base values that depend on nothing.
_PLAIN: dict[str, float] = {
    "numerics.bits_overhead": 0.0, "numerics.master_bits": 0.0, "layout.elements": 1.0,
    "layout.stored": 1.0, "layout.variants": 1.0, "wire.elements": 1.0,
    "cost.efficiency": 1.0, "cost.hbm_efficiency": 1.0, "cost.static_bytes": 0.0,
    "op.rows": 1.0, "op.runs": 1.0,
}


def _stated(cell: str) -> str:
    """Return the base value in the words of the table of cells."""
    text = CELLS[cell].doc.partition("Base: ")[2].rstrip(".")
    return f"base ({text})" if text else "base"


def _bits(case: Case, place: Place, element: str, dtype: str) -> Base:
    block = case.facts(place).block
    value = base_bits(block, element, place.name, dtype)
    if element == "optimizer":
        return Base(value, "base (32 bit a moment)")
    made = block.activations.get(place.name)
    if element.startswith("activation") and made is not None and made.bits is not None:
        return Base(value, "base (what this op makes is no float)")
    return Base(value, f"base (workload.dtype {dtype})")


def _wire(case: Case, place: Place, element: str, dtype: str) -> Base:
    local = case.lowering(place).local
    if element in ("grad", "weight"):
        return Base(local.bits(element, place.name), "base (as at rest)")
    return Base(base_bits(local.facts.block, "weight", "", dtype),
                f"base (workload.dtype {dtype})")


#: Step cells whose base is a field of the workload or of the runtime.
_WORKLOAD = {"schedule.micro_batch": "micro_batch"}
_RUNTIME = ("token_budget", "max_sequences")


def _of_step(case: Case, cell: str) -> Base:
    family, _, name = cell.partition(".")
    if cell in _WORKLOAD:
        value = getattr(case.scenario.workload, _WORKLOAD[cell])
        return Base(float(value), f"base (workload.{_WORKLOAD[cell]})")
    if family == "schedule" and name in _RUNTIME:
        runtime = case.scenario.runtime
        return Base(float(getattr(runtime, name)), f"base (runtime {runtime.id})")
    if family == "schedule" and hasattr(case.plan.schedule, name):
        value = getattr(case.plan.schedule, name)
        known: Known = value if isinstance(value, str | bool) else float(value)
        return Base(known, _stated(cell))
    return Base({"layout.chunks": 1.0, "layout.first_stage_relief": 0.0,
                 "layout.last_stage_relief": 0.0, "cost.static_bytes": 0.0}.get(cell),
                _stated(cell))


def all_sites(nodes: Sequence[Node]) -> tuple[Site, ...]:
    """Return every site of some trees once, in their order."""
    return tuple(dict.fromkeys(s for n in nodes for d in n.walk() for s in d.sites))
