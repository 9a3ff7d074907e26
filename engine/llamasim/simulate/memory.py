"""Memory of a rank class: what is resident, what a chunk's tasks add, and whether it fits."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from llamasim.plan.spec import BlockPlan, Chunk, Plan, RankClass, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.levels import Level, constant, of_changes, of_spans, peak
from llamasim.simulate.orders import FORWARD
from llamasim.simulate.stage import Stage
from llamasim.simulate.trace import CATEGORIES, Fit, Floats, Ints

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
        "gradients": sum(b.grad_bytes for b in blocks),
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
    """What a chunk's tasks hold beyond what is resident, for one micro-batch."""

    saved: float
    transient: float
    gathered: float
    buffers: tuple[float, ...]


def chunk_bytes(plan: Plan, chunk: Chunk, shape: StepShape) -> ChunkBytes:
    """Return a chunk's activations, working set, gathered weights and gradient buffers.

    Gathered weights are those of the block at work and of the `prefetch` next ones; the buffers
    are in the order of the backward pass.
    """
    blocks = [plan.blocks[i] for i in chunk.blocks]
    if not blocks:
        return ChunkBytes(0.0, 0.0, 0.0, ())
    gathered = sorted((b.gathered_bytes for b in blocks), reverse=True)
    return ChunkBytes(
        sum(
            b.saved_per_token * shape.tokens + b.saved_per_pair * shape.full_pairs + b.saved_fixed
            for b in blocks
        ),
        max(transient_of(b, shape) for b in blocks),
        sum(gathered[: 1 + plan.schedule.prefetch]),
        tuple(b.grad_buffer_bytes for b in reversed(blocks)),
    )


def transient_of(block: BlockPlan, shape: StepShape) -> float:
    """Return a block's largest working set."""
    return block.transient_per_token * shape.tokens + block.transient_per_pair * shape.full_pairs


def training_levels(plan: Plan, rank: RankClass, stage: Stage, unified: bool) -> dict[str, Level]:
    """Return a stage's memory by category over a training step.

    Activations of a chunk are held from the start of its forward pass to the end of its backward
    pass, as are those of a whole chunk: the peak lies at the end of the one or the start of the
    other.
    """
    sizes = [chunk_bytes(plan, c, plan.step_shape) for c in rank.chunks]
    kind, chunk, j = (np.array(x, dtype=np.int32) for x in zip(*stage.order, strict=True))
    start, end = np.array(stage.starts), np.array(stage.ends)
    saved = np.array([s.saved for s in sizes])[chunk]
    forward, last = kind == FORWARD, kind == stage.timings.closing
    levels = {name: constant(v) for name, v in resident(plan, rank, unified).items()}
    levels["activations"] = of_changes(
        np.concatenate((start[forward], end[last])),
        np.concatenate((saved[forward], -saved[last])),
    )
    levels["transient"] = of_spans(start, end, np.array([s.transient for s in sizes])[chunk])
    levels["buffers"] = of_spans(start, end, np.array([s.gathered for s in sizes])[chunk])
    if any(any(s.buffers) for s in sizes):
        base = float(levels["gradients"].bytes[0])
        changes = _gradient_changes(stage, sizes, (kind, chunk, j), start, end)
        levels["gradients"] = of_changes(*changes, base)
    return levels


def _gradient_changes(
    stage: Stage, sizes: list[ChunkBytes], task: tuple[Ints, Ints, Ints], start: Floats,
    end: Floats,
) -> tuple[Floats, Floats]:
    # A block's whole gradients live from its first backward pass of a round to its reduction.
    times: list[float] = []
    deltas: list[float] = []
    timings = stage.timings
    freed = {(c, j, part): t for c, j, part, _, t in stage.reductions}
    for k, c, j, begin, stop in zip(*task, start, end, strict=True):
        if k != timings.closing or not any(sizes[c].buffers):
            continue
        opens, closes = j == 0 or timings.closes_round(j - 1), timings.closes_round(j)
        at = begin
        for part, size in enumerate(sizes[c].buffers):
            if opens:
                times.append(at)
                deltas.append(size)
            if closes:
                times.append(freed.get((c, j, part), stage.end))
                deltas.append(-size)
            at += (stop - begin) * stage.times.chunks[c].parts[part].share
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


def with_reserve(levels: Mapping[str, Level], scenario: Scenario) -> dict[str, Level]:
    """Add what the runtime keeps for itself and what its allocator loses.

    The loss is a share of what comes and goes; what is allocated once does not fragment.
    """
    runtime = scenario.runtime
    moving = {k: v for k, v in levels.items() if k in DYNAMIC}
    lost = runtime.fragmentation * (peak(moving)[0] if moving else 0.0)
    return {**levels, "reserve": constant(runtime.reserve_bytes + lost)}


def fit(
    plan: Plan, index: int, levels: Mapping[str, Level], scenario: Scenario,
    host_extra: float = 0.0,
) -> Fit:
    """Hold a rank class' peak against the device's memory, and its host's share against the host's.

    The host serves all devices of its node, each of which keeps as much there, `host_extra` (a
    cache, activations) included.
    """
    cluster = scenario.cluster
    total, at = peak(levels)
    device = cluster.device
    here = min(cluster.devices_per_node, cluster.devices)
    host = 0.0 if device.unified else (host_resident(plan, plan.ranks[index]) + host_extra) * here
    return Fit(
        index,
        total,
        device.memory_bytes * scenario.runtime.memory_share,
        at,
        host,
        cluster.host.memory_bytes,
    )
