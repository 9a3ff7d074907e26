"""From a plan's work to durations: each distinct piece of work is costed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from llamasim.cost import Machine, comm_cost, segment_cost
from llamasim.plan.spec import CommWork, Plan, RankClass, StepShape, Work
from llamasim.scenario.spec import Scenario
from llamasim.simulate.orders import SPLIT
from llamasim.simulate.timings import ChunkTimes, Flow, Part, Segment, StageTimes, Timings

EMPTY = Segment()


@attrs.define(eq=False, repr=False)
class Costs:
    """Durations of the work of one plan on one machine, remembered by block, phase and shape."""

    plan: Plan
    machine: Machine
    _segments: dict[tuple[int, str, StepShape], Segment] = attrs.Factory(dict)

    @staticmethod
    def of(plan: Plan, scenario: Scenario) -> Costs:
        """Return the costs of a plan on its scenario's machines."""
        return Costs(plan, Machine.of(scenario))

    def block(self, index: int, phase: str, shape: StepShape) -> Segment:
        """Return one block's pass."""
        key = (index, phase, shape)
        found = self._segments.get(key)
        if found is None:
            found = self.work(self.plan.blocks[index].work.get(phase, ()), shape)
            self._segments[key] = found
        return found

    def blocks(self, indices: Iterable[int], phase: str, shape: StepShape) -> Segment:
        """Return the pass of blocks one after another."""
        counted = Counter(indices)
        return total((self.block(i, phase, shape), n) for i, n in counted.items())

    def work(self, works: tuple[Work, ...], shape: StepShape) -> Segment:
        """Return any work on the compute stream, its waits split by cause."""
        if not works:
            return EMPTY
        cost = segment_cost(works, shape, self.machine)
        if cost.seconds <= 0:
            return EMPTY
        busy = [0.0, 0.0]
        for row in cost.rows:
            work = works[row.index]
            if isinstance(work, CommWork) and row.stream != "copy":
                busy[work.group.nodes > 1] += row.seconds
        inner, outer = (min(1.0, s / cost.seconds) for s in busy)
        waits = {
            k if k == "copy" else f"collective:{k}": v
            for k, v in cost.exposed_comm_s.items() if v > 0
        }
        return Segment(cost.seconds, waits, inner, outer)

    def flow(self, comm: CommWork, shape: StepShape) -> Flow:
        """Return a transfer or collective that runs beside the compute stream."""
        return flow_of(comm, shape, self.machine)


def flow_of(comm: CommWork, shape: StepShape, machine: Machine) -> Flow:
    """Return a transfer or collective beside the compute stream, by what it takes alone."""
    cost = comm_cost(comm, shape, machine)
    outer = comm.group.nodes > 1
    return Flow(comm.name, comm.group.axis, cost.seconds, comm.hidden, cost.wire_bytes, outer)


def total(parts: Iterable[tuple[Segment, float]]) -> Segment:
    """Return segments run one after another, each a number of times."""
    parts = [(s, n) for s, n in parts if n]
    if len(parts) == 1 and parts[0][1] == 1:
        return parts[0][0]
    seconds = sum(s.seconds * n for s, n in parts)
    waits: dict[str, float] = {}
    for segment, n in parts:
        for cause, value in segment.waits.items():
            waits[cause] = waits.get(cause, 0.0) + value * n
    if seconds <= 0:
        return EMPTY
    inner = sum(s.inner * s.seconds * n for s, n in parts) / seconds
    outer = sum(s.outer * s.seconds * n for s, n in parts) / seconds
    return Segment(seconds, waits, inner, outer)


def bucketed(comms: Iterable[CommWork]) -> list[CommWork]:
    """Join messages of one kind over one group: a block's tensors travel in one bucket."""
    joined: dict[tuple[object, ...], CommWork] = {}
    for comm in comms:
        key = (comm.kind, comm.group, comm.hidden, comm.stream, comm.basis, comm.routed)
        other = joined.get(key)
        joined[key] = comm if other is None else attrs.evolve(
            other,
            bytes_fixed=other.bytes_fixed + comm.bytes_fixed,
            bytes_per_token=other.bytes_per_token + comm.bytes_per_token,
        )
    return list(joined.values())


