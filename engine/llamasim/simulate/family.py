"""Durations of the blocks of many configurations: a family's works, costed once for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from llamasim.cost.machine import Machine
from llamasim.cost.segment import passing
from llamasim.plan.blocks import split_backward
from llamasim.plan.families import Family, Steps
from llamasim.plan.spec import BlockPlan, CommWork, OpWork, StepShape, Work
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import bucketed, flow_of
from llamasim.simulate.orders import SPLIT
from llamasim.units.many import Floats, Places, apart, joined, many, narrowed, values_of


@attrs.frozen(eq=False)
class Beside:
    """Collectives or transfers beside compute, for each configuration.

    Attributes:
        hidden, exposed: seconds beside compute, and those that compute waits for.
        outer: whether the longest of them leaves the node.

    """

    hidden: Floats
    exposed: Floats
    outer: Floats


@attrs.frozen(eq=False)
class Members:
    """Configurations whose step has one form: what they hold, and how long their blocks take.

    Attributes:
        numbers: of the configurations.
        blocks: memory of the blocks; `class_of` the block of each layer.
        counts: of the step, by name, for each configuration (`_NUMBERS`).
        seconds, inner, outer: by kind of task, block and configuration; the latter two are shares
            in which collectives inside compute use the links inside the node and between nodes.
        reduce: collectives of each block's gradients, by block.
        updates, gathers: the update of one of each block, and gathers of its updated weights.

    """

    numbers: Places
    pipeline: str
    class_of: tuple[int, ...]
    blocks: tuple[BlockPlan, ...]
    shape: StepShape
    counts: Mapping[str, Floats]
    seconds: Floats
    inner: Floats
    outer: Floats
    reduce: tuple[Beside, ...]
    send: Beside
    updates: tuple[tuple[Work, ...], ...]
    gathers: tuple[tuple[CommWork, ...], ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.numbers)

    @property
    def form(self) -> object:
        """What configurations must have in common to be put together."""
        return (self.pipeline, self.class_of, tuple(_memory_form(b) for b in self.blocks),
                tuple(tuple(_work_form(w) for w in works)
                      for works in (*self.updates, *self.gathers)))


def _memory_form(block: BlockPlan) -> object:
    plain = (block.forward_per_token is None, block.forward_per_pair is None)
    return (block.grad_life, block.grad_in_parts, buffered(block), *plain,
            tuple(sorted(block.host_bytes)), tuple(sorted(block.disk_bytes)))


def buffered(block: BlockPlan) -> bool:
    """Whether whole gradients are held only until they are reduced."""
    size = block.grad_buffer_bytes
    return bool((values_of(size, 1) > 0).any())


def _work_form(work: Work) -> object:
    if isinstance(work, CommWork):
        return work.name, work.kind, work.group.axis, work.stream
    return work.name, work.kind, work.math, work.place


#: Numbers of a step and where they come from, with what holds where no rule says anything.
_NUMBERS = {
    "chunks": ("layout.chunks", 1.0), "first": ("layout.first_stage_relief", 0.0),
    "last": ("layout.last_stage_relief", 0.0), "reduce_every": ("schedule.reduce_every", 0.0),
    "prefetch": ("schedule.prefetch", 1.0),
}


def members_of(family: Family, scenario: Scenario, machine: Machine) -> Iterable[Members]:
    """Yield a family's configurations with the times of their blocks."""
    count = len(family.members)
    micro = np.empty(count)
    for part in family.steps:
        given = part.cell("schedule.micro_batch", scenario.workload.micro_batch)
        micro[part.places] = values_of(given, len(part.places))
    shape = StepShape.of(many(micro), scenario.workload.sequence)
    reduce = tuple(beside(b.reduce, shape, machine, count) for b in family.lowered)
    send = beside(() if family.send is None else (family.send,), shape, machine, count)
    known: dict[bool, tuple[Floats, ...]] = {}
    for part in family.steps:
        pipeline = part.symbol("schedule.pipeline", "one_forward_one_backward")
        split, chosen = pipeline in SPLIT, part.places
        if split not in known:
            blocks = [split_backward(b) if split else b for b in family.lowered]
            known[split] = _times(blocks, shape, machine, count)
        times = [t[:, :, chosen] for t in known[split]]
        yield Members(
            family.members[chosen], pipeline, family.class_of,
            tuple(narrowed(attrs.evolve(b, work={}, reduce=()), chosen) for b in family.lowered),
            narrowed(shape, chosen), _counts(family, part, scenario, micro),
            times[0], times[1], times[2], tuple(_at(b, chosen) for b in reduce),
            _at(send, chosen), narrowed(family.updates, chosen), narrowed(family.gathers, chosen),
        )


