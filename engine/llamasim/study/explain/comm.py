"""Which collectives move a tensor, in which phase, and why: placement before and after."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from llamasim.language.ast import Exchange, Gather, Overlap, Reduce, Rotate
from llamasim.language.ast import Place as Place_
from llamasim.plan.copies import saved_copies
from llamasim.plan.flow import PARTIAL, REPLICATED, Flow, Move
from llamasim.plan.gradients import gathers_after_update, gathers_in_use, reductions
from llamasim.plan.local import Local
from llamasim.plan.memory import kept_names
from llamasim.plan.passes import Passes
from llamasim.plan.spec import CommWork
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.placement import made_by, sibling, words
from llamasim.study.explain.sites import rule_sites, shards
from llamasim.study.explain.tree import Node, Site
from llamasim.study.measure import moved_bytes


def comm_node(case: Case, place: Place) -> Node:
    """Return all movements of an activation and of the weight of that name."""
    found: list[Node] = []
    block = case.facts(place).block
    if place.name in block.activations:
        for phase in case.phases:
            found += _activation(case, place, phase)
        found += _kept(case, place)
    if place.name in block.weights:
        found += _weight(case, place)
    found += _host(case, place)
    found += _boundary(case, place)
    note = "" if found else "nothing moves it: it is where its users want it"
    unit = "movement" if len(found) == 1 else "movements"
    return Node("comm", float(len(found)), unit, note=note, inputs=tuple(found))


def _activation(case: Case, place: Place, phase: str) -> Iterator[Node]:
    """Yield the movements of an activation (in the backward pass: and of its gradient)."""
    for work in case.lowering(place).plan.work.get(phase, ()):
        if isinstance(work, CommWork) and work.name == place.name and not _of_weight(work):
            gradient = work.reason.startswith("activation_grad")
            why, sites = _why(case, place, phase, work, gradient=gradient)
            what = "of its gradient " if gradient else ""
            yield _message(case, work, phase, f"{phase} {work.kind} {what}", why, sites)


def _of_weight(work: CommWork) -> bool:
    return work.kind == "copy" and work.reason.startswith("weight ")


def _message(
    case: Case, work: CommWork, phase: str, name: str, why: str, sites: tuple[Site, ...]
) -> Node:
    """Return one collective with its size."""
    shape = case.shape(phase)
    count = shape.sequences if work.basis == "sequences" else shape.tokens
    value = moved_bytes(work, shape)
    basis = "sequences" if work.basis == "sequences" else "tokens"
    inputs: tuple[Node, ...] = ()
    formula = ""
    if work.bytes_per_token and work.runs == 1.0:
        formula = f"{{message}} x {{{basis}}}"
        inputs = (Node("message", work.bytes_per_token, "B", note=f"for each of the {basis}"),
                  Node(basis, count))
    if work.hidden:
        inputs = (*inputs, Node("overlapped", 100 * work.hidden, "%",
                                note="share that may run beside computing"))
    over = f"over {work.group.axis} ({work.group.size})" if work.kind != "copy" else ""
    return Node(f"{name.strip()} {over}".strip(), value, "B", formula=formula, note=why,
                sites=sites, inputs=inputs)


def _why(
    case: Case, place: Place, phase: str, work: CommWork, *, gradient: bool
) -> tuple[str, tuple[Site, ...]]:
    """Return the placements before and after a movement, and the rules that led to them."""
    axis, local = work.group.axis, case.lowering(place).local
    flow = local.flows.get(axis)
    overlaps = _overlaps(case, place, "activation_grad" if gradient else "activation")
    if work.kind == "rotate":
        turned = rule_sites(case, place, "activation", lambda e: isinstance(e, Rotate))
        return "each device passes its part round until all were seen", (*turned, *overlaps)
    if work.kind == "copy":
        return "copied over the host's link", _placed(case, place)
    if flow is None or not work.reason.startswith("activation"):
        return f"stated by {work.reason}", (*_stated(case, place, Exchange), *overlaps)
    if gradient:
        why, sites = _gradient(case, place, flow, work)
    elif phase == "backward":
        why, sites = _again(case, place, flow)
    else:
        why, sites = _forward(case, place, flow, work)
    return why, (*sites, *overlaps)


def _forward(
    case: Case, place: Place, flow: Flow, work: CommWork
) -> tuple[str, tuple[Site, ...]]:
    move = next((m for m in flow.moves if m.tensor == place.name and m.kind == work.kind), None)
    if move is None:
        return work.reason, _stated(case, place, Exchange)
    text = f"{words(move.before)} -> {words(move.after)}"
    asked = _stated(case, place, Reduce, flow.axis) if move.before == PARTIAL else ()
    declared = rule_sites(case, place, "activation", shards(flow.axis))
    if move.side == "output":
        made, _ = made_by(case, place, flow.axis)
        return f"{text}, after it is made", (*made, *asked, *declared)
    readers, sites = _readers(case, place, flow, move)
    return f"{text}: implied, {readers} want it so", (*declared, *sites)


def _readers(
    case: Case, place: Place, flow: Flow, move: Move
) -> tuple[str, tuple[Site, ...]]:
    """Return who reads a tensor in the placement that a movement brings it to."""
    names: list[str] = []
    sites: list[Site] = []
    for index, step in enumerate(case.steps(place, case.phases[0])):
        if place.name in step.inputs and flow.used.get((index, place.name)) == move.after:
            names.append(step.name)
            for op in step.ops:
                if op.weight:
                    sites += rule_sites(case, sibling(place, op.weight), "weight",
                                        shards(flow.axis))
    return ", ".join(names), tuple(dict.fromkeys(sites))


def _gradient(
    case: Case, place: Place, flow: Flow, work: CommWork
) -> tuple[str, tuple[Site, ...]]:
    """Return why the gradient of an activation moves: the transpose of a forward movement, or a
    partial sum of kernels that split their work.
    """
    for move in flow.moves:
        if move.tensor == place.name and move.side == "output" and work.kind == "all_gather":
            why = (f"{words(move.after)} -> whole: the transpose of the forward pass' "
                   f"{(move.kind or 'slice').replace('_', '-')}")
            made, _ = made_by(case, place, flow.axis)
            return why, (*made, *rule_sites(case, place, "activation", shards(flow.axis)))
    stored = flow.stored.get(place.name, REPLICATED)
    readers: list[str] = []
    sites: list[Site] = []
    for index, step in enumerate(case.steps(place, "forward")):
        if place.name in step.inputs and flow.used.get((index, place.name)) == REPLICATED:
            readers.append(step.name)
            for op in step.ops:
                if op.weight:
                    sites += rule_sites(case, sibling(place, op.weight), "weight",
                                        shards(flow.axis))
    stated = rule_sites(case, place, "activation_grad",
                        lambda e: isinstance(e, Reduce) and e.axis == flow.axis)
    declared = rule_sites(case, place, "activation", shards(flow.axis))
    why = (f"a partial sum -> {words(stored)}: {', '.join(readers)} read it whole and split "
           "their work")
    return why, (*stated, *dict.fromkeys(sites), *declared)


def _again(case: Case, place: Place, flow: Flow) -> tuple[str, tuple[Site, ...]]:
    stored = flow.stored.get(place.name, REPLICATED)
    why = f"{words(stored)} -> whole: the gradient of its reader's weight needs all of it"
    return why, rule_sites(case, place, "activation", shards(flow.axis))


def _stated(case: Case, place: Place, kind: type, axis: str | None = None) -> tuple[Site, ...]:
    return rule_sites(case, place, "activation", lambda e: (
        isinstance(e, kind) and axis in (None, getattr(e, "axis", None))))


def _overlaps(case: Case, place: Place, element: str) -> tuple[Site, ...]:
    return rule_sites(case, place, element, lambda e: isinstance(e, Overlap))


def _placed(case: Case, place: Place) -> tuple[Site, ...]:
    found = rule_sites(case, place, "op", lambda e: isinstance(e, Place_))
    return found or rule_sites(case, place, "weight", lambda e: isinstance(e, Place_))


def _weight(case: Case, place: Place) -> Iterator[Node]:
    """Yield the movements of a weight and its gradient, as if it were its block's only one."""
    local = _alone(case, place)
    for phase in case.phases:
        for work in gathers_in_use(local, phase):
            sites = (*rule_sites(case, place, "weight", shards(dim="flat")),
                     *rule_sites(case, place, "weight", lambda e: isinstance(e, Gather)),
                     *_overlaps(case, place, "weight"))
            why = f"{words('flat')} -> whole, before it is used"
            yield _message(case, work, phase, f"{phase} {work.kind} of the weight", why, sites)
    if case.training:
        yield from _updates(case, place, local)


