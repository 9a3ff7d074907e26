"""Gradient reductions and weight gathers, derived from where gradients and states lie."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from llamasim.plan.flow import TOKEN_DIMS
from llamasim.plan.local import Local
from llamasim.plan.memory import optimizer_bits
from llamasim.plan.passes import Passes
from llamasim.plan.spec import CommKind, CommWork, OpWork
from llamasim.techniques.mesh import REMAINDER, REPLICAS


@attrs.frozen
class Reductions:
    """Collectives that complete a block's gradients.

    Attributes:
        unresolved: weights whose gradients are partial over replicas with no rule to sum them.

    """

    works: tuple[CommWork, ...]
    unresolved: tuple[str, ...]


def reductions(passes: Passes) -> Reductions:
    """Return the collectives that sum a block's gradients over all axes on which they are partial.

    A gradient is partial over the axes along which the tokens that it is summed over are split:
    the replicas always, others (a split sequence) where the weight itself is whole.
    """
    local = passes.local
    facts = local.facts
    sums: dict[tuple[tuple[str, ...], CommKind, float], float] = {}
    unresolved: list[str] = []
    for name, weight in facts.block.weights.items():
        if weight.tied or not facts.trainable(name):
            continue
        axes = _partial_axes(passes, name)
        if not axes:
            continue
        if REMAINDER in axes and not _obliged(local, name):
            unresolved.append(name)
        kind = _kind(local, name)
        hidden = facts.hidden.get(("grad", name, "reduce", "backward"), 0.0)
        whole = local.elements("grad", name) * facts.ways("grad", name, "flat", local.mesh)
        size = whole * local.wire_bits("grad", name) / 8
        key = (axes, kind, hidden)
        sums[key] = sums.get(key, 0.0) + size
    works = tuple(
        CommWork("gradients", kind, local.mesh.joint(axes, "+".join(axes)), bytes_fixed=size,
                 hidden=hidden, reason=f"gradients are partial over {', '.join(axes)}")
        for (axes, kind, hidden), size in sorted(sums.items())
    )
    return Reductions(works, tuple(unresolved))


def _partial_axes(passes: Passes, name: str) -> tuple[str, ...]:
    local = passes.local
    axes = [REMAINDER] if local.mesh.size(REMAINDER) > 1 else []
    base = name.removesuffix(".bias")
    for axis, flow in local.flows.items():
        split = any(a == axis and d != "flat" for d, a in local.facts.shards.get(
            ("weight", name), ()))
        read = [
            flow.used.get((index, step.inputs[0]), "")
            for index, step in enumerate(passes.steps)
            if any(op.weight == base for op in step.ops)
        ]
        if not split and any(r in TOKEN_DIMS for r in read):
            axes.append(axis)
    return tuple(axes)


def _obliged(local: Local, name: str) -> bool:
    found = local.facts.obligations.get(("grad", name), ())
    return any(o.verb == "reduce" and o.axis in (REPLICAS, REMAINDER) for o in found)


def _kind(local: Local, name: str) -> CommKind:
    """A gradient goes to whoever updates the weight: all of it, or a share each."""
    facts, mesh = local.facts, local.mesh
    split = max(facts.ways("grad", name, "flat", mesh), facts.ways("optimizer", name, "flat", mesh))
    return "reduce_scatter" if split > 1 else "all_reduce"


def gathers_in_use(local: Local, phase: str) -> list[CommWork]:
    """Return the gather of a block's split weights before a pass that uses them."""
    facts = local.facts
    sums: dict[tuple[str, float], float] = {}
    for name in facts.block.weights:
        for o in facts.obligations.get(("weight", name), ()):
            if o.verb != "gather" or phase not in o.phases:
                continue
            if o.until in ("phase_end", "step_end") and phase == "backward":
                continue  # still there from the forward pass
            if facts.ways("weight", name, "flat", local.mesh) == 1:
                continue
            hidden = facts.hidden.get(("weight", name, "gather", phase), 0.0)
            size = local.whole_elements(name) * local.wire_bits("weight", name) / 8
            sums[(o.axis, hidden)] = sums.get((o.axis, hidden), 0.0) + size
    return [
        CommWork("weights", "all_gather", local.mesh.group(axis), bytes_fixed=size, hidden=hidden,
                 reason=f"weights are split over {axis}")
        for (axis, hidden), size in sorted(sums.items())
    ]


def gathers_after_update(local: Local) -> list[CommWork]:
    """Return the gather of updated weights, where states are split but weights are whole."""
    facts, mesh = local.facts, local.mesh
    sums: dict[tuple[str, float], float] = {}
    for name, weight in facts.block.weights.items():
        if weight.tied or not facts.trainable(name):
            continue
        if facts.ways("weight", name, "flat", mesh) > 1:
            continue
        for dim, axis in facts.shards.get(("optimizer", name), ()):
            if dim == "flat" and mesh.size(axis) > 1:
                hidden = facts.hidden.get(("weight", name, "gather", "forward"), 0.0)
                size = local.elements("weight", name) * local.wire_bits("weight", name) / 8
                sums[(axis, hidden)] = sums.get((axis, hidden), 0.0) + size
    return [
        CommWork("updated weights", "all_gather", mesh.group(axis), bytes_fixed=size,
                 hidden=hidden, reason=f"each member of {axis} updates its share of the weights")
        for (axis, hidden), size in sorted(sums.items())
    ]


def update(locals_: Iterable[tuple[Local, int]], optimizer: str) -> tuple[OpWork, ...]:
    """Return the optimizer's work over blocks (each with its count), bound by memory.

    Reads gradient, states and weight of every parameter that this device updates, writes states and
    weight; about twelve operations a parameter for Adam (arXiv:1412.6980, algorithm 1).
    """
    totals = {"device": [0.0, 0.0, 0.0], "host": [0.0, 0.0, 0.0]}
    for local, count in locals_:
        facts = local.facts
        for name, weight in facts.block.weights.items():
            if weight.tied or not facts.trainable(name):
                continue
            mine = local.elements("optimizer", name)
            states = optimizer_bits(local, name, optimizer) / 8
            stored = local.bits("weight", name) / 8
            place = facts.places.get(("optimizer", name))
            total = totals["host" if place in ("host", "disk") else "device"]
            total[0] += count * mine * (states + local.bits("grad", name) / 8 + stored)
            total[1] += count * mine * (states + stored)
            total[2] += count * mine * 12.0
    return tuple(
        OpWork("optimizer", "optimizer", "optimizer", basis="fixed", read_fixed=read,
               write_fixed=write, flops_fixed=flops, math="fp32",
               place="host" if place == "host" else "device")
        for place, (read, write, flops) in totals.items() if read
    )
