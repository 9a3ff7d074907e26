"""Laws of the server, over loads and limits of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulate.hand_plans import plan, serving

from llamasim.simulate.serving import serve
from llamasim.simulate.trace import Trace

PER_TOKEN = 4 * 4096.0
RESIDENT = 4 * 2048.0 * 1024


@st.composite
def runs(draw: st.DrawFn) -> tuple[Any, Any]:
    """A plan and a load; memory for few or many requests, budgets small and large."""
    budget = draw(st.sampled_from((8, 64, 2048)))
    schedule = {
        "token_budget": budget,
        "max_sequences": draw(st.integers(1, 12)),
        "kv_block": draw(st.sampled_from((1, 4, 16))),
        "admission": draw(st.sampled_from(("iteration", "iteration", "batch"))),
    }
    if draw(st.booleans()):
        schedule |= {"rows": 4.0, "tokens_out": 2.5}
    made = plan(
        mode="inference", layers=4, schedule=schedule, replicas=draw(st.integers(1, 2)),
        transient_per_token=0.0,
    )
    process = draw(st.sampled_from(("poisson", "gamma", "closed", "batch")))
    room = draw(st.integers(50, 2000))
    arrivals = {
        "poisson": {"rate": draw(st.sampled_from((10.0, 1000.0, 30_000.0)))},
        "gamma": {"rate": 3000.0, "cv": 3.0},
        "closed": {"concurrency": draw(st.integers(1, 9))},
        "batch": {},
    }[process]
    load = serving(
        process, draw(st.integers(1, 30)), prompt=float(draw(st.integers(1, 300))),
        output=float(draw(st.integers(1, 60))), memory=RESIDENT + PER_TOKEN * room,
        seed=draw(st.integers(0, 5)), **arrivals,
    )
    return made, load


def served(trace: Trace) -> Any:
    assert trace.requests is not None and trace.iterations is not None
    return trace.requests, trace.iterations


@settings(max_examples=80, deadline=None)
@given(runs())
def test_every_request_is_served_in_order_or_rejected(run: tuple[Any, Any]) -> None:
    trace = serve(*run)
    r, it = served(trace)
    assert len(r.finished) + len(trace.rejected) == run[1].workload.arrivals.requests
    assert (r.admitted >= r.arrived).all() and (r.first_token > r.admitted).all()
    assert (r.finished >= r.first_token).all()
    assert (it.end >= it.start).all() and (it.steps >= 1).all()
    for column in (it.start, it.end, it.kv_tokens, trace.memory.bytes, trace.memory.time):
        assert np.isfinite(column).all() and (column >= 0).all()
    if len(r.finished):
        assert trace.makespan == pytest.approx(r.finished.max())


@settings(max_examples=80, deadline=None)
@given(runs())
def test_runs_of_decode_steps_equal_single_steps(run: tuple[Any, Any]) -> None:
    fast, slow = served(serve(*run)), served(serve(*run, coalesce=False))
    assert fast[0].preemptions.tolist() == slow[0].preemptions.tolist()
    for name in ("arrived", "admitted", "first_token", "finished"):
        one, other = getattr(fast[0], name), getattr(slow[0], name)
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12)
    assert fast[1].steps.sum() == slow[1].steps.sum()


@settings(max_examples=60, deadline=None)
@given(runs())
def test_tokens_in_are_tokens_out(run: tuple[Any, Any]) -> None:
    """A request's first token comes from its prefill, every other from a decode step; what a
    preempted request had made is prefilled again, and its prefill makes a token again.
    """
    r, it = served(serve(*run))
    schedule = run[0].schedule
    if schedule.admission == "batch" or schedule.tokens_out != 1:
        return
    decoded = (it.decode_sequences * it.steps).sum()
    made, again = r.output.sum() - len(r.output), r.preemptions.sum()
    assert made - again <= decoded <= made
    assert it.prefill_tokens.sum() >= r.prompt.sum()
    if again == 0:
        assert decoded == made and it.prefill_tokens.sum() == r.prompt.sum()


@settings(max_examples=60, deadline=None)
@given(runs())
def test_limits_hold_in_every_iteration(run: tuple[Any, Any]) -> None:
    made, load = run
    trace = serve(made, load)
    _, it = served(trace)
    schedule = made.schedule
    assert (it.decode_sequences <= schedule.max_sequences).all()
    rows = it.decode_sequences * schedule.rows + it.prefill_tokens
    assert (rows <= max(schedule.token_budget, schedule.rows)).all()
    fit = trace.fits[0]
    assert fit.fits or trace.rejected


@settings(max_examples=40, deadline=None)
@given(runs())
def test_blocks_that_are_taken_are_given_back(run: tuple[Any, Any]) -> None:
    trace = serve(*run)
    cache = trace.memory.bytes[trace.memory.category == 4]
    if not (trace.rejected and len(served(trace)[0].finished) == 0):
        assert cache[-1] == 0


@settings(max_examples=30, deadline=None)
@given(runs())
def test_a_run_repeats_to_the_bit(run: tuple[Any, Any]) -> None:
    one, two = serve(*run), serve(*run)
    assert served(one)[0].finished.tolist() == served(two)[0].finished.tolist()
    assert one.exposed == two.exposed
    assert one.memory.bytes.tolist() == two.memory.bytes.tolist()


@settings(max_examples=30, deadline=None)
@given(runs())
def test_work_and_waits_add_up_to_the_makespan(run: tuple[Any, Any]) -> None:
    trace = serve(*run)
    if run[0].replicas == 1:
        busy = (trace.tasks.end - trace.tasks.start).sum()
        assert busy + trace.exposed.get("idle", 0.0) == pytest.approx(
            trace.makespan, rel=1e-6, abs=1e-12
        )
