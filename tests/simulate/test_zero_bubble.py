"""Schedules with gradients of weights apart, against the formulas of arXiv:2401.10241."""

from __future__ import annotations

import pytest

from llamasim.simulate.fast import step_time
from llamasim.simulate.orders import BACKWARD, FORWARD, WEIGHT, orders
from llamasim.simulate.pipeline import step
from llamasim.simulate.timings import ChunkTimes, Part, Segment, StageTimes, Timings

SHAPES = [(2, 3), (4, 4), (4, 8), (8, 16), (16, 64)]


def timings(stages: int, micro_batches: int, f: float, b: float, w: float) -> Timings:
    chunk = ChunkTimes(Segment(f), Segment(b), (Part(1.0),), Segment(w))
    alike = tuple(StageTimes((chunk,)) for _ in range(stages))
    return Timings(alike, pipeline="zero_bubble", micro_batches=micro_batches)


@pytest.mark.parametrize(("stages", "micro_batches"), SHAPES)
def test_the_bubble_is_the_papers(stages: int, micro_batches: int) -> None:
    """Table 1: the bubble of ZB-H1 is (p - 1)(F + B - W); 1F1B's is (p - 1)(F + B + W)."""
    given = timings(stages, micro_batches, 1.0, 1.2, 0.9)
    whole = micro_batches * (1.0 + 1.2 + 0.9) + (stages - 1) * (1.0 + 1.2 - 0.9)
    assert step(given).makespan == pytest.approx(whole)
    assert step_time(given) == pytest.approx(whole)


@pytest.mark.parametrize(("stages", "micro_batches"), SHAPES)
def test_no_stage_holds_more_than_the_first_one_did(stages: int, micro_batches: int) -> None:
    """Memory of ZB-H1 is that of 1F1B's first stage: p micro-batches."""
    for tasks in orders("zero_bubble", stages, 1, micro_batches):
        held = most = 0
        for kind, _, _ in tasks:
            held += {FORWARD: 1, WEIGHT: -1}.get(kind, 0)
            most = max(most, held)
        assert most <= min(stages, micro_batches)


@pytest.mark.parametrize(("stages", "micro_batches"), SHAPES)
def test_every_pass_happens_once_and_in_order(stages: int, micro_batches: int) -> None:
    for tasks in orders("zero_bubble", stages, 1, micro_batches):
        place = {task: i for i, task in enumerate(tasks)}
        assert len(place) == len(tasks) == 3 * micro_batches
        for j in range(micro_batches):
            assert place[FORWARD, 0, j] < place[BACKWARD, 0, j] < place[WEIGHT, 0, j]
