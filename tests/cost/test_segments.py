"""Segments: streams, hiding, the tax of overlap, and rows that add up."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost.machines import machine

from llamasim.cost import comm_cost, op_cost, segment_cost, step_seconds
from llamasim.plan.spec import CommWork, Group, OpWork, StepShape, Work

SHAPE = StepShape.of(1, 100)
MS = 1e9  # bytes that the round machine's memory moves in a millisecond


def op(milliseconds: float) -> OpWork:
    return OpWork("op", "norm", basis="fixed", read_fixed=milliseconds * MS)


def send(milliseconds: float, hidden: float, axis: str = "dp", stream: str = "comm") -> CommWork:
    size = milliseconds * 100e6  # 100 GB/s
    return CommWork("s", "send", Group(axis, 2, 2), bytes_fixed=size, hidden=hidden,
                    stream=stream)


def run(*works: Work, **figures: object):
    return segment_cost(works, SHAPE, machine(**figures))


def test_ops_run_one_after_another() -> None:
    assert run(op(1), op(2)).seconds == pytest.approx(3e-3)


def test_compute_waits_for_what_may_not_hide() -> None:
    cost = run(op(1), send(2, 0.0), op(1))
    assert cost.seconds == pytest.approx(4e-3)
    assert cost.exposed_comm_s == {"dp": pytest.approx(2e-3)}
    assert cost.hidden_comm_s == 0.0


def test_what_may_hide_runs_beside_what_follows() -> None:
    cost = run(send(2, 1.0), op(3))
    assert cost.seconds == pytest.approx(3e-3)
    assert (cost.hidden_comm_s, cost.exposed_comm_s) == (pytest.approx(2e-3), {})


def test_what_is_left_at_the_end_is_waited_for() -> None:
    cost = run(op(1), send(3, 1.0), op(1))
    assert cost.seconds == pytest.approx(4e-3)
    assert cost.exposed_comm_s == {"dp": pytest.approx(2e-3)}
    assert cost.hidden_comm_s == pytest.approx(1e-3)


def test_half_hidden_blocks_for_half() -> None:
    cost = run(send(2, 0.5), op(3))
    assert cost.seconds == pytest.approx(4e-3)
    assert cost.exposed_comm_s == {"dp": pytest.approx(1e-3)}


def test_a_collective_beside_compute_takes_its_tax() -> None:
    """2 ms at half the rate do 1 ms of work; the other 2 ms follow at full rate."""
    cost = run(send(2, 1.0), op(3), overlap_tax=0.5)
    assert cost.seconds == pytest.approx(4e-3)
    assert run(send(2, 1.0, stream="copy"), op(3), overlap_tax=0.5).seconds == pytest.approx(3e-3)


def test_messages_of_one_axis_queue_and_of_two_axes_do_not() -> None:
    assert run(send(2, 1.0), send(2, 1.0), op(1)).seconds == pytest.approx(4e-3)
    assert run(send(2, 1.0), send(2, 1.0, "tp"), op(1)).seconds == pytest.approx(2e-3)


def test_rows_show_where_a_blocked_message_stands() -> None:
    rows = run(op(1), send(2, 0.0), op(1)).rows
    assert [r.start for r in rows] == pytest.approx([0.0, 1e-3, 3e-3])
    assert [r.stream for r in rows] == ["compute", "comm", "compute"]


WORK = st.one_of(
    st.floats(0, 5).map(op),
    st.builds(send, st.floats(0, 5), st.floats(0, 1), st.sampled_from(("dp", "tp")),
              st.sampled_from(("comm", "copy", "p2p"))),
)


@settings(deadline=None)
@given(st.lists(WORK, max_size=12), st.floats(0, 0.5))
def test_rows_add_up_and_bounds_hold(works: list[Work], tax: float) -> None:
    """The segment is as long as its compute rows and waits, no shorter than its busiest stream."""
    m = machine(overlap_tax=tax)
    cost = segment_cost(tuple(works), SHAPE, m)
    parts = sum(r.seconds for r in cost.rows if r.stream == "compute")
    assert parts + sum(r.waited for r in cost.rows) == pytest.approx(cost.seconds, abs=1e-12)
    assert cost.compute_s + sum(cost.exposed_comm_s.values()) == pytest.approx(
        cost.seconds, abs=1e-12
    )
    compute = sum(op_cost(w, SHAPE, m).seconds for w in works if isinstance(w, OpWork))
    moves = [comm_cost(w, SHAPE, m).seconds for w in works if isinstance(w, CommWork)]
    assert cost.seconds >= max([compute, *moves], default=0) * (1 - 1e-9)
    assert cost.seconds <= (compute / (1 - tax) + sum(moves)) * (1 + 1e-9) + 1e-12
    assert cost.hidden_comm_s >= 0


def layer() -> tuple[Work, ...]:
    weights = [OpWork(f"w{i}", "matmul", n=4096, k=4096, read_fixed=2.0 * 4096**2)
               for i in range(40)]
    attention = OpWork("a", "fused_attention", heads=32, kv_heads=8, head_dim=128,
                       read_per_kv_token=4096.0, causal_skip=True)
    return (*weights, attention, send(0.1, 0.0), *[op(0.001)] * 18)


@given(st.integers(1, 64), st.integers(0, 10_000))
@settings(deadline=None, max_examples=30)
def test_step_seconds_are_the_segments_seconds(batch: int, context: int) -> None:
    works, m = layer(), machine(launch_s=1e-6)
    shape = StepShape.of(batch, 1, context)
    assert step_seconds(works, shape, m) == pytest.approx(segment_cost(works, shape, m).seconds)
    overlapped = (*works, send(0.1, 0.5))
    assert step_seconds(overlapped, shape, m) == pytest.approx(
        segment_cost(overlapped, shape, m).seconds
    )


def test_a_segment_of_sixty_works_is_costed_in_milliseconds() -> None:
    """A generous bound: a loaded machine takes several times the usual half a millisecond."""
    works, m = layer(), machine()
    best = min(_timed(works, StepShape.of(1, 1, 100 + i), m) for i in range(20))
    assert len(works) == 60
    assert best < 5e-3


def _timed(works: tuple[Work, ...], shape: StepShape, m: object) -> float:
    start = time.perf_counter()
    segment_cost(works, shape, m)
    return time.perf_counter() - start