def step_timings(plan: Plan, scenario: Scenario) -> Timings:
    """Return the durations of a plan's training step."""
    runtime, schedule = scenario.runtime, plan.schedule
    costs = Costs.of(plan, scenario)
    count = max((len(r.chunks) for r in plan.ranks), default=1)
    stages = [_stage(plan, costs, rank, count) for rank in plan.ranks]
    send = None
    if plan.pipeline_send is not None and len(stages) > 1:
        send = costs.flow(plan.pipeline_send, plan.step_shape)
    sides = {f.outer for s in stages for f in _flows(s)} | ({send.outer} if send else set())
    return Timings(
        tuple(_quiet(s, sides) for s in stages),
        send,
        runtime.host_s * schedule.host_scale + schedule.host_add_s,
        min(0.9, runtime.overlap_tax),
        schedule.pipeline,
        schedule.micro_batches,
        schedule.reduce_every,
    )


def _stage(plan: Plan, costs: Costs, rank: RankClass, count: int) -> StageTimes:
    shape = plan.step_shape
    chunks = [_chunk(plan, costs, c.blocks) for c in rank.chunks]
    # A stage with fewer chunks than others passes micro-batches on.
    chunks += [ChunkTimes(EMPTY, EMPTY, (Part(1.0),))] * (count - len(chunks))
    return StageTimes(
        tuple(chunks),
        tuple(costs.flow(c, shape) for c in bucketed(rank.step_start)),
        costs.work(rank.optimizer, shape),
        tuple(costs.flow(c, shape) for c in bucketed(rank.step_end)),
    )


def _chunk(plan: Plan, costs: Costs, blocks: tuple[int, ...]) -> ChunkTimes:
    shape = plan.step_shape
    forward = costs.blocks(blocks, "forward", shape)
    backward = costs.blocks(blocks, "backward", shape)
    weight = costs.blocks(blocks, "weight", shape)
    last, phase = (weight, "weight") if plan.schedule.pipeline in SPLIT else (backward, "backward")
    parts = []
    for index in reversed(blocks):
        seconds = costs.block(index, phase, shape).seconds
        share = seconds / last.seconds if last.seconds > 0 else 1 / len(blocks)
        flows = tuple(costs.flow(c, shape) for c in bucketed(plan.blocks[index].reduce))
        parts.append(Part(share, flows, plan.blocks[index].grad_buffer_bytes > 0))
    return ChunkTimes(forward, backward, tuple(parts) or (Part(1.0),), weight)


def _flows(stage: StageTimes) -> Iterable[Flow]:
    yield from (*stage.start, *stage.end)
    for chunk in stage.chunks:
        for part in chunk.parts:
            yield from part.reduce


def _quiet(stage: StageTimes, sides: set[bool]) -> StageTimes:
    """Drop the load on links which nothing beside compute uses: it could slow nothing."""

    def quiet(segment: Segment) -> Segment:
        inner = segment.inner if False in sides else 0.0
        return attrs.evolve(segment, inner=inner, outer=segment.outer if True in sides else 0.0)

    chunks = [
        attrs.evolve(
            c, forward=quiet(c.forward), backward=quiet(c.backward), weight=quiet(c.weight)
        )
        for c in stage.chunks
    ]
    return attrs.evolve(stage, chunks=tuple(chunks), optimizer=quiet(stage.optimizer))


def weighted(rows: Iterable[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Average waits over devices; each row is a class' number of devices and its waits."""
    rows = list(rows)
    devices = sum(n for n, _ in rows)
    result: dict[str, float] = {}
    for n, waits in rows:
        for cause, seconds in waits.items():
            result[cause] = result.get(cause, 0.0) + seconds * n / devices
    return dict(sorted(result.items()))
