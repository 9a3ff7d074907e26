"""Peak memory of many configurations of one schedule, by the rules of `simulate.memory`.

What a stage holds follows from the order of its tasks alone, but for whole gradients that wait for
their reduction, which follow from its times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
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
)
from llamasim.units.many import Floats, Places, values_of

#: Numbers of the blocks of each chunk of each stage.
Layout = tuple[tuple[tuple[int, ...], ...], ...]


@attrs.frozen
class Situation:
    """A task with what its stage holds when it starts.

    Attributes:
        kept: micro-batches whose activations wait, by chunk, its own included.
        whole: whether a chunk's whole gradients are there; `made` whether its parts of them are.
        late: chunk whose gradients may still wait for their reduction, -1 where there is none.

    """

    kind: int
    chunk: int
    place: Round
    kept: tuple[int, ...]
    whole: tuple[bool, ...]
    made: tuple[bool, ...]
    late: int


#: A situation as it is found: kind, chunk, where its round stands, and the last four fields.
_Found = tuple[int, int, tuple[bool, bool, bool], tuple[int, ...], tuple[bool, ...],
               tuple[bool, ...], int]
Table = tuple[tuple[Situation, ...], ...]
#: Each table once, so that equal ones are the same.
_TABLES: dict[Table, Table] = {}


@lru_cache(maxsize=4096)
def situations(
    pipeline: str, stages: int, chunks: int, micro_batches: int, reduce_every: int
) -> Table:
    """Return the situations of each stage that may be its fullest; equal tables are the same."""
    lists = orders(pipeline, stages, chunks, micro_batches)
    last = micro_batches - 1
    closes = [j == last or (reduce_every > 0 and (j + 1) % reduce_every == 0)
              for j in range(micro_batches)]
    found = tuple(_fullest(_walk(order, chunks, closing(pipeline), closes)) for order in lists)
    return _TABLES.setdefault(found, found)


def _walk(
    order: Sequence[tuple[int, int, int]], chunks: int, ends: int, closes: Sequence[bool]
) -> Mapping[_Found, None]:
    kept, whole, made = [0] * chunks, [False] * chunks, [False] * chunks
    found: dict[_Found, None] = {}
    late = -1
    for kind, chunk, j in order:
        if kind == FORWARD:
            kept[chunk] += 1
            place = (False, False, False)
        else:
            place = (j == 0, j == 0 or closes[j - 1], closes[j])
        found[(kind, chunk, place, tuple(kept), tuple(whole), tuple(made), late)] = None
        if kind == ends:
            kept[chunk] -= 1
            whole[chunk], made[chunk] = not closes[j], True
            late = chunk if closes[j] else -1
    return found


def _fullest(found: Mapping[_Found, None]) -> tuple[Situation, ...]:
    """Drop situations that another one of the same task exceeds in everything."""
    groups: dict[object, list[_Found]] = {}
    for row in found:
        groups.setdefault((row[:3], row[4:]), []).append(row)
    result: list[Situation] = []
    for group in groups.values():
        rows = np.array([row[3] for row in group])
        others, each = rows[None], rows[:, None]
        exceeded = np.all(others >= each, axis=2) & np.any(others > each, axis=2)
        for row, less in zip(group, exceeded.any(axis=1).tolist(), strict=True):
            if not less:
                result.append(Situation(row[0], row[1], Round(*row[2]), *row[3:]))
    return tuple(result)


@lru_cache(maxsize=8192)
def _told_apart(table: Table, lasting: bool, buffered: bool) -> Table:
    """Return situations that differ in what a step holds: gradients tell them apart where they are
    not held for the whole run (`lasting` is false then), or whole until they are reduced.
    """
    stages = []
    for found in table:
        rows: dict[_Found, None] = {}
        for s in found:
            none, place = (False,) * len(s.kept), s.place
            rows[(
                s.kind, s.chunk,
                (not lasting and place.first, buffered and place.opens, buffered and place.closes),
                s.kept, s.whole if buffered else none, none if lasting else s.made,
                s.late if buffered else -1,
            )] = None
        stages.append(_fullest(rows))
    return tuple(stages)


@lru_cache(maxsize=4096)
def _leading(layout: Layout, table: Table) -> tuple[int, ...]:
    """Return the stages that may be the fullest: others hold no more than an earlier one of equal
    blocks.
    """
    kept: list[int] = []
    for stage, chunks in enumerate(layout):
        if not any(layout[k] == chunks and _holds(table[k], table[stage]) for k in kept):
            kept.append(stage)
    return tuple(kept)


def _holds(more: Sequence[Situation], less: Sequence[Situation]) -> bool:
    """Whether a stage is in every situation that another one is in, or in a fuller one."""
    return all(
        any((m.kind, m.chunk, m.place, m.whole, m.made) == (s.kind, s.chunk, s.place, s.whole,
                                                           s.made)
            and all(a >= b for a, b in zip(m.kept, s.kept, strict=True)) for m in more)
        for s in less
    )


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
        table: situations of each stage.
        static: bytes of no block in particular.
        reducing: seconds of each block's reductions beside compute.
        rest: as in `closed.Steps`; None to leave out gradients that wait for their reduction.
        scenario: for what the device and its runtime have.

    """

    blocks: tuple[BlockPlan, ...]
    shape: StepShape
    layout: Layout
    pipeline: str
    table: Table
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
    cluster, cap = given.scenario.cluster, capacity(given.scenario)
    lasting = all(b.grad_life == "run" for b in given.blocks)
    buffered = any((values_of(b.grad_buffer_bytes, 1) > 0).any() for b in given.blocks)
    table = _told_apart(given.table, lasting, buffered)
    stages = range(len(layout)) if given.rest is not None else _leading(layout, table)
    sums = _Sums(given)
    rows = [_Stage(sums, k, layout[k]).peak(table[k]) for k in stages]
    peak, allocated, host, held = (np.stack(column) for column in zip(*rows, strict=True))
    lacking = np.maximum(peak - cap, host - cluster.host.memory_bytes)
    worst = np.argmax(lacking, axis=0)
    categories = held[worst, :, every]
    return Peaks(
        np.array(stages)[worst], peak[worst, every], allocated[worst, every], host[worst, every],
        {name: categories[:, k] for k, name in enumerate(CATEGORIES)},
        np.asarray((lacking <= 0).all(axis=0)),
    )


