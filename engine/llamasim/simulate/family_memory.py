"""Peak memory of many configurations of one schedule, by the rules of `simulate.memory`.

What a stage holds follows from the order of its tasks alone, but for whole gradients that wait for
their reduction, which follow from its times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from llamasim.plan.spec import BlockPlan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.memory import capacity
from llamasim.simulate.orders import FORWARD, closing, orders
from llamasim.simulate.timings import IN_FLIGHT
from llamasim.simulate.trace import CATEGORIES
from llamasim.simulate.within import (
    Moment,
    Round,
    backward_moment,
    forward_moment,
    saved_of,
    stacked,
)
from llamasim.units.many import Floats, Places, values_of


@attrs.frozen
class Situation:
    """A task with what its stage holds when it starts.

    Attributes:
        kept: micro-batches whose activations wait, by chunk, its own included.
        whole: whether a chunk's whole gradients are there; `made` whether its parts of them are.
        late: chunk that was reduced just before, -1 where there is none.

    """

    kind: int
    chunk: int
    place: Round
    kept: tuple[int, ...]
    whole: tuple[bool, ...]
    made: tuple[bool, ...]
    late: int


@lru_cache(maxsize=1024)
def situations(
    pipeline: str, stages: int, chunks: int, micro_batches: int, reduce_every: int
) -> tuple[tuple[Situation, ...], ...]:
    """Return the situations of each stage that may be its fullest."""
    lists = orders(pipeline, stages, chunks, micro_batches)
    ends = closing(pipeline)

    def closes(j: int) -> bool:
        return j == micro_batches - 1 or (reduce_every > 0 and (j + 1) % reduce_every == 0)

    return tuple(_fullest(_walk(order, chunks, ends, closes)) for order in lists)


def _walk(
    order: Sequence[tuple[int, int, int]], chunks: int, ends: int, closes: Callable[[int], bool]
) -> list[Situation]:
    kept, whole, made = [0] * chunks, [False] * chunks, [False] * chunks
    found: dict[Situation, None] = {}
    late = -1
    for kind, chunk, j in order:
        kept[chunk] += kind == FORWARD
        place = Round(j == 0, j == 0 or closes(j - 1), closes(j))
        if kind == FORWARD:
            place = Round(False, False, False)
        found[Situation(kind, chunk, place, tuple(kept), tuple(whole), tuple(made), late)] = None
        late = -1
        if kind == ends:
            kept[chunk] -= 1
            whole[chunk] = not place.closes
            made[chunk] = True
            late = chunk if place.closes else -1
    return list(found)


def _fullest(found: list[Situation]) -> tuple[Situation, ...]:
    """Drop situations that another one of the same task exceeds in everything."""
    groups: dict[object, list[Situation]] = {}
    for s in found:
        groups.setdefault((s.kind, s.chunk, s.place, s.whole, s.made, s.late), []).append(s)
    result: list[Situation] = []
    for group in groups.values():
        rows = np.array([s.kept for s in group])
        for index, s in enumerate(group):
            above = (rows >= rows[index]).all(axis=1) & (rows > rows[index]).any(axis=1)
            if not above.any():
                result.append(s)
    return tuple(result)


@attrs.frozen(eq=False)
class Peaks:
    """Memory of each configuration: the stage with the least room, and what it holds.

    Attributes:
        stage: that has the least room; `peak`, `allocated` its bytes, `host` those of its node's
            host.
        categories: bytes at its fullest moment by category.
        fits: whether every stage fits.

    """

    stage: Places
    peak: Floats
    allocated: Floats
    host: Floats
    categories: Mapping[str, Floats]
    fits: np.ndarray[Any, np.dtype[np.bool_]]


@attrs.frozen(eq=False)
class Given:
    """Configurations of one schedule.

    Attributes:
        blocks: with a value for each configuration; `shape` so too.
        layout: numbers of the blocks of each chunk of each stage, in order.
        static: bytes of no block in particular.
        reducing: seconds of each block's reductions beside compute.
        rest: as in `closed.Steps`; None to leave out gradients that wait for their reduction.
        scenario: for what the device and its runtime have.

    """

    blocks: tuple[BlockPlan, ...]
    shape: StepShape
    layout: tuple[tuple[tuple[int, ...], ...], ...]
    pipeline: str
    micro_batches: int
    reduce_every: int
    prefetch: int
    static: Floats
    reducing: Floats
    rest: Floats | None
    scenario: Scenario

    @property
    def count(self) -> int:
        """Configurations."""
        return len(self.static)


def peaks(given: Given) -> Peaks:
    """Return the memory of configurations of one schedule."""
    layout, every = given.layout, np.arange(given.count)
    table = situations(given.pipeline, len(layout), len(layout[0]), given.micro_batches,
                       given.reduce_every)
    cluster, cap = given.scenario.cluster, capacity(given.scenario)
    known: dict[object, tuple[Floats, ...]] = {}
    rows = []
    for stage, (chunks, found) in enumerate(zip(layout, table, strict=True)):
        key = (chunks, found) if given.rest is None else stage
        if key not in known:
            known[key] = _Stage(given, stage, chunks).peak(found)
        rows.append(known[key])
    peak, allocated, host, held = (np.stack(column) for column in zip(*rows, strict=True))
    lacking = np.maximum(peak - cap, host - cluster.host.memory_bytes)
    worst = np.argmax(lacking, axis=0)
    categories = held[worst, :, every]
    return Peaks(
        worst, peak[worst, every], allocated[worst, every], host[worst, every],
        {name: categories[:, k] for k, name in enumerate(CATEGORIES)},
        np.asarray((lacking <= 0).all(axis=0)),
    )


class _Stage:
    """One stage of each configuration: `chunks` are the numbers of its blocks."""

    def __init__(self, given: Given, stage: int, chunks: Sequence[Sequence[int]]) -> None:
        self.given, self.count = given, given.count
        self.chunks = [[given.blocks[i] for i in c] for c in chunks]
        self.saved = np.stack([
            self._sum(saved_of(b, given.shape) for b in c) for c in self.chunks])
        self.buffers = np.stack([self._sum(b.grad_buffer_bytes for b in c) for c in self.chunks])
        self.made = np.stack([
            self._sum(b.grad_bytes for b in c if b.grad_life == "step_end") for c in self.chunks])
        self.stage, self.numbers = stage, chunks
        self.moments: dict[object, tuple[Floats, ...]] = {}

    def _sum(self, values: Iterable[float]) -> Floats:
        total = np.zeros(self.count)
        for value in values:
            total = total + values_of(value, self.count)
        return total

    def _late(self, s: Situation) -> Floats:
        """Return whole gradients of the chunk before that are not yet reduced: the last blocks'."""
        found = np.zeros(self.count)
        if s.late < 0 or self.given.rest is None:
            return found
        rest = self.given.rest[int(s.kind != FORWARD), self.stage]
        for block in self.numbers[s.late][:IN_FLIGHT]:
            size = values_of(self.given.blocks[block].grad_buffer_bytes, self.count)
            found = found + np.where(rest > 0, size, 0.0)
            rest = rest - self.given.reducing[block]
        return found

    def _moment(self, s: Situation) -> tuple[Floats, ...]:
        key = (s.kind, s.chunk, s.place)
        if key not in self.moments:
            blocks, given = self.chunks[s.chunk], self.given
            found: Moment = forward_moment(blocks, given.shape, given.prefetch) if (
                s.kind == FORWARD) else backward_moment(
                blocks, given.shape, given.prefetch, s.place,
                frees=s.kind == closing(given.pipeline))
            self.moments[key] = tuple(values_of(v, self.count) for v in (
                found.activations, found.transient, found.gathered, found.gradients))
        return self.moments[key]

    def _rows(self, found: Sequence[Situation]) -> tuple[Floats, ...]:
        """Return activations, working sets, buffers and gradients in each situation."""
        moments = [self._moment(s) for s in found]
        less, transient, gathered, more = (
            np.stack(column) for column in zip(*moments, strict=True))
        kept = np.array([s.kept for s in found], dtype=np.float64)
        whole = np.array([s.whole for s in found], dtype=np.float64)
        made = np.array([s.made for s in found], dtype=np.float64)
        unpacked = np.stack([self._unpacked(s.chunk) for s in found])
        gradients = more + whole @ self.buffers + made @ self.made
        gradients = gradients + np.stack([self._late(s) for s in found])
        return kept @ self.saved + less, transient + unpacked, gathered, gradients

    def _unpacked(self, chunk: int) -> Floats:
        runtime, shape = self.given.scenario.runtime, self.given.shape
        if runtime.unpack_rows <= 0:
            return np.zeros(self.count)
        sizes = stacked([b.unpacked_bytes for b in self.chunks[chunk]] or [0.0]).max(axis=0)
        tokens = values_of(shape.tokens, self.count)
        return np.where(tokens > runtime.unpack_rows, sizes, 0.0)

    def peak(self, found: Sequence[Situation]) -> tuple[Floats, ...]:
        """Return the peak, what tensors take of it, the host's bytes, and what the peak is."""
        scenario = self.given.scenario
        cap, reserve = capacity(scenario), scenario.runtime.reserve_bytes
        resident = self._resident()
        blocks = [b for c in self.chunks for b in c]
        held = self._sum(b.held_bytes for b in blocks)
        active, transient, gathered, gradients = self._rows(found)
        gathered = gathered + held
        moving = active + transient + gathered
        own = moving + gradients + sum(resident.values())
        allocated = own.max(axis=0)
        lost = scenario.runtime.fragmentation * moving.max(axis=0)
        unused = lost + gathered.max(axis=0) - gathered
        unused = np.minimum(unused, np.maximum(0.0, cap - allocated - reserve))
        total = own + unused + reserve
        row, every = np.argmax(total, axis=0), np.arange(self.count)
        parts = resident | {
            "activations": active[row, every], "transient": transient[row, every],
            "buffers": gathered[row, every], "reserve": unused[row, every] + reserve,
            "gradients": resident["gradients"] + gradients[row, every],
        }
        table = np.stack([parts.get(name, np.zeros(self.count)) for name in CATEGORIES])
        return total[row, every], allocated, self._host(blocks, found), table

    def _resident(self) -> dict[str, Floats]:
        blocks = [b for c in self.chunks for b in c]
        found = {
            "weights": self.given.static + self._sum(
                b.weight_bytes + b.static_bytes for b in blocks),
            "gradients": self._sum(b.grad_bytes for b in blocks if b.grad_life == "run"),
            "optimizer": self._sum(b.optimizer_bytes for b in blocks),
        }
        if self.given.scenario.cluster.device.unified:
            for block in blocks:
                for name, value in block.host_bytes.items():
                    category = name if name in CATEGORIES else "weights"
                    found[category] = found.get(category, np.zeros(self.count)) + value
        return found

    def _host(self, blocks: Sequence[BlockPlan], found: Sequence[Situation]) -> Floats:
        cluster = self.given.scenario.cluster
        if cluster.device.unified:
            return np.zeros(self.count)
        tokens = values_of(self.given.shape.tokens, self.count)
        away = np.stack([
            self._sum(b.host_saved_per_token for b in c) * tokens for c in self.chunks])
        kept = np.array([s.kept for s in found], dtype=np.float64)
        most = (kept @ away).max(axis=0)
        still = self._sum(v for b in blocks for v in b.host_bytes.values())
        total: Floats = (still + most) * min(cluster.devices_per_node, cluster.devices)
        return total
