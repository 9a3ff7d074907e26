"""Pipelines small enough to draw by hand."""

from __future__ import annotations

import attrs
import pytest
from tests.simulate.hand_plans import pipeline

from llamasim.simulate.fast import step_time
from llamasim.simulate.pipeline import step
from llamasim.simulate.timings import ChunkTimes, Flow, Part, Segment, StageTimes, Timings

GPIPE, ONE_BY_ONE = "all_forward_all_backward", "one_forward_one_backward"


def single(
    micro_batches: int, parts: tuple[Part, ...], *, forward: float = 1.0, backward: float = 2.0,
    start: tuple[Flow, ...] = (), end: tuple[Flow, ...] = (), optimizer: float = 0.0,
    **more: float,
) -> Timings:
    chunk = ChunkTimes(Segment(forward), Segment(backward), parts)
    stage = StageTimes((chunk,), start, Segment(optimizer), end)
    return Timings((stage,), micro_batches=micro_batches, **more)


@pytest.mark.parametrize("schedule", [GPIPE, ONE_BY_ONE])
@pytest.mark.parametrize(("stages", "batches"), [(2, 2), (4, 8), (3, 2), (1, 5), (4, 1)])
def test_equal_stages_take_m_plus_p_minus_1_slots(
    schedule: str, stages: int, batches: int
) -> None:
    """arXiv:2104.04473, section 2.2.1: m + p - 1 forward and backward slots."""
    timings = pipeline(stages, 1, batches, schedule=schedule)
    assert step(timings).makespan == pytest.approx((batches + stages - 1) * 3.0)


@pytest.mark.parametrize(("stages", "chunks", "batches"), [(4, 2, 8), (2, 3, 4), (8, 4, 16)])
def test_interleaving_divides_the_bubble_by_the_chunks(
    stages: int, chunks: int, batches: int
) -> None:
    """arXiv:2104.04473, section 2.2.2: the bubble is (p - 1) / (v m) of the ideal time."""
    ideal = batches * chunks * 3.0
    bubble = (stages - 1) / (chunks * batches)
    assert step(pipeline(stages, chunks, batches)).makespan == pytest.approx(ideal * (1 + bubble))


def test_an_uneven_pipeline_waits_for_its_slow_stage() -> None:
    """Stage 1 gets its first input at 1, works 4 x 4, then stage 0 needs 1 more: 18."""
    stages = tuple(
        StageTimes((ChunkTimes(Segment(t), Segment(t), (Part(1.0),)),)) for t in (1.0, 2.0)
    )
    outcome = step(Timings(stages, Flow("b", "pp", 0.0), micro_batches=4))
    assert outcome.makespan == pytest.approx(18.0)
    assert outcome.waits(1) == pytest.approx({"bubble": 2.0})
    assert outcome.waits(0) == pytest.approx({"bubble": 10.0})


def test_one_micro_batch_passes_every_boundary_twice() -> None:
    """Three stages of 1 + 2 seconds and four sends of 0.25: 10 seconds."""
    outcome = step(pipeline(3, 1, 1, schedule=ONE_BY_ONE, send=0.25))
    assert outcome.makespan == pytest.approx(10.0)
    assert outcome.waits(0) == pytest.approx({"bubble": 6.75, "send": 0.25})


def test_a_send_that_may_not_hide_stops_its_sender() -> None:
    """Stage 0 forwards at 1 and at 2.5: stage 1 then waits for nothing but its own sends."""
    hidden = step(pipeline(2, 1, 2, schedule=GPIPE, send=0.5))
    exposed = step(pipeline(2, 1, 2, schedule=GPIPE, send=0.5, hidden=0.0))
    assert hidden.stages[0].ends[1] == pytest.approx(2.0)
    assert exposed.stages[0].ends[1] == pytest.approx(2.5)
    assert exposed.makespan > hidden.makespan


