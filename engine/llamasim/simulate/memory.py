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
from llamasim.simulate.trace import CATEGORIES, Fit, Floats, Ints
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
        order: rows of kind, chunk and micro-batch.
        closing: the kind of task that completes a micro-batch.
        chunks: chunks of every stage; `micro_batches` and `reduce_every` as the schedule has them.
        freed: when a chunk's part's whole gradients of a micro-batch are reduced; where it is not
            said, as soon as they may be.
        end: when the step ends.

    """

    order: Sequence[Task] | Ints
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
            stage.tasks, stage.starts, stage.ends, timings.closing, timings.chunks,
            timings.micro_batches, timings.reduce_every, freed, stage.end,
        )

    def rounds(self) -> list[Round]:
        """Return where each micro-batch stands in the accumulation of gradients."""
        last, every = self.micro_batches - 1, self.reduce_every
        closes = [j == last or (every > 0 and (j + 1) % every == 0) for j in range(last + 1)]
        return [Round(j == 0, j == 0 or closes[j - 1], closes[j]) for j in range(last + 1)]


@attrs.define(eq=False, repr=False)
class Passes:
    """The fullest moments of a plan's passes: chunks of the same blocks have the same."""

    plan: Plan
    _known: dict[tuple[tuple[int, ...], int, bool, Round], Moment] = attrs.Factory(dict)
    _sizes: dict[tuple[int, ...], ChunkBytes] = attrs.Factory(dict)

    def sizes(self, chunk: Chunk) -> ChunkBytes:
        """Return what a chunk's tasks hold."""
        found = self._sizes.get(chunk.blocks)
        if found is None:
            found = self._sizes[chunk.blocks] = chunk_bytes(self.plan, chunk, self.plan.step_shape)
        return found

    def moment(self, chunk: Chunk, kind: int, place: Round, closing: int) -> Moment:
        """Return the fullest moment of a kind of task in a round."""
        shape, prefetch = self.plan.step_shape, self.plan.schedule.prefetch
        key = (chunk.blocks, kind, kind == closing, place)
        found = self._known.get(key)
        if found is None:
            blocks = [self.plan.blocks[i] for i in chunk.blocks]
            found = self._known[key] = (
                forward_moment(blocks, shape, prefetch) if kind == FORWARD
                else backward_moment(blocks, shape, prefetch, place, frees=kind == closing)
            )
        return found


def training_levels(
    plan: Plan, rank: RankClass, tasks: Timeline, scenario: Scenario, passes: Passes | None = None
) -> dict[str, Level]:
    """Return a stage's memory by category over a training step.

    Activations of a chunk are held from its forward to its backward pass; each task stands for its
    fullest moment. `passes` remembers moments from one stage to the next.
    """
    passes = passes or Passes(plan)
    # A stage with fewer chunks than others passes micro-batches on.
    chunks = [*rank.chunks, *[Chunk(-1, ())] * (tasks.chunks - len(rank.chunks))]
    sizes = [passes.sizes(c) for c in chunks]
    kind, chunk, batch = np.asarray(tasks.order, dtype=np.int32).reshape(-1, 3).T
    start, end = np.asarray(tasks.starts), np.asarray(tasks.ends)
    saved = np.array([s.saved for s in sizes])[chunk]
    forward, last = kind == FORWARD, kind == tasks.closing
    less, transient, gathered, gradients = _moments(passes, tasks, chunks, (kind, chunk, batch))
    unified = scenario.cluster.device.unified
    levels = {name: constant(v) for name, v in resident(plan, rank, unified).items()}
    levels["activations"] = of_changes(
        np.concatenate((start[forward], end[last], start, end)),
        np.concatenate((saved[forward], -saved[last], less, -less)),
    )
    held = sum(b.held_bytes for b in blocks_of(plan, rank))
    unpacked = _unpacked(plan, sizes, scenario.runtime)[chunk]
    levels["transient"] = of_spans(start, end, unpacked + transient)
    levels["buffers"] = of_spans(start, end, gathered, held)
    if gradients.any():
        base = float(levels["gradients"].bytes[0])
        changes = _gradient_changes(
            tasks, sizes, chunk[last], batch[last], (start[last], end[last]), gradients[last]
        )
        levels["gradients"] = of_changes(*changes, base)
    return levels


def _unpacked(plan: Plan, sizes: list[ChunkBytes], runtime: Runtime) -> Floats:
    """Return what a runtime takes that writes low-bit weights to memory before their products: the
    largest of each chunk, one at a time.
    """
    unpacks = 0 < runtime.unpack_rows < plan.step_shape.tokens
    return np.array([
        max((b.unpacked_bytes for b in s.blocks), default=0.0) if unpacks else 0.0 for s in sizes
    ])


def _moments(
    passes: Passes, tasks: Timeline, chunks: Sequence[Chunk], columns: tuple[Ints, Ints, Ints]
) -> Floats:
    """Return the fullest moment of each task of a stage: a row each category of `Moment`."""
    kind, chunk, batch = columns
    rounds = tasks.rounds()
    places = {place: code for code, place in enumerate(dict.fromkeys(rounds))}
    place = np.array([places[r] for r in rounds], dtype=np.int32)[batch]
    codes = (kind * len(chunks) + chunk) * len(places) + place
    _, which, row = np.unique(codes, return_index=True, return_inverse=True)
    found = [
        passes.moment(chunks[chunk[i]], int(kind[i]), rounds[batch[i]], tasks.closing)
        for i in which
    ]
    table: Floats = np.array([attrs.astuple(m) for m in found]).T[:, row.reshape(-1)]
    return table


def _gradient_changes(
    tasks: Timeline, sizes: list[ChunkBytes], chunk: Ints, batch: Ints,
    times: tuple[Floats, Floats], beside: Floats,
) -> tuple[Floats, Floats]:
    # Of the tasks that complete a micro-batch: a block's whole gradients live from its first
    # backward pass of a round to its reduction, its own part to the end of the step where it is
    # not held for the whole run.
    begin, stop = times
    rounds = tasks.rounds()
    opens = np.array([r.opens for r in rounds])[batch]
    whole, made = np.array([(sum(s.buffers), s.made) for s in sizes]).T
    first = (batch == 0) & (made[chunk] != 0)
    reduced = [
        (max(float(stop[i]), tasks.freed.get((int(chunk[i]), int(batch[i]), part), 0.0)), -size)
        for i in np.flatnonzero(np.array([r.closes for r in rounds])[batch])
        for part, size in enumerate(sizes[chunk[i]].buffers) if size
    ]
    gone = np.array(reduced).reshape(-1, 2)
    own = made[chunk[first]]
    return (
        np.concatenate((begin, stop, stop[opens], gone[:, 0], stop[first],
                        np.full(len(own), tasks.end))),
        np.concatenate((beside, -beside, whole[chunk[opens]], gone[:, 1], own, -own)),
    )


def host_activations(plan: Plan, rank: RankClass, stage: Stage) -> float:
    """Return the most bytes of activations that a device keeps in its host's memory at once."""
    tokens = plan.step_shape.tokens
    sizes = np.array([
        sum(plan.blocks[i].host_saved_per_token for i in c.blocks) * tokens for c in rank.chunks
    ])
    if not sizes.any():
        return 0.0
    kind, chunk, _ = stage.tasks.T
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
