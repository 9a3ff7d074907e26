"""How far one host runs ahead of the pipeline stages that it issues kernels to."""

from __future__ import annotations

import pytest

from llamasim.simulate.issue import Issue


def finish(room: float, stages: int, chunks: int) -> float:
    """Return when the last of some chunks leaves stages that take a second for each."""
    issue = Issue((room,) * stages, 0.0, tuple([] for _ in range(stages)))
    free = [0.0] * stages
    for _ in range(chunks):
        at = issue.now
        for stage in range(stages):
            start = max(at, free[stage], issue.now)
            free[stage] = at = start + 1.0
            issue.given(stage, start, at)
    return free[-1]


def test_a_host_without_bound_fills_the_pipeline() -> None:
    """Eight chunks through four stages: 8 + 3 slots."""
    assert finish(0, 4, 8) == 11


def test_a_host_that_waits_for_half_of_each_stage_gains_half_a_stage_a_chunk() -> None:
    """It has issued the last stage's kernels half a second before they are done, so a chunk takes
    3.5 seconds of the four, whatever comes after.
    """
    assert finish(0.5, 4, 8) == pytest.approx(7 * 3.5 + 4)
    assert finish(0.5, 2, 8) == pytest.approx(7 * 1.5 + 2)


def test_room_for_one_chunk_and_little_more_doubles_the_rate() -> None:
    """Every other chunk waits for the end of the pipeline: two for four seconds, at length."""
    many = finish(1.001, 4, 41) - finish(1.001, 4, 21)
    assert many == pytest.approx(20 / 2 * 4, rel=0.01)


def test_room_for_all_chunks_is_no_bound() -> None:
    assert finish(100, 4, 8) == finish(0, 4, 8)
