"""Where an activation lies along each axis of the mesh, and why."""

from __future__ import annotations

from llamasim.language.ast import Reduce
from llamasim.plan.flow import PARTIAL, REPLICATED, TOKEN_DIMS
from llamasim.plan.steps import Step
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.sites import rule_sites, shards
from llamasim.study.explain.tree import Node, Site


def words(placement: str) -> str:
    """Return a placement in words."""
    if placement == REPLICATED:
        return "whole"
    return "a partial sum" if placement == PARTIAL else f"split along {placement}"


def placements(case: Case, place: Place) -> tuple[Node, ...]:
    """Return where an activation is kept along each axis."""
    local = case.lowering(place).local
    return tuple(
        placement_node(case, place, axis, flow.stored.get(place.name, REPLICATED))
        for axis, flow in local.flows.items() if axis != local.pipeline
    )


def placement_node(case: Case, place: Place, axis: str, held: str) -> Node:
    """Return one placement with the rules that led to it."""
    sites = rule_sites(case, place, "activation", shards(axis))
    if not sites:
        sites, note = made_by(case, place, axis)
    else:
        note = ""
    summed = rule_sites(case, place, "activation",
                        lambda e: isinstance(e, Reduce) and e.axis == axis)
    size = case.applied.mesh.size(axis)
    return Node(f"over {axis} ({size})", words(held), note=note, sites=(*summed, *sites))


def made_by(case: Case, place: Place, axis: str) -> tuple[tuple[Site, ...], str]:
    """Return the rules on the weight whose product an activation is, or what it follows from."""
    step = maker(case, place)
    if step is None:
        return (), "as the layer before leaves it"
    weights = [op.weight for op in step.ops if op.weight]
    for weight in weights:
        found = rule_sites(case, sibling(place, weight), "weight", shards(axis))
        if found:
            return found, f"made by {step.name} with its part of the weight"
    return (), f"as {step.name} finds {', '.join(step.inputs)}"


def maker(case: Case, place: Place, phase: str = "") -> Step | None:
    """Return the kernel that makes an activation."""
    for step in case.steps(place, phase or case.phases[0]):
        if place.name in step.outputs or place.name in (op.output for op in step.ops):
            return step
    return None


def sibling(place: Place, name: str) -> Place:
    """Return another element of the same block."""
    return Place(place.index, place.layer, name)


def along_tokens(placement: str) -> bool:
    """Whether a placement splits tokens."""
    return placement in TOKEN_DIMS