def _counts(family: Family, part: Steps, scenario: Scenario, micro: Floats) -> dict[str, Floats]:
    count = len(part.places)
    found = {k: values_of(part.cell(*cell), count) for k, cell in _NUMBERS.items()}
    host = part.cells.get(("forward", "cost.host"))
    scale, add = (1.0, 0.0) if host is None else (host.scale, host.add)
    static = part.cells.get(("", "cost.static_bytes"))
    size = len(family.members)
    return found | {
        "micro_batch": micro[part.places],
        "stages": values_of(family.stages, size)[part.places],
        "replicas": values_of(family.replicas, size)[part.places],
        "host": values_of(scenario.runtime.host_s * scale + add, count),
        "static": values_of(0.0 if static is None else static.add / 8, count),
    }


def _times(
    blocks: Sequence[BlockPlan], shape: StepShape, machine: Machine, count: int
) -> tuple[Floats, ...]:
    """Return seconds and the load on links, by kind of task, block and configuration."""
    found = np.zeros((3, 3, len(blocks), count))
    for index, block in enumerate(blocks):
        for kind, phase in enumerate(("forward", "backward", "weight")):
            works = block.work.get(phase, ())
            if works:
                cost = passing(works, shape, machine, count)
                for row, value in enumerate((cost.seconds, cost.inner, cost.outer)):
                    found[row, kind, index] = values_of(value, count)
    return tuple(found)


def beside(
    comms: Iterable[CommWork], shape: StepShape, machine: Machine, count: int
) -> Beside:
    """Return what collectives beside compute take for each of `count` configurations."""
    hidden, exposed, outer, longest = (np.zeros(count) for _ in range(4))
    for comm in bucketed(comms):
        seconds = values_of(
            apart(lambda c, s: flow_of(c, s, machine).seconds, count, comm, shape), count)
        leaves = values_of(apart(lambda g: float(g.nodes > 1), count, comm.group), count)
        share = values_of(comm.hidden, count)
        hidden, exposed = hidden + seconds * share, exposed + seconds * (1 - share)
        outer = np.where(seconds > longest, leaves, outer)
        longest = np.maximum(seconds, longest)
    return Beside(hidden, exposed, outer)


def _at(flows: Beside, chosen: Places) -> Beside:
    return Beside(flows.hidden[chosen], flows.exposed[chosen], flows.outer[chosen])


def chosen_of(members: Members, chosen: Places) -> Members:
    """Return chosen configurations."""
    return Members(
        members.numbers[chosen], members.pipeline, members.class_of,
        narrowed(members.blocks, chosen), narrowed(members.shape, chosen),
        {k: v[chosen] for k, v in members.counts.items()}, members.seconds[:, :, chosen],
        members.inner[:, :, chosen], members.outer[:, :, chosen],
        tuple(_at(b, chosen) for b in members.reduce), _at(members.send, chosen),
        narrowed(members.updates, chosen), narrowed(members.gathers, chosen),
    )


def together(parts: Sequence[Members]) -> Members:
    """Return configurations of one form as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    sizes = [p.count for p in parts]

    def side(rows: Sequence[Beside]) -> Beside:
        return Beside(*(np.concatenate([getattr(r, n) for r in rows])
                        for n in ("hidden", "exposed", "outer")))

    def last(name: str) -> Floats:
        return np.concatenate([getattr(p, name) for p in parts], axis=-1)

    return Members(
        np.concatenate([p.numbers for p in parts]), first.pipeline, first.class_of,
        joined([p.blocks for p in parts], sizes), joined([p.shape for p in parts], sizes),
        {k: np.concatenate([p.counts[k] for p in parts]) for k in first.counts},
        last("seconds"), last("inner"), last("outer"),
        tuple(side(rows) for rows in zip(*(p.reduce for p in parts), strict=True)),
        side([p.send for p in parts]),
        joined([p.updates for p in parts], sizes), joined([p.gathers for p in parts], sizes),
    )


def update_of(
    members: Members, machine: Machine, counts: Sequence[int]
) -> tuple[Floats, Beside]:
    """Return the seconds of the update on a stage with so many of each block, and its gathers."""
    sums: dict[object, Work] = {}
    gathers: dict[object, CommWork] = {}
    for times, works, comms in zip(counts, members.updates, members.gathers, strict=True):
        if times:
            for work in works:
                key = _work_form(work)
                sums[key] = _more(sums.get(key), work, times)
            for comm in comms:
                held = gathers.get(comm.group.axis)
                before = 0.0 if held is None else held.bytes_fixed
                gathers[comm.group.axis] = attrs.evolve(
                    comm, bytes_fixed=before + times * comm.bytes_fixed)
    seconds = passing(tuple(sums.values()), members.shape, machine, members.count).seconds
    flows = beside(gathers.values(), members.shape, machine, members.count)
    return values_of(seconds, members.count), flows


def _more(held: Work | None, work: Work, times: int) -> Work:
    """Return a work with the amounts of another one of its form, so many times."""
    if isinstance(work, CommWork):
        before = held.bytes_fixed if isinstance(held, CommWork) else 0.0
        return attrs.evolve(work, bytes_fixed=before + times * work.bytes_fixed)
    amounts = {}
    for name in ("read_fixed", "write_fixed", "flops_fixed"):
        before = getattr(held, name) if isinstance(held, OpWork) else 0.0
        amounts[name] = before + times * getattr(work, name)
    return attrs.evolve(work, **amounts)
