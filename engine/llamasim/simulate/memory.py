"""Memory of a rank class: what is resident, what a chunk's tasks add, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from llamasim.catalog.specs import Runtime
from llamasim.plan.spec import BlockPlan, Chunk, Plan, RankClass, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.levels import Level, constant, of_changes, of_spans, peak
from llamasim.simulate.orders import FORWARD, Task
from llamasim.simulate.stage import Stage
from llamasim.simulate.trace import CATEGORIES, Fit, Floats
from llamasim.simulate.within import (
    Moment,
    Round,
    backward_moment,
    forward_moment,
    saved_of,
)

#: Categories whose bytes come and go through the allocator.
DYNAMIC = ("activations", "transient", "buffers")


def blocks_of(plan: Plan, rank: RankClass) -> list[BlockPlan]:
    """Return all blocks of a rank class in the order in which they run."""
    return [plan.blocks[i] for chunk in rank.chunks for i in chunk.blocks]


def resident(plan: Plan, rank: RankClass, unified: bool) -> dict[str, float]:
    """Return the bytes that stay on the device throughout, by category."""
    blocks = blocks_of(plan, rank)
    result = {
        "weights": rank.static_bytes + sum(b.weight_bytes + b.static_bytes for b in blocks),
        "gradients": sum(b.grad_bytes for b in blocks if b.grad_life == "run"),
        "optimizer": sum(b.optimizer_bytes for b in blocks),
    }
    if unified:
        # The host's memory is the device's.
        for block in blocks:
            for name, value in block.host_bytes.items():
                category = name if name in CATEGORIES else "weights"
                result[category] = result.get(category, 0.0) + value
    return result


def host_resident(plan: Plan, rank: RankClass) -> float:
    """Return the bytes that a device of this class keeps in its host's memory."""
    return sum(sum(b.host_bytes.values()) for b in blocks_of(plan, rank))


@attrs.frozen
class ChunkBytes:
    """What a chunk's tasks hold beyond what is resident, for one micro-batch.

    Attributes:
        saved: activations kept to the backward pass.
        buffers: whole gradients, beyond their shards, in the order of the backward pass.
        made: gradients that the step's first backward pass makes.

    """

    blocks: tuple[BlockPlan, ...]
    saved: float
    gathered: float
    buffers: tuple[float, ...]
    made: float


def chunk_bytes(plan: Plan, chunk: Chunk, shape: StepShape) -> ChunkBytes:
    """Return what a chunk holds. Gathered weights are the most that a window of the block at work
    and the `prefetch` next ones takes.
    """
    blocks = [plan.blocks[i] for i in chunk.blocks]
    gathered = sorted((b.gathered_bytes for b in blocks), reverse=True)
    return ChunkBytes(
        tuple(blocks),
        sum(saved_of(b, shape) for b in blocks),
        sum(gathered[: 1 + plan.schedule.prefetch]),
        tuple(b.grad_buffer_bytes for b in reversed(blocks)),
        sum(b.grad_bytes for b in blocks if b.grad_life == "step_end"),
    )


@attrs.frozen
class Timeline:
    """A stage's tasks in time.

    Attributes:
        closing: the kind of task that completes a micro-batch.
        chunks: chunks of every stage; `micro_batches` and `reduce_every` as the schedule has them.
        freed: when a chunk's part's whole gradients of a micro-batch are reduced; where it is not
            said, as soon as they may be.
        end: when the step ends.

    """

    order: Sequence[Task]
    starts: Sequence[float]
    ends: Sequence[float]
    closing: int
    chunks: int
    micro_batches: int
    reduce_every: int
    freed: Mapping[tuple[int, int, int], float]
    end: float

    @staticmethod
    def of(stage: Stage) -> Timeline:
        """Return a simulated stage's."""
        timings = stage.timings
        freed = {(c, j, part): t for c, j, part, _, t in stage.reductions}
        return Timeline(
            stage.order, stage.starts, stage.ends, timings.closing, timings.chunks,
            timings.micro_batches, timings.reduce_every, freed, stage.end,
        )

    def closes(self, j: int) -> bool:
        """Whether gradients are reduced after a micro-batch."""
        if j == self.micro_batches - 1:
            return True
        return self.reduce_every > 0 and (j + 1) % self.reduce_every == 0

    def round(self, j: int) -> Round:
        """Return where a micro-batch stands in the accumulation of gradients."""
        return Round(j == 0, j == 0 or self.closes(j - 1), self.closes(j))


