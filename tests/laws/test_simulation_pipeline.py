"""Laws of the training simulation, over pipelines of any shape."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulate.hand_plans import FABRIC, plan, scenario

from llamasim.plan.spec import CommWork, Group
from llamasim.simulate import run
from llamasim.simulate.fast import step_time
from llamasim.simulate.pipeline import Outcome, step
from llamasim.simulate.timings import ChunkTimes, Flow, Part, Segment, StageTimes, Timings
from llamasim.simulate.trace import CATEGORIES

SCHEDULES = ("all_forward_all_backward", "one_forward_one_backward", "interleaved")
seconds = st.integers(0, 40).map(lambda n: n / 8)
shares = st.sampled_from((0.0, 0.25, 1.0))


@st.composite
def flows(draw: st.DrawFn, most: int) -> tuple[Flow, ...]:
    count = draw(st.integers(0, most))
    return tuple(Flow("f", "dp", draw(seconds), draw(shares)) for _ in range(count))


@st.composite
def stage(draw: st.DrawFn, chunks: int) -> StageTimes:
    made = []
    for _ in range(chunks):
        forward, backward = Segment(draw(seconds)), Segment(draw(seconds), {"collective:tp": 0.0})
        parts = (Part(0.25, draw(flows(1))), Part(0.75, draw(flows(2))))
        made.append(ChunkTimes(forward, backward, parts))
    return StageTimes(tuple(made), draw(flows(1)), Segment(draw(seconds)), draw(flows(1)))


@st.composite
def steps(draw: st.DrawFn, *, sends: bool = True) -> Timings:
    count, chunks = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    send = Flow("b", "pp", draw(seconds) if sends else 0.0, draw(shares))
    return Timings(
        tuple(draw(stage(chunks)) for _ in range(count)), send if count > 1 else None,
        draw(seconds), 0.0, draw(st.sampled_from(SCHEDULES)), draw(st.integers(1, 9)),
        draw(st.integers(0, 3)),
    )


def work(outcome: Outcome, index: int) -> float:
    stage = outcome.timings.stages[index]
    m = outcome.timings.micro_batches
    passes = sum(c.forward.seconds + c.backward.seconds for c in stage.chunks)
    return passes * m + stage.optimizer.seconds


@settings(max_examples=60, deadline=None)
@given(steps(sends=False))
def test_the_recurrence_equals_the_simulation_when_nothing_contends(timings: Timings) -> None:
    """One flow a stage at a time: no sends, and reductions one after another on their stream."""
    quiet = attrs.evolve(timings, stages=tuple(_one_kind_of_flow(s) for s in timings.stages))
    assert step_time(quiet) == pytest.approx(step(quiet).makespan)


def _one_kind_of_flow(stage: StageTimes) -> StageTimes:
    # Exposed shares meet hidden ones on the same links; keep the hidden ones.
    def hidden(flow: Flow) -> Flow:
        return attrs.evolve(flow, hidden=1.0)

    chunks = tuple(
        attrs.evolve(c, parts=tuple(
            attrs.evolve(p, reduce=tuple(map(hidden, p.reduce))) for p in c.parts
        ))
        for c in stage.chunks
    )
    return attrs.evolve(
        stage, chunks=chunks, start=tuple(map(hidden, stage.start)),
        end=tuple(map(hidden, stage.end)),
    )


@settings(max_examples=60, deadline=None)
@given(steps())
def test_sharing_links_never_makes_a_step_faster(timings: Timings) -> None:
    assert step(timings).makespan >= step_time(timings, sharing=False) * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(steps())
def test_no_step_is_shorter_than_its_busiest_stage_or_its_longest_path(timings: Timings) -> None:
    outcome = step(timings)
    count, chunks = len(timings.stages), timings.chunks
    path = timings.host_s + sum(
        c.forward.seconds + c.backward.seconds for s in timings.stages for c in s.chunks
    )
    hops = 2 * (count * chunks - 1) if count > 1 else 0
    path += hops * timings.send.seconds if timings.send else 0.0
    busiest = max(work(outcome, i) for i in range(count))
    assert outcome.makespan >= max(path, busiest) - 1e-9


@settings(max_examples=60, deadline=None)
@given(steps())
def test_compute_and_waits_add_up_to_the_makespan_on_every_stage(timings: Timings) -> None:
    outcome = step(timings)
    for index in range(len(timings.stages)):
        waits = outcome.waits(index)
        assert all(value >= 0 for value in waits.values())
        assert work(outcome, index) + sum(waits.values()) == pytest.approx(outcome.makespan)


@settings(max_examples=40, deadline=None)
@given(steps(), st.sampled_from((0.0, 0.5, 0.9)))
def test_faster_devices_and_links_never_slow_a_step(timings: Timings, share: float) -> None:
    """The order of every stage is fixed, so no anomaly of list scheduling can arise."""
    before = step_time(timings, sharing=False) + 1e-9
    assert step_time(_faster(timings, share, 1.0), sharing=False) <= before
    assert step_time(_faster(timings, 1.0, share), sharing=False) <= before


def _faster(timings: Timings, compute: float, links: float) -> Timings:
    def segment(s: Segment) -> Segment:
        return attrs.evolve(s, seconds=s.seconds * compute)

    def flow(f: Flow) -> Flow:
        return attrs.evolve(f, seconds=f.seconds * links)

    stages = tuple(
        StageTimes(
            tuple(
                ChunkTimes(
                    segment(c.forward), segment(c.backward),
                    tuple(attrs.evolve(p, reduce=tuple(map(flow, p.reduce))) for p in c.parts),
                )
                for c in s.chunks
            ),
            tuple(map(flow, s.start)), segment(s.optimizer), tuple(map(flow, s.end)),
        )
        for s in timings.stages
    )
    return attrs.evolve(
        timings, stages=stages, send=flow(timings.send) if timings.send else None
    )


@settings(max_examples=30, deadline=None)
@given(steps())
def test_a_step_repeats_to_the_bit(timings: Timings) -> None:
    one, two = step(timings), step(timings)
    assert [s.ends for s in one.stages] == [s.ends for s in two.stages]
    assert [s.rows for s in one.stages] == [s.rows for s in two.stages]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 4), st.integers(1, 2), st.integers(1, 3), st.integers(1, 6),
    st.integers(0, 2), st.sampled_from(SCHEDULES), shares,
)
def test_traces_are_finite_and_memory_is_given_back(
    stages: int, chunks: int, layers: int, batches: int, every: int, schedule: str, hidden: float
) -> None:
    reduce = (CommWork("g", "all_reduce", Group("dp", 4, 1), bytes_fixed=1e7, hidden=hidden),)
    made = plan(
        stages=stages, chunks=chunks, layers=layers, reduce=reduce, grad_buffer_bytes=1e6,
        schedule={"micro_batches": batches, "pipeline": schedule, "reduce_every": every},
    )
    trace = run(made, scenario(mode="training"))
    tasks, memory = trace.tasks, trace.memory
    weights, gradients = 2048.0 * 1024, CATEGORIES.index("gradients")
    for column in (tasks.start, tasks.end, memory.time, memory.bytes, trace.links.bytes):
        assert np.isfinite(column).all() and (column >= 0).all()
    assert (tasks.end >= tasks.start).all() and tasks.end.max() <= trace.makespan + 1e-12
    for rank in range(stages):
        for category in range(8):
            rows = (memory.rank == rank) & (memory.category == category)
            if rows.any():
                assert (np.diff(memory.time[rows]) > 0).all()
                left = weights * layers * chunks if category == gradients else 0.0
                given_back = CATEGORIES[category] in ("gradients", "activations", "transient")
                assert not given_back or memory.bytes[rows][-1] == pytest.approx(left)


@pytest.mark.parametrize("layers", [1, 4])
def test_more_bandwidth_never_slows_a_plan(layers: int) -> None:
    """From one tenth to ten times the bandwidth, with sends and reductions on the same links."""
    reduce = (CommWork("g", "all_reduce", Group("dp", 4, 1), bytes_fixed=1e7, hidden=1.0),)
    made = plan(stages=4, layers=layers, reduce=reduce, schedule={"micro_batches": 8})
    base = scenario(mode="training")
    spans = []
    for factor in (0.1, 0.3, 1.0, 3.0, 10.0):
        fabric = attrs.evolve(FABRIC, bandwidth=FABRIC.bandwidth * factor)
        given = attrs.evolve(base, cluster=attrs.evolve(base.cluster, outer=fabric))
        spans.append(run(made, given).makespan)
    assert spans == sorted(spans, reverse=True)
