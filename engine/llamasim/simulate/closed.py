"""The time of a training step in closed form, for many configurations of one schedule at once.

The recurrence over the stages' tasks that the simulation runs as events: a task starts when its
stage is free and its input is there. Collectives beside compute are a queue of work that goes on
while the stage computes, slows it (`tax`), and is slowed by what the stage's own collectives take
of the links and by transfers to the next stage. Exact where flows do not share links; else each
pair of flows is taken to share a link equally for as long as the shorter one takes alone.

Steps settle: after some micro-batches each further group adds the same time, so long steps are
timed by two short ones (a linear system in max-plus algebra becomes periodic; Baccelli et al.,
Synchronization and Linearity, 1992, theorem 3.28).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from llamasim.simulate.orders import FORWARD, group_of
from llamasim.simulate.rounds import Round, Rounds, rounds_of
from llamasim.simulate.timings import IN_FLIGHT
from llamasim.units.many import Floats, Places

Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: Groups of micro-batches that a step is timed for before the rest is taken to add the same.
SETTLED = 2
#: Equal blocks of one task that are walked through before the rest is taken to add the same.
WALKED = 4
#: Blocks that are walked through after a stream has caught up, before the rest adds the same.
EMPTIED = 2
#: Most numbers of one array, so that a step stays in the processor's cache.
COLUMNS = 512
#: Largest share of a link that a stage's own collectives take from others, as in `simulate.ports`.
MOST_LOAD = 0.95


@attrs.frozen(eq=False)
class Runs:
    """A chunk's blocks in the order of the backward pass, equal ones together: (block, how many).
    """

    runs: tuple[tuple[int, int], ...]


@attrs.frozen(eq=False)
class StepBatch:
    """Steps of one schedule, a column for each configuration.

    Attributes:
        micro_batches: that are walked through; each step has `left` times `more` of them besides,
            which add what the first such group adds.
        chunks: of each stage.
        seconds, load: by kind of task, block and configuration; `load` is what the blocks' own
            collectives take of the links that reductions use.
        hidden, exposed: seconds of each block's reductions beside compute and not.
        buffered: whether a block's whole gradients are held only until they are reduced.
        send: seconds of a boundary transfer; `send_hidden` the share beside compute; `shares`
            whether it uses the links that reductions use.
        numbers: of the configurations.
        sharing: whether flows that use one link at a time slow each other.
        begin: seconds before a stage's first task; `gather` those of collectives beside the first
            pass; `update`, `end` after the last one. By stage and configuration.

    """

    pipeline: str
    micro_batches: int
    more: int
    left: Floats
    reduce_every: int
    chunks: tuple[tuple[Runs, ...], ...]
    seconds: Floats
    load: Floats
    hidden: Floats
    exposed: Floats
    buffered: tuple[bool, ...]
    send: Floats
    send_hidden: Floats
    shares: Floats
    begin: Floats
    gather: Floats
    update: Floats
    end: Floats
    tax: float
    numbers: Places
    sharing: bool = True

    @property
    def count(self) -> int:
        """Configurations."""
        return int(self.send.shape[0])


@attrs.frozen(eq=False)
class Steps:
    """What steps take.

    Attributes:
        seconds: by configuration.
        rest: seconds of reductions that are not over when a stage's next task begins, at most: by
            what that is (a forward pass or not), stage and configuration.

    """

    seconds: Floats
    rest: Floats


def steps(batch: StepBatch) -> Steps:
    """Return how long each configuration's step takes."""
    if batch.count > COLUMNS:
        edges = range(0, batch.count, COLUMNS)
        parts = [steps(_columns(batch, slice(a, a + COLUMNS))) for a in edges]
        return Steps(np.concatenate([p.seconds for p in parts]),
                     np.concatenate([p.rest for p in parts], axis=-1))
    short = _Walk(batch, batch.micro_batches)
    first = short.end()
    if not batch.left.any():
        return Steps(first, short.rest)
    longer = _Walk(batch, batch.micro_batches + batch.more)
    second = longer.end()
    return Steps(first + batch.left * (second - first), np.maximum(short.rest, longer.rest))


