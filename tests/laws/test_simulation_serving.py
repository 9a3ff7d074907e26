"""Laws of the server, over loads and limits of any size."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulate.hand_plans import iterations, plan, serving

from llamasim.plan.spec import StepShape
from llamasim.simulate.arrivals import draw as draw_requests
from llamasim.simulate.desk import Book
from llamasim.simulate.kv import room
from llamasim.simulate.pools import Floor, Shop, floor_of
from llamasim.simulate.serving import serve
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepcost import StepCosts
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
    schedule |= draw(st.sampled_from((
        {}, {}, {"rows": 4.0, "tokens_out": 2.5}, {"cache": "prefix"}, {"cache": "prefix"},
        {"prompts": "whole", "token_budget": 2048}, {"mixing": "apart"}, {"reserve": "request"},
        {"cache": "prefix", "reserve": "request"}, {"cache": "prefix", "kept_bytes": 1e7},
        {"cache": "prefix", "rows": 4.0, "tokens_out": 2.5}, {"swap_bytes": 1e6},
        {"mixing": "apart", "swap_bytes": 1e9},
    )))
    schedule["routing"] = draw(st.sampled_from(("round_robin", "least_outstanding", "prefix")))
    schedule |= draw(st.sampled_from((
        {}, {}, {}, {"replicas_least": 1, "replica_start": 0.001, "open_above": 4.0},
    )))
    replicas = draw(st.integers(1, 2))
    if replicas > 1 and "replicas_least" not in schedule and draw(st.booleans()):
        schedule["prefill_replicas"] = 1
    held = draw(st.sampled_from((1, 1, 2, 3)))
    if held > 1:
        schedule["variants"] = held
        schedule["routing"] = draw(st.sampled_from((schedule["routing"], "variant")))
    made = plan(
        mode="inference", layers=4, schedule=schedule, replicas=replicas,
        transient_per_token=0.0, variant_bytes=1e5 if held > 1 else 0.0,
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
        seed=draw(st.integers(0, 5)), shared_prefix=draw(st.sampled_from((0, 40, 150))),
        prefixes=draw(st.integers(1, 4)), variants=5 if held > 1 else 1, variant_skew=0.5,
        runtime={"sequence_host_s": draw(st.sampled_from((0.0, 1e-5)))},
        **arrivals,
    )
    return made, load


def floor_for(made: Any, load: Any) -> Floor:
    """The servers of a run that has not begun."""
    stream = draw_requests(load.workload, load.seed)
    longest = float((stream.prompt + stream.output).max())
    space = room(made, load, StepShape.of(1, 1), longest)
    costs = StepCosts(StageWork.of(made, load))
    return floor_of(Shop(made, load, space, costs, stream, True), Book.of(stream))


def served(trace: Trace) -> Any:
    assert trace.requests is not None
    return trace.requests, iterations(trace)


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


@settings(max_examples=250, deadline=None)
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
    if schedule.cache != "prefix":
        assert it.prefill_tokens.sum() >= r.prompt.sum()
    if again == 0:
        assert decoded == made
        assert it.prefill_tokens.sum() == r.prompt.sum() - r.cached.sum()


@settings(max_examples=60, deadline=None)
@given(runs())
def test_limits_hold_in_every_iteration(run: tuple[Any, Any]) -> None:
    made, load = run
    trace = serve(made, load)
    _, it = served(trace)
    schedule = made.schedule
    assert (it.decode_sequences <= schedule.max_sequences).all()
    apart = schedule.mixing == "apart"
    rows = (0 if apart else it.decode_sequences * schedule.rows) + it.prefill_tokens
    again = served(trace)[0].preemptions.sum()
    if schedule.prompts == "cut" or not again:
        assert (rows <= max(schedule.token_budget, schedule.rows)).all()
    blocks = trace.service.blocks
    assert (it.kv_blocks <= blocks).all() and (it.running <= schedule.max_sequences).all()
    fit = trace.fits[0]
    assert fit.fits or trace.rejected


@settings(max_examples=60, deadline=None)
@given(runs())
def test_little_s_law_holds(run: tuple[Any, Any]) -> None:
    """Sequences under way, counted in each iteration, are the rate times the mean time under way:
    their sums are equal. Where requests give way, or go from one pool to another, they wait outside
    for some of it.
    """
    r, it = served(serve(*run))
    counted = (it.running * (it.end - it.start)).sum()
    under_way = (r.finished - r.admitted).sum()
    if r.preemptions.sum() == 0 and not run[0].schedule.prefill_replicas:
        assert counted == pytest.approx(under_way, rel=1e-9, abs=1e-12)
    else:
        assert counted <= under_way * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(runs(), st.sampled_from((1.3, 2.0, 4.0)))
def test_more_memory_never_lowers_throughput_much(run: tuple[Any, Any], more: float) -> None:
    """By a tenth at most: what runs together then may be a worse batch, but preempts less."""
    made, load = run
    device = load.cluster.device
    larger = attrs.evolve(device, memory_bytes=RESIDENT + (device.memory_bytes - RESIDENT) * more)
    roomy = attrs.evolve(load, cluster=attrs.evolve(load.cluster, device=larger))
    one, other = serve(made, load), serve(made, roomy)
    if one.rejected or not len(served(one)[0].finished):
        return
    rate = [t.requests.output.sum() / t.makespan for t in (one, other)]
    assert rate[1] >= rate[0] * 0.9


@settings(max_examples=40, deadline=None)
@given(runs())
def test_blocks_that_are_taken_are_given_back(run: tuple[Any, Any]) -> None:
    trace = serve(*run)
    cache = trace.memory.bytes[trace.memory.category == 4]
    if not (trace.rejected and len(served(trace)[0].finished) == 0):
        assert cache[-1] == 0
    floor = floor_for(*run)
    floor.run()
    for server in floor.servers:
        assert server.cache.used == 0 and server.cache.allocated == server.cache.freed
        assert server.slots is None or server.slots.used == 0
        kept = server.cache.prefixes
        assert kept is None or 0 <= kept.spare <= server.cache.capacity


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
        busy = sum((p.end - p.start).sum() for p in trace.iterations)
        assert busy + trace.exposed.get("idle", 0.0) == pytest.approx(
            trace.makespan, rel=1e-6, abs=1e-12
        )