def training_levels(
    plan: Plan, rank: RankClass, tasks: Timeline, scenario: Scenario
) -> dict[str, Level]:
    """Return a stage's memory by category over a training step.

    Activations of a chunk are held from its forward to its backward pass; each task stands for its
    fullest moment.
    """
    sizes = [chunk_bytes(plan, c, plan.step_shape) for c in rank.chunks]
    sizes += [ChunkBytes((), 0.0, 0.0, (), 0.0)] * (tasks.chunks - len(sizes))
    kind, chunk, _ = (np.array(x, dtype=np.int32) for x in zip(*tasks.order, strict=True))
    start, end = np.array(tasks.starts), np.array(tasks.ends)
    saved = np.array([s.saved for s in sizes])[chunk]
    forward, last = kind == FORWARD, kind == tasks.closing
    moments = _moments(plan, tasks, sizes)
    less = np.array([m.activations for m in moments])
    unified = scenario.cluster.device.unified
    levels = {name: constant(v) for name, v in resident(plan, rank, unified).items()}
    levels["activations"] = of_changes(
        np.concatenate((start[forward], end[last], start, end)),
        np.concatenate((saved[forward], -saved[last], less, -less)),
    )
    held = sum(b.held_bytes for b in blocks_of(plan, rank))
    unpacked = _unpacked(plan, sizes, scenario.runtime)[chunk]
    levels["transient"] = of_spans(start, end, unpacked + [m.transient for m in moments])
    levels["buffers"] = of_spans(start, end, np.array([m.gathered for m in moments]), held)
    if any(m.gradients for m in moments):
        base = float(levels["gradients"].bytes[0])
        levels["gradients"] = of_changes(*_gradient_changes(tasks, sizes, moments), base)
    return levels


def _unpacked(plan: Plan, sizes: list[ChunkBytes], runtime: Runtime) -> Floats:
    """Return what a runtime takes that writes low-bit weights to memory before their products: the
    largest of each chunk, one at a time.
    """
    unpacks = 0 < runtime.unpack_rows < plan.step_shape.tokens
    return np.array([
        max((b.unpacked_bytes for b in s.blocks), default=0.0) if unpacks else 0.0 for s in sizes
    ])


def _moments(plan: Plan, tasks: Timeline, sizes: list[ChunkBytes]) -> list[Moment]:
    """Return the fullest moment of each task of a stage."""
    shape, prefetch = plan.step_shape, plan.schedule.prefetch
    known: dict[tuple[int, int, Round], Moment] = {}
    found = []
    for kind, chunk, j in tasks.order:
        place = tasks.round(j)
        key = (kind, chunk, place)
        if key not in known:
            blocks = list(sizes[chunk].blocks)
            known[key] = forward_moment(blocks, shape, prefetch) if kind == FORWARD else (
                backward_moment(blocks, shape, prefetch, place, frees=kind == tasks.closing)
            )
        found.append(known[key])
    return found


def _gradient_changes(
    tasks: Timeline, sizes: list[ChunkBytes], moments: list[Moment]
) -> tuple[Floats, Floats]:
    # A block's whole gradients live from its first backward pass of a round to its reduction,
    # its own part to the end of the step where it is not held for the whole run.
    changes: list[tuple[float, float]] = []
    rows = zip(tasks.order, tasks.starts, tasks.ends, moments, strict=True)
    for (kind, c, j), begin, stop, moment in rows:
        if kind != tasks.closing:
            continue
        place, buffers = tasks.round(j), sizes[c].buffers
        changes += [(begin, moment.gradients), (stop, -moment.gradients)]
        if place.opens:
            changes.append((stop, sum(buffers)))
        if place.closes:
            changes += [(max(stop, tasks.freed.get((c, j, part), stop)), -size)
                        for part, size in enumerate(buffers)]
        if place.first and sizes[c].made:
            changes += [(stop, sizes[c].made), (tasks.end, -sizes[c].made)]
    times, deltas = zip(*changes, strict=True) if changes else ((), ())
    return np.array(times), np.array(deltas)


