"""Task lists of pipeline schedules."""

from __future__ import annotations

import itertools

import pytest
from tests.simulate.hand_plans import pipeline

from llamasim.simulate.fast import step_time
from llamasim.simulate.orders import BACKWARD, FORWARD, orders, source, target

SCHEDULES = ("all_forward_all_backward", "one_forward_one_backward", "interleaved")


def test_one_forward_one_backward_by_hand() -> None:
    """Two stages, three micro-batches: the last stage alternates at once."""
    first, last = orders("one_forward_one_backward", 2, 1, 3)
    names = [["FB"[k] + str(j) for k, _, j in tasks] for tasks in (first, last)]
    assert names[0] == ["F0", "F1", "B0", "F2", "B1", "B2"]
    assert names[1] == ["F0", "B0", "F1", "B1", "F2", "B2"]


def test_interleaved_order_by_hand() -> None:
    """arXiv:2104.04473, figure 4: two micro-batches pass a chunk, then two the next one."""
    first, _ = orders("interleaved", 2, 2, 2)
    forward = [(c, j) for k, c, j in first if k == FORWARD]
    backward = [(c, j) for k, c, j in first if k == BACKWARD]
    assert forward == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert backward == [(1, 0), (1, 1), (0, 0), (0, 1)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_task_runs_once_and_no_order_waits_for_itself(schedule: str) -> None:
    """Also where the stages do not divide the micro-batches."""
    for stages, chunks, batches in itertools.product((1, 2, 3, 4, 6, 8), (1, 2, 3), range(1, 18)):
        whole = set(itertools.product((FORWARD, BACKWARD), range(chunks), range(batches)))
        for tasks in orders(schedule, stages, chunks, batches):
            assert set(tasks) == whole
            assert len(tasks) == len(whole)
        step_time(pipeline(stages, chunks, batches, schedule=schedule))


def test_what_a_task_makes_is_what_the_next_one_reads() -> None:
    for stages, chunks in ((1, 1), (3, 1), (3, 2), (1, 3)):
        for stage, kind, chunk in itertools.product(range(stages), (0, 1), range(chunks)):
            goal = target(stage, (kind, chunk, 5), stages, chunks)
            if goal is not None:
                assert source(*goal, stages, chunks) == (stage, (kind, chunk, 5))
