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
        after: whether gradients were complete after its stage's task before.

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
    each = 3 * chunks * micro_batches

    def number(stage: int, task: tuple[int, int, int]) -> int:
        kind, chunk, j = task
        return stage * each + (kind * chunks + chunk) * micro_batches + j

    level = np.full(stages * each + 1, -1, dtype=np.int64)
    level[-1] = 0
    at = [0] * stages
    found: dict[int, list[tuple[int, ...]]] = {}
    reached, before = [0] * stages, [False] * stages
    ends = closing(pipeline)
    waiting = set(range(stages))
    while waiting:
        moved = False
        for stage in sorted(waiting):
            tasks = lists[stage]
            while at[stage] < len(tasks):
                task = tasks[at[stage]]
                kind, chunk, j = task
                came = source(stage, task, stages, chunks)
                place = stages * each if came is None else number(*came)
                if level[place] < 0:
                    break
                reached[stage] = max(reached[stage], int(level[place])) + 1
                mine = number(stage, task)
                level[mine] = reached[stage]
                last = j == micro_batches - 1
                closes = kind == ends and (
                    last or (reduce_every > 0 and (j + 1) % reduce_every == 0))
                found.setdefault(reached[stage], []).append((
                    stage, kind, chunk, (stage * 3 + kind) * chunks + chunk, place,
                    came is not None and came[0] != stage, mine,
                    kind < 2 and _leaves(stage, task, stages, chunks), closes, last,
                    kind == FORWARD and j == 0, before[stage],
                ))
                before[stage] = closes
                at[stage] += 1
                moved = True
            if at[stage] == len(tasks):
                waiting.discard(stage)
        if not moved and waiting:
            raise ValueError("the stages wait for each other")
    return Rounds(tuple(_round(found[k]) for k in sorted(found)), stages * each)


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