def _updates(case: Case, place: Place, local: Local) -> Iterator[Node]:
    passes = Passes(local, case.steps(place, "forward"), "forward")
    for work in reductions(passes).works:
        sites = (*rule_sites(case, place, "grad", lambda e: isinstance(e, Reduce)),
                 *rule_sites(case, place, "grad", shards()),
                 *rule_sites(case, place, "optimizer", shards()),
                 *_overlaps(case, place, "grad"))
        after = "split" if work.kind == "reduce_scatter" else "whole"
        why = f"a partial sum -> {after}: each of {work.group.axis} saw other tokens"
        every = case.plan.schedule.reduce_every
        often = f"every {every} micro-batches" if every else "once a step"
        yield _message(case, work, "forward", f"{often} {work.kind} of its gradient", why, sites)
    for work in gathers_after_update(local):
        sites = (*rule_sites(case, place, "optimizer", shards(dim="flat")),
                 *_overlaps(case, place, "weight"))
        yield _message(case, work, "forward", f"after the update {work.kind} of the weight",
                       work.reason, sites)


def _alone(case: Case, place: Place) -> Local:
    """Return a block's view with one of its weights only."""
    local = case.lowering(place).local
    weights = {place.name: local.facts.block.weights[place.name]}
    block = attrs.evolve(local.facts.block, weights=weights)
    return attrs.evolve(local, facts=attrs.evolve(local.facts, block=block))