def settled(
    pipeline: str, stages: int, chunks: int, micro_batches: int, reduce_every: int
) -> tuple[int, int, int]:
    """Return a shorter step of the same order, and how many groups of how many micro-batches the
    whole one has more; none where it is short already.
    """
    group = group_of(stages, micro_batches) if chunks > 1 or stages > 1 else 1
    if chunks == 1:
        group = min(group, stages)
    more = int(np.lcm(group, reduce_every)) if reduce_every else group
    least = max(SETTLED * group, more)
    groups = (micro_batches - least) // more
    while groups > 1:
        short = micro_batches - groups * more
        if chunks == 1 or group_of(stages, short) == group_of(stages, short + more) == group:
            return short, more, groups
        groups -= 1
    return micro_batches, 0, 0


def _columns(batch: StepBatch, chosen: slice) -> StepBatch:
    return attrs.evolve(batch, **{n: getattr(batch, n)[..., chosen] for n in COLUMNS_OF})


#: Fields with a column for each configuration.
COLUMNS_OF = ("left", "seconds", "load", "hidden", "exposed", "send", "send_hidden", "shares",
              "begin", "gather", "update", "end", "numbers")


class _Walk:
    """One step of so many micro-batches, timed."""

    def __init__(self, batch: StepBatch, micro_batches: int) -> None:
        self.batch = batch
        stages, chunks = len(batch.chunks), len(batch.chunks[0])
        self.rounds: Rounds = rounds_of(
            batch.pipeline, stages, chunks, micro_batches, batch.reduce_every)
        self.durations = _durations(batch, batch.seconds)
        shape = (stages, batch.count)
        self.now = batch.begin.copy()
        #: Work that was put on each stage's communication stream, and what of it is done.
        self.put, self.done = batch.gather.copy(), np.zeros(shape)
        self.tail = np.zeros(shape)
        self.beside = bool(batch.gather.any())
        self.gathered = np.zeros(stages, dtype=np.int64)
        self.gathers = self.beside
        self.pending: dict[int, list[Floats]] = {}
        self.rest = np.zeros((2, *shape))
        self.arrived = np.zeros((self.rounds.tasks + 1, batch.count))
        loaded = batch.sharing and bool(batch.load.any())
        self.loads = _weighted(batch, self.durations) if loaded else None
        self.send = batch.send
        if self.loads is not None:
            busy = self.durations.sum(axis=0)
            mean = (self.loads * self.durations).sum(axis=0) / np.maximum(busy, 1e-30)
            self.send = batch.send * np.where(batch.shares > 0, 1 / (1 - mean), 1.0)

    def end(self) -> Floats:
        """Return when the last stage is done."""
        for each in self.rounds.rounds:
            if self.beside or each.reduces.any():
                self._round(each)
            else:
                self._plain(each)
        now = self.now + (self.put - self.done) + self.tail + self.batch.update + self.batch.end
        result: Floats = now.max(axis=0)
        return result

    def _plain(self, each: Round) -> None:
        """Run tasks beside which nothing runs."""
        now = np.maximum(self.now[each.stages], self.arrived[each.inputs])
        now += self.durations[each.durations]
        self._leave(each, now, None)

    def _leave(self, each: Round, now: Floats, rest: Floats | None) -> None:
        """Pass on results: with the time at which they arrive where they are read."""
        goes = each.goes
        arrival = now
        if goes.any():
            sending = np.where(goes[:, None], self.send, 0.0)
            if rest is not None and self.batch.sharing:
                shared = np.minimum(sending, rest) * self.batch.shares
                self.done[each.stages] -= shared
                sending = sending + shared
            arrival = now + sending
            if (self.batch.send_hidden < 1).any():
                now = now + sending * (1 - self.batch.send_hidden)
        self.arrived[each.outputs] = arrival
        self.now[each.stages] = now

    def _round(self, each: Round) -> None:
        """Run tasks beside a stream that is at work."""
        stages = each.stages
        before = self.now[stages]
        now = np.maximum(before, self.arrived[each.inputs])
        put, done = self.put[stages], self.done[stages]
        done = np.minimum(put, done + (now - before))
        if each.after.any():
            self._left_over(each, put - done)
        plain = ~each.reduces
        if plain.any():
            rows = each.durations[plain]
            load = None if self.loads is None else self.loads[rows]
            now[plain], done[plain] = _computed(
                now[plain], put[plain], done[plain], self.durations[rows], load, self.batch.tax)
        self.done[stages] = done
        if not plain.all():
            self._reducing(each, now)
        if self.gathers and each.begins.any():
            self._gathered(each, now)
        self._leave(each, now, self.put[stages] - self.done[stages])

    def _left_over(self, each: Round, rest: Floats) -> None:
        for row in np.flatnonzero(each.after):
            held = self.rest[int(each.kinds[row] != FORWARD), each.stages[row]]
            np.maximum(held, rest[row], out=held)

    def _gathered(self, each: Round, now: Floats) -> None:
        """Wait for the share of the gathers that a chunk needs."""
        batch = self.batch
        for row in np.flatnonzero(each.begins):
            stage = int(each.stages[row])
            self.gathered[stage] += 1
            needed = batch.gather[stage] * self.gathered[stage] / len(batch.chunks[stage])
            wait = np.maximum(0.0, needed - self.done[stage])
            now[row] += wait
            self.done[stage] += wait

    def _reducing(self, each: Round, now: Floats) -> None:
        """Run tasks block by block; after each block its gradients are reduced."""
        self.beside = True
        alike: dict[tuple[tuple[tuple[int, int], ...], int, bool, int], list[int]] = {}
        for row in np.flatnonzero(each.reduces):
            stage, chunk = int(each.stages[row]), int(each.chunks[row])
            runs = self.batch.chunks[stage][chunk].runs
            key = (runs, int(each.kinds[row]), bool(each.last[row]),
                   len(self.pending.get(stage, ())))
            alike.setdefault(key, []).append(int(row))
        for (runs, kind, last, _), rows in alike.items():
            state = _Stream(self, each.stages[rows], now[rows])
            for block, count in runs:
                state.blocks(block, count, kind, last=last)
            now[rows] = state.leave()