class _Sums:
    """Amounts of runs of blocks, each computed once."""

    def __init__(self, given: Given) -> None:
        self.given, self.count = given, given.count
        self._known: dict[object, Floats] = {}
        self._moments: dict[object, tuple[Floats, ...]] = {}

    def of(
        self, name: str, blocks: tuple[int, ...], amount: Callable[[BlockPlan], float]
    ) -> Floats:
        """Return the sum of an amount over blocks."""
        key = (name, blocks)
        if key not in self._known:
            total = np.zeros(self.count)
            for number in dict.fromkeys(blocks):
                each = (name, (number,))
                if each not in self._known:
                    self._known[each] = values_of(amount(self.given.blocks[number]), self.count)
                total = total + self._known[each] * blocks.count(number)
            self._known[key] = total
        return self._known[key]

    def moment(self, blocks: tuple[int, ...], s: Situation) -> tuple[Floats, ...]:
        """Return what a task on blocks holds at its fullest moment."""
        given = self.given
        key = (blocks, s.kind, s.place)
        if key not in self._moments:
            those = [given.blocks[b] for b in blocks]
            found: Moment = forward_moment(those, given.shape, given.prefetch) if (
                s.kind == FORWARD) else backward_moment(
                those, given.shape, given.prefetch, s.place,
                frees=s.kind == closing(given.pipeline))
            self._moments[key] = tuple(values_of(v, self.count) for v in (
                found.activations, found.transient, found.gathered, found.gradients))
        return self._moments[key]