def _host(case: Case, place: Place) -> Iterator[Node]:
    """Yield the copies of a weight, and of the cache of that name, that lie elsewhere."""
    for phase in case.phases:
        for work in case.lowering(place).plan.work.get(phase, ()):
            if not isinstance(work, CommWork) or work.kind != "copy":
                continue
            element = "kv_cache" if work.name == f"{place.name} cache" else "weight"
            if element == "kv_cache" or (work.name == place.name and _of_weight(work)):
                sites = (*rule_sites(case, place, element, lambda e: isinstance(e, Place_)),
                         *_overlaps(case, place, element))
                yield _message(case, work, phase, f"{phase} copy of the {element}", work.reason,
                               sites)


def _kept(case: Case, place: Place) -> Iterator[Node]:
    """Yield the copies of an activation that is kept elsewhere between the two passes."""
    local = case.lowering(place).local
    names = kept_names(case.passes(place, "forward")) if case.training else []
    for phase in ("forward", "backward") if place.name in names else ():
        for work in saved_copies(local, phase, [place.name]):
            sites = (*rule_sites(case, place, "activation", lambda e: isinstance(e, Place_)),
                     *_overlaps(case, place, "activation"))
            yield _message(case, work, phase, f"{phase} copy of the kept activation", work.reason,
                           sites)


def _boundary(case: Case, place: Place) -> Iterator[Node]:
    """Yield the transfer of a layer's output to the next pipeline stage."""
    send, block = case.plan.pipeline_send, case.facts(place).block
    last = place.layer is not None and _ends_chunk(case, place.layer)
    if send is None or not last or place.name != block.output:
        return
    from llamasim.study.explain.sites import STEP

    sites = rule_sites(case, STEP, "step", lambda e: getattr(e, "cell", "") in (
        "layout.pipeline_axis", "layout.chunks"))
    yield _message(case, send, "forward", "forward send to the next stage",
                   "the next layer is on another pipeline stage", sites)


def _ends_chunk(case: Case, layer: int) -> bool:
    slots = case.applied.chunk_of
    return layer + 1 < len(slots) and slots[layer + 1] != slots[layer]
