"""Laws of goodput, over jobs of any kind."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.simulate.goodput_jobs import job, saving

from llamasim.scenario.reliability import Stragglers
from llamasim.simulate.goodput.draw import HOPELESS, draw
from llamasim.simulate.goodput.expect import best_interval, expected_goodput, in_steps
from llamasim.simulate.goodput.job import Job, Saving
from llamasim.simulate.goodput.slow import paces

times = st.floats(0.0, 2000.0)
intervals = st.floats(10.0, 20_000.0)


@st.composite
def jobs(draw_: st.DrawFn) -> Job:
    slow = Stragglers(
        draw_(st.sampled_from((0.0, 0.001, 0.2))), draw_(st.floats(0.0, 0.5)),
        draw_(st.sampled_from((0.0, 0.02))),
    )
    return job(
        work_s=draw_(st.floats(1e4, 1e6)), step_s=draw_(st.floats(0.5, 60.0)),
        mtbf_s=draw_(st.floats(1000.0, 1e7)),
        saving=saving(draw_(st.floats(0.1, 200.0)), draw_(st.sampled_from((0.0, 30.0, 300.0)))),
        detection_s=draw_(times), restart_s=draw_(times),
        shape=draw_(st.sampled_from((0.7, 1.0, 2.0))), paces=paces(slow, 1024, 0.7),
        planned_s=draw_(st.sampled_from((None, 20_000.0, 86_400.0))),
        spares=draw_(st.sampled_from((None, 0, 2))), repair_s=draw_(st.floats(60.0, 86_400.0)),
        repair_share=draw_(st.floats(0.0, 1.0)),
    )


@given(jobs(), intervals)
@settings(max_examples=60, deadline=None)
def test_goodput_is_a_share(one: Job, interval: float) -> None:
    """Never negative and at most one: in closed form, and more than 0 in every drawn run."""
    expected = expected_goodput(one, interval)
    assert 0 <= expected <= 1
    if expected > HOPELESS:
        drawn = draw(one, in_steps(one, interval), 20, seed=0).goodput
        assert (drawn > 0).all() and (drawn <= 1).all()


@given(jobs(), intervals, st.floats(1.0, 10.0))
@settings(max_examples=100, deadline=None)
def test_it_does_not_rise_with_what_goes_wrong(one: Job, interval: float, more: float) -> None:
    """More failures, dearer checkpoints, slower notice, restarts and repairs: each costs."""
    before = expected_goodput(one, interval)
    worse: dict[str, object] = {
        "mtbf_s": one.mtbf_s / more,
        "saving": attrs.evolve(one.saving, pause_s=one.saving.pause_s * more),
        "detection_s": one.detection_s * more,
        "restart_s": one.restart_s * more,
        "repair_s": one.repair_s * more,
    }
    for name, value in worse.items():
        # A slower notice also leaves a failed node more time until the next failure.
        assume(not (name == "detection_s" and one.spares is not None))
        changed: Job = attrs.evolve(one, **{name: value})  # type: ignore[arg-type]
        assert expected_goodput(changed, interval) <= before * (1 + 1e-4), name


@given(jobs())
@settings(max_examples=60, deadline=None)
def test_the_best_interval_is_at_least_as_good_as_its_neighbours(one: Job) -> None:
    """One step less and one more, and a tenth less and more."""
    best = best_interval(one)
    top = expected_goodput(one, best)
    if top <= HOPELESS:
        return
    least = one.saving.write_s - one.saving.pause_s
    near = (best - one.step_s, best + one.step_s, 0.9 * best, 1.1 * best)
    for other in (in_steps(one, t) for t in near):
        if other >= least:
            assert expected_goodput(one, other) <= top * (1 + 1e-6)


@given(jobs())
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_bytes(one: Job) -> None:
    """And another seed another run, where anything is left to chance."""
    interval = best_interval(one)
    if expected_goodput(one, interval) <= HOPELESS:
        return
    first, again, other = (draw(one, interval, 20, seed) for seed in (0, 0, 1))
    assert first.total.tobytes() == again.total.tobytes()
    if first.failures.sum() > 0:
        assert first.total.tobytes() != other.total.tobytes()


def test_draws_fall_with_the_rate_of_failures_too() -> None:
    """By a tenfold step each: 0.99, 0.93, 0.6."""
    drawn = [
        float(np.median(draw(one, best_interval(one), 200, 0).goodput))
        for one in (job(mtbf_s=t) for t in (100_000.0, 10_000.0, 1000.0))
    ]
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[0] > 0.97 and drawn[2] < 0.7


def test_a_job_that_fails_faster_than_it_saves_gets_nowhere() -> None:
    """A checkpoint takes an hour, and a failure comes every minute."""
    hopeless = job(mtbf_s=60.0, saving=Saving(1e15, 3600.0, 0.0, 3600.0), restart_s=3900.0)
    assert expected_goodput(hopeless, best_interval(hopeless)) == pytest.approx(0.0, abs=1e-6)
