"""The tasks of a pipeline step in rounds: those of one round wait for none of each other.

A step's order depends on its schedule alone, so it is worked out once and then timed for any number
of configurations, one array operation for a whole round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from llamasim.simulate.orders import FORWARD, closing, orders, source
from llamasim.units.many import Places


@attrs.frozen(eq=False)
class Round:
    """Tasks of different stages that can run side by side.

    Attributes:
        stages: whose tasks they are; `kinds` and `chunks` what they are.
        durations: row of their duration: (stage * 3 + kind) * chunks + chunk.
        inputs: task whose output each reads; the last number stands for none.
        sent: whether that output comes from another stage.
        outputs: number of each task.
        goes: whether its own output goes to another stage.
        reduces: whether gradients are complete after it.
        last: whether it is the last micro-batch of its stage and kind.
        begins: whether it is the first micro-batch's forward pass.
        after: whether gradients were complete after the last task of its stage that makes any.

    """

    stages: Places
    kinds: Places
    chunks: Places
    durations: Places
    inputs: Places
    sent: Any
    outputs: Places
    goes: Any
    reduces: Any
    last: Any
    begins: Any
    after: Any


@attrs.frozen(eq=False)
class Rounds:
    """All rounds of a step; `tasks` is the number of tasks."""

    rounds: tuple[Round, ...]
    tasks: int


@lru_cache(maxsize=512)
def rounds_of(
    pipeline: str, stages: int, chunks: int, micro_batches: int, reduce_every: int
) -> Rounds:
    """Return the rounds of a schedule; `reduce_every` as in `plan.spec.Schedule`."""
    lists = orders(pipeline, stages, chunks, micro_batches)
    dealt = _Dealing(stages, chunks, micro_batches, reduce_every, closing(pipeline))
    at = [0] * stages
    waiting = set(range(stages))
    while waiting:
        moved = False
        for stage in sorted(waiting):
            tasks = lists[stage]
            while at[stage] < len(tasks) and dealt.takes(stage, tasks[at[stage]]):
                at[stage] += 1
                moved = True
            if at[stage] == len(tasks):
                waiting.discard(stage)
        if not moved and waiting:
            raise ValueError("the stages wait for each other")
    rows = dealt.found
    return Rounds(tuple(_round(rows[k]) for k in sorted(rows)), dealt.tasks)


class _Dealing:
    """Tasks put into rounds, each behind the task that it reads and its stage's task before."""

    def __init__(
        self, stages: int, chunks: int, micro_batches: int, reduce_every: int, ends: int
    ) -> None:
        self.stages, self.chunks = stages, chunks
        self.micro_batches, self.reduce_every, self.ends = micro_batches, reduce_every, ends
        self.tasks = stages * 3 * chunks * micro_batches
        self.found: dict[int, list[tuple[int, ...]]] = {}
        self._level = np.full(self.tasks + 1, -1, dtype=np.int64)
        self._level[-1] = 0
        self._reached, self._before = [0] * stages, [False] * stages

    def takes(self, stage: int, task: tuple[int, int, int]) -> bool:
        """Put a stage's next task in, unless what it reads is not there yet."""
        kind, chunk, j = task
        came = source(stage, task, self.stages, self.chunks)
        place = self.tasks if came is None else self._number(*came)
        if self._level[place] < 0:
            return False
        reached = max(self._reached[stage], int(self._level[place])) + 1
        mine = self._number(stage, task)
        self._level[mine] = self._reached[stage] = reached
        last = j == self.micro_batches - 1
        every = self.reduce_every
        closes = kind == self.ends and (last or (every > 0 and (j + 1) % every == 0))
        self.found.setdefault(reached, []).append((
            stage, kind, chunk, (stage * 3 + kind) * self.chunks + chunk, place,
            came is not None and came[0] != stage, mine,
            kind < 2 and _leaves(stage, task, self.stages, self.chunks), closes, last,
            kind == FORWARD and j == 0, self._before[stage],
        ))
        if kind == self.ends:
            self._before[stage] = closes
        return True

    def _number(self, stage: int, task: tuple[int, int, int]) -> int:
        kind, chunk, j = task
        row = (stage * 3 + kind) * self.chunks + chunk
        return row * self.micro_batches + j


def _leaves(stage: int, task: tuple[int, int, int], stages: int, chunks: int) -> bool:
    """Whether a task's output goes to another stage."""
    if stages == 1:
        return False
    kind, chunk, _ = task
    if kind == FORWARD:
        return not (stage == stages - 1 and chunk == chunks - 1)
    return not (stage == 0 and chunk == 0)


def _round(rows: list[tuple[int, ...]]) -> Round:
    columns = np.array(rows, dtype=np.int64).T
    whole, flags = (0, 1, 2, 3, 4, 6), (5, 7, 8, 9, 10, 11)
    numbers = [columns[k] for k in whole]
    stages, kinds, chunks, durations, inputs, outputs = numbers
    sent, goes, reduces, last, begins, after = (columns[k].astype(bool) for k in flags)
    return Round(stages, kinds, chunks, durations, inputs, sent, outputs, goes, reduces, last,
                 begins, after)