class _Stream:
    """Stages at equal tasks whose gradients are reduced block by block."""

    def __init__(self, walk: _Walk, stages: Places, now: Floats) -> None:
        self.walk, self.stages, self.now = walk, stages, now
        self.put, self.done = walk.put[stages], walk.done[stages]
        self.tail = walk.tail[stages]
        held = [walk.pending.get(int(s), []) for s in stages]
        self.pending = [np.stack(rows) for rows in zip(*held, strict=True)]

    def leave(self) -> Floats:
        """Write back where the streams stand."""
        walk, stages = self.walk, self.stages
        walk.put[stages], walk.done[stages], walk.tail[stages] = self.put, self.done, self.tail
        for row, stage in enumerate(stages):
            walk.pending[int(stage)] = [p[row] for p in self.pending]
        return self.now

    def blocks(self, block: int, count: int, kind: int, *, last: bool) -> None:
        """Run equal blocks, one after another.

        Some are walked through; the rest adds the same, for as long as the stream has as much left
        over as it takes for one block, and then what it adds when it has not.
        """
        walked = min(count, WALKED)
        before = self._state()
        for _ in range(walked):
            before = self._state()
            self._block(block, kind, last=last)
        left = np.full(self.now.shape, count - walked)
        if not left.any():
            return
        alike = self._alike(before, self.walk.batch.hidden[block], left)
        self._more(before, alike)
        left = left - alike
        for _ in range(EMPTIED):
            if not left.any():
                return
            before = self._state()
            self._block(block, kind, last=last)
            self._undo(before, left == 0)
            left = np.maximum(left - 1, 0)
        self._more(before, left)

    def _state(self) -> list[Floats]:
        return [self.now, self.put, self.done, self.tail, *self.pending]

    def _alike(self, before: list[Floats], hidden: Floats, left: Places) -> Places:
        """Return after how many more equal blocks the stream has caught up."""
        now, was = self.put - self.done, before[1] - before[2]
        shrinks = np.maximum(was - now, 0.0)
        steps = np.maximum(now - hidden, 0.0) / np.where(shrinks > 0, shrinks, 1.0)
        found: Places = np.where(shrinks > 1e-9 * hidden, np.minimum(steps, left), left)
        return found.astype(np.int64)

    def _undo(self, before: list[Floats], where: Flags) -> None:
        """Take back the last block in some columns."""
        if where.any():
            now = [np.where(where, b, n) for b, n in zip(before, self._state(), strict=False)]
            self.now, self.put, self.done, self.tail, *self.pending = now

    def _more(self, before: list[Floats], times: Places) -> None:
        """Add what the last block has added, so many times more."""
        put = (self.put - before[1]) * times
        reached = np.minimum(self.put + put, self.done + (self.done - before[2]) * times)
        self.now = self.now + (self.now - before[0]) * times
        self.pending = [np.minimum(p + put, self.put + put) for p in self.pending]
        self.put, self.done = self.put + put, reached
        self.tail = self.tail + (self.tail - before[3]) * times

    def _block(self, block: int, kind: int, *, last: bool) -> None:
        batch = self.walk.batch
        if batch.buffered[block] and len(self.pending) >= IN_FLIGHT:
            wait = np.maximum(0.0, self.pending.pop(0) - self.done)
            self.now = self.now + wait
            self.done = self.done + wait
        load = None if self.walk.loads is None else batch.load[kind, block]
        self.now, self.done = _computed(
            self.now, self.put, self.done, batch.seconds[kind, block], load, batch.tax)
        self.put = self.put + batch.hidden[block]
        exposed = batch.exposed[block]
        if last:
            self.tail = self.tail + exposed
        else:
            shared = np.minimum(exposed, self.put - self.done) if batch.sharing else 0.0
            self.now = self.now + exposed + shared
            self.done = self.done + shared
        if batch.buffered[block]:
            self.pending.append(self.put)


