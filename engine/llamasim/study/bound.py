"""A training step in closed form: never slower and never larger than its simulation.

Used to leave out combinations that could not win: a simulation can only make them worse. Time is
the recurrence of `simulate.fast`. Memory follows from the order of a stage's tasks alone, since its
activations come and go with its own tasks; gradient buffers are taken to go as early as they can.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from llamasim.plan.spec import Plan, RankClass
from llamasim.scenario.spec import Scenario
from llamasim.simulate.fast import makespan
from llamasim.simulate.levels import Level, constant, of_changes, of_spans
from llamasim.simulate.memory import ChunkBytes, chunk_bytes, fit, resident, with_reserve
from llamasim.simulate.orders import FORWARD, Task, closing, orders
from llamasim.simulate.trace import Fit
from llamasim.study.metrics import training_metrics


@attrs.frozen
class Bound:
    """What a training step takes at least."""

    fits: tuple[Fit, ...]
    metrics: dict[str, float | None]


def training_bound(plan: Plan, scenario: Scenario) -> Bound:
    """Return the least memory of every rank class and, where that fits, the least time."""
    fits = memory_bound(plan, scenario)
    if not all(f.fits for f in fits):
        return Bound(fits, {})
    seconds = makespan(plan, scenario)
    return Bound(fits, training_metrics(scenario, seconds, fits))


def memory_bound(plan: Plan, scenario: Scenario) -> tuple[Fit, ...]:
    """Return the least memory of every rank class."""
    unified = scenario.cluster.device.unified
    rest = [{k: constant(v) for k, v in resident(plan, r, unified).items()} for r in plan.ranks]
    schedule = plan.schedule
    lists = orders(schedule.pipeline, len(plan.ranks), schedule.chunks, schedule.micro_batches)
    levels = [
        with_reserve(_levels(plan, rank, order, held), scenario)
        for rank, order, held in zip(plan.ranks, lists, rest, strict=True)
    ]
    return tuple(fit(plan, i, v, scenario) for i, v in enumerate(levels))


def _levels(
    plan: Plan, rank: RankClass, order: Sequence[Task], held: dict[str, Level]
) -> dict[str, Level]:
    """Return memory by category where the i-th task runs from time i to i + 1."""
    sizes = [chunk_bytes(plan, c, plan.step_shape) for c in rank.chunks]
    sizes += [ChunkBytes(0.0, 0.0, 0.0, ())] * (plan.schedule.chunks - len(sizes))
    kind, chunk, _ = (np.array(x, dtype=np.int32) for x in zip(*order, strict=True))
    start = np.arange(len(order), dtype=np.float64)
    saved = np.array([s.saved for s in sizes])[chunk]
    forward, last = kind == FORWARD, kind == closing(plan.schedule.pipeline)
    levels = dict(held)
    levels["activations"] = of_changes(
        np.concatenate((start[forward], start[last] + 1)),
        np.concatenate((saved[forward], -saved[last])),
    )
    for name, column in (("transient", [s.transient for s in sizes]),
                         ("buffers", [s.gathered for s in sizes])):
        levels[name] = of_spans(start, start + 1, np.array(column)[chunk])
    buffers = _buffers(plan, order, sizes)
    if len(buffers[0]):
        levels["gradients"] = of_changes(*buffers, float(held["gradients"].bytes[0]))
    return levels


def _buffers(
    plan: Plan, order: Sequence[Task], sizes: Sequence[ChunkBytes]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]],
           np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return when whole gradients of a block are made and, at the earliest, reduced."""
    every, last = plan.schedule.reduce_every, plan.schedule.micro_batches - 1

    def closes(j: int) -> bool:
        return j == last or (every > 0 and (j + 1) % every == 0)

    rows = [
        (i + (part + shift) / len(sizes[c].buffers), sign * size)
        for i, (kind, c, j) in enumerate(order)
        if kind == closing(plan.schedule.pipeline)
        for part, size in enumerate(sizes[c].buffers) if size
        for shift, sign, counts in ((0, 1, j == 0 or closes(j - 1)), (1, -1, closes(j)))
        if counts
    ]
    return np.array([t for t, _ in rows]), np.array([b for _, b in rows])