def test_reductions_hide_behind_the_blocks_that_follow() -> None:
    """Gradients are there at 2 and 3; each takes 0.5; only the last one is waited for."""
    reduce = (Flow("g", "dp", 0.5),)
    outcome = step(single(1, (Part(0.5, reduce), Part(0.5, reduce))))
    assert outcome.makespan == pytest.approx(3.5)
    assert outcome.waits(0) == pytest.approx({"reduce": 0.5})


def test_reductions_that_may_not_hide_come_after_the_last_backward_pass() -> None:
    reduce = (Flow("g", "dp", 0.5, 0.0),)
    outcome = step(single(2, (Part(0.5, reduce), Part(0.5, reduce))))
    assert outcome.makespan == pytest.approx(7.0)
    assert [row[3] for row in outcome.stages[0].rows] == pytest.approx([6.0, 6.5])


def test_reducing_every_micro_batch_reduces_as_often() -> None:
    parts = (Part(1.0, (Flow("g", "dp", 0.5),)),)
    once = step(single(4, parts))
    often = step(attrs.evolve(single(4, parts), reduce_every=1))
    pairs = step(attrs.evolve(single(4, parts), reduce_every=2))
    assert [len(o.stages[0].rows) for o in (once, often, pairs)] == [1, 4, 2]


def test_a_reduction_beside_compute_takes_its_multiprocessors() -> None:
    """One second beside compute at a tax of one half costs a second more."""
    parts = (Part(0.5, (Flow("g", "dp", 1.0),)), Part(0.5))
    assert step(single(1, parts, tax=0.5)).makespan == pytest.approx(4.0)


def test_gathers_delay_the_first_forward_pass_by_what_does_not_hide() -> None:
    """0.4 s are exposed at once; 3.6 s hide behind 1 s of forward pass: 2.6 s are left."""
    outcome = step(single(1, (Part(1.0),), start=(Flow("w", "dp", 4.0, 0.9),)))
    assert outcome.makespan == pytest.approx(0.4 + 3.6 + 2.0)
    assert outcome.waits(0) == pytest.approx({"gather": 3.0})


def test_host_update_and_gathers_after_it_add_up() -> None:
    timings = single(
        1, (Part(1.0),), optimizer=0.5, end=(Flow("w", "dp", 0.25, 0.0),), host_s=0.125
    )
    outcome = step(timings)
    assert outcome.makespan == pytest.approx(0.125 + 3.0 + 0.5 + 0.25)
    assert outcome.waits(0) == pytest.approx({"host": 0.125, "gather": 0.25})


def test_collectives_inside_compute_slow_a_reduction_on_the_same_links() -> None:
    """Compute of 10 s uses the links half of the time: 4 s of reduction take 8 s beside it."""
    chunk = ChunkTimes(
        Segment(1.0, {}, 0.0, 0.0), Segment(20.0, {"collective:dp": 1.0}, 0.0, 0.5),
        (Part(0.5, (Flow("g", "dp", 4.0),)), Part(0.5)),
    )
    outcome = step(Timings((StageTimes((chunk,)),)))
    assert [row[4] for row in outcome.stages[0].rows] == pytest.approx([19.0])
    assert outcome.makespan == pytest.approx(21.0)
    assert outcome.waits(0) == pytest.approx({"collective:dp": 1.0})


def test_the_recurrence_knows_the_same_makespans() -> None:
    for timings in (
        pipeline(4, 2, 8, reduce=0.3), pipeline(3, 1, 5, schedule=ONE_BY_ONE, reduce=2.0),
        pipeline(2, 1, 2, schedule=GPIPE, reduce=0.5, reduce_hidden=0.25, host_s=0.1),
    ):
        assert step_time(timings) == pytest.approx(step(timings).makespan)


def test_a_large_interleaved_pipeline_has_all_its_tasks() -> None:
    """16 stages x 8 chunks x 16 micro-batches, forward and backward."""
    outcome = step(pipeline(16, 8, 16, send=0.1, reduce=0.3))
    assert sum(len(s.ends) for s in outcome.stages) == 4096