def host_activations(plan: Plan, rank: RankClass, stage: Stage) -> float:
    """Return the most bytes of activations that a device keeps in its host's memory at once."""
    tokens = plan.step_shape.tokens
    sizes = np.array([
        sum(plan.blocks[i].host_saved_per_token for i in c.blocks) * tokens for c in rank.chunks
    ])
    if not sizes.any():
        return 0.0
    kind, chunk, _ = (np.array(x, dtype=np.int32) for x in zip(*stage.order, strict=True))
    start, end = np.array(stage.starts), np.array(stage.ends)
    forward, last = kind == FORWARD, kind == stage.timings.closing
    saved = sizes[chunk]
    level = of_changes(
        np.concatenate((start[forward], end[last])),
        np.concatenate((saved[forward], -saved[last])),
    )
    return peak({"activations": level})[0]


def with_reserve(
    levels: Mapping[str, Level], scenario: Scenario, *, gives_back: bool = False
) -> dict[str, Level]:
    """Add what the runtime keeps for itself and what its allocator loses.

    The loss is a share of what comes and goes; what is allocated once does not fragment. Gathered
    weights are allocated on a stream of their own, whose memory no other stream uses meanwhile.
    An allocator that `gives_back` frees what it holds unused before it fails (PyTorch's caching
    allocator), so that it loses no more than there is room for.
    """
    runtime = scenario.runtime
    moving = {k: v for k, v in levels.items() if k in DYNAMIC}
    lost = runtime.fragmentation * (peak(moving)[0] if moving else 0.0)
    buffers = levels.get("buffers", constant(0.0))
    unused = lost + buffers.top - buffers.bytes
    if gives_back:
        own = peak(levels)[0] + runtime.reserve_bytes
        unused = np.minimum(unused, max(0.0, capacity(scenario) - own))
    return {**levels, "reserve": Level(buffers.time, runtime.reserve_bytes + unused)}


def capacity(scenario: Scenario) -> float:
    """Return the bytes of a device that the runtime may use."""
    return scenario.cluster.device.memory_bytes * scenario.runtime.memory_share


def measures(fit: Fit, scenario: Scenario) -> dict[str, float]:
    """Return a rank class' peak as programs report it, in bytes.

    `allocated` is what tensors take (`torch.cuda.max_memory_allocated`, also "active"), `reserved`
    adds what the allocator holds besides (`max_memory_reserved`), `device` all that the device has
    given out, as its driver shows it.
    """
    return {"allocated": fit.allocated_bytes, "device": fit.peak_bytes,
            "reserved": fit.peak_bytes - scenario.runtime.reserve_bytes}


def fit(
    plan: Plan, index: int, levels: Mapping[str, Level], scenario: Scenario,
    host_extra: float = 0.0,
) -> Fit:
    """Hold a rank class' peak against the device's memory, and its host's share against the host's.

    The host serves all devices of its node, each of which keeps as much there, `host_extra` (a
    cache, activations) included.
    """
    cluster = scenario.cluster
    total, at = peak(levels, "reserve")
    device = cluster.device
    here = min(cluster.devices_per_node, cluster.devices)
    host = 0.0 if device.unified else (host_resident(plan, plan.ranks[index]) + host_extra) * here
    return Fit(
        index,
        total,
        capacity(scenario),
        at,
        host,
        cluster.host.memory_bytes,
        peak({k: v for k, v in levels.items() if k != "reserve"})[0],
    )