class _Stage:
    """One stage of each configuration: `chunks` are the numbers of its blocks."""

    def __init__(self, sums: _Sums, stage: int, chunks: tuple[tuple[int, ...], ...]) -> None:
        self.sums, self.given, self.count = sums, sums.given, sums.count
        self.stage, self.chunks = stage, chunks
        self.blocks = tuple(b for c in chunks for b in c)

    def _by_chunk(self, name: str, amount: Callable[[BlockPlan], float]) -> Floats:
        return np.stack([self.sums.of(name, c, amount) for c in self.chunks])

    def _all(self, name: str, amount: Callable[[BlockPlan], float]) -> Floats:
        return self.sums.of(name, tuple(sorted(self.blocks)), amount)

    def _late(self, s: Situation) -> Floats:
        """Return whole gradients of the chunk before that are not yet reduced: the last blocks'."""
        found = np.zeros(self.count)
        if s.late < 0 or self.given.rest is None:
            return found
        rest = self.given.rest[int(s.kind != FORWARD), self.stage]
        for block in self.chunks[s.late][:IN_FLIGHT]:
            size = values_of(self.given.blocks[block].grad_buffer_bytes, self.count)
            found = found + np.where(rest > 0, size, 0.0)
            rest = rest - self.given.reducing[block]
        return found

    def _rows(self, found: Sequence[Situation]) -> tuple[Floats, ...]:
        """Return activations, working sets, buffers and gradients in each situation."""
        shape = self.given.shape
        moments = [self.sums.moment(self.chunks[s.chunk], s) for s in found]
        less, transient, gathered, more = (
            np.stack(column) for column in zip(*moments, strict=True))
        kept = np.array([s.kept for s in found], dtype=np.float64)
        whole = np.array([s.whole for s in found], dtype=np.float64)
        made = np.array([s.made for s in found], dtype=np.float64)
        gradients = more + whole @ self._by_chunk("buffers", lambda b: b.grad_buffer_bytes)
        gradients = gradients + made @ self._by_chunk(
            "made", lambda b: b.grad_bytes if b.grad_life == "step_end" else 0.0)
        if self.given.rest is not None:
            gradients = gradients + np.stack([self._late(s) for s in found])
        if self.given.scenario.runtime.unpack_rows > 0:
            transient = transient + np.stack([self._unpacked(s.chunk) for s in found])
        saved = self._by_chunk("saved", lambda b: saved_of(b, shape))
        return kept @ saved + less, transient, gathered, gradients

    def _unpacked(self, chunk: int) -> Floats:
        given = self.given
        sizes = [values_of(given.blocks[b].unpacked_bytes, self.count)
                 for b in dict.fromkeys(self.chunks[chunk])]
        tokens = values_of(given.shape.tokens, self.count)
        most = np.max(sizes, axis=0) if sizes else np.zeros(self.count)
        return np.where(tokens > given.scenario.runtime.unpack_rows, most, 0.0)

    def peak(self, found: Sequence[Situation]) -> tuple[Floats, ...]:
        """Return the peak, what tensors take of it, the host's bytes, and what the peak is."""
        scenario = self.given.scenario
        cap, reserve = capacity(scenario), scenario.runtime.reserve_bytes
        resident = self._resident()
        held = self._all("held", lambda b: b.held_bytes)
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
        return total[row, every], allocated, self._host(found), table

    def _resident(self) -> dict[str, Floats]:
        found = {
            "weights": self.given.static + self._all(
                "weights", lambda b: b.weight_bytes + b.static_bytes),
            "gradients": self._all(
                "gradients", lambda b: b.grad_bytes if b.grad_life == "run" else 0.0),
            "optimizer": self._all("optimizer", lambda b: b.optimizer_bytes),
        }
        if self.given.scenario.cluster.device.unified:
            for name in sorted({n for b in self.given.blocks for n in b.host_bytes}):
                category = name if name in CATEGORIES else "weights"
                away = self._all(f"host {name}", partial(_kept_there, name))
                found[category] = found.get(category, np.zeros(self.count)) + away
        return found

    def _host(self, found: Sequence[Situation]) -> Floats:
        cluster = self.given.scenario.cluster
        if cluster.device.unified:
            return np.zeros(self.count)
        tokens = values_of(self.given.shape.tokens, self.count)
        away = self._by_chunk("away", lambda b: b.host_saved_per_token) * tokens
        kept = np.array([s.kept for s in found], dtype=np.float64)
        still = self._all("host", lambda b: sum(b.host_bytes.values()))
        total: Floats = (still + (kept @ away).max(axis=0)) * min(
            cluster.devices_per_node, cluster.devices)
        return total


def _kept_there(name: str, block: BlockPlan) -> float:
    return block.host_bytes.get(name, 0.0)