def _computed(
    now: Floats, put: Floats, done: Floats, seconds: Floats, load: Floats | None, tax: float
) -> tuple[Floats, Floats]:
    """Compute beside the stream's work: return when it is over and what is done by then."""
    rest = put - done
    free: Any = 1.0 if load is None else 1.0 - np.minimum(load, MOST_LOAD)
    lasts = seconds
    if tax > 0:
        lasts = seconds + np.minimum(rest / free, seconds) * (tax / (1 - tax))
    return now + lasts, np.minimum(put, done + lasts * free)


def _durations(batch: StepBatch, seconds: Floats) -> Floats:
    """Return the seconds of each task: rows by stage, kind and chunk."""
    rows = [
        _sum(chunk.runs, seconds[kind], batch.count)
        for stage in batch.chunks for kind in range(3) for chunk in stage
    ]
    return np.stack(rows)


def _sum(runs: Sequence[tuple[int, int]], values: Floats, count: int) -> Floats:
    total = np.zeros(count)
    for block, times in runs:
        total = total + values[block] * times
    return total


def _weighted(batch: StepBatch, durations: Floats) -> Floats:
    """Return each task's mean load on links."""
    busy = _durations(batch, batch.load * batch.seconds)
    found: Floats = np.minimum(busy / np.maximum(durations, 1e-30), MOST_LOAD)
    return found
