"""Ops: hand-calculated times, and laws that every op's time keeps."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost.machines import DEVICE, machine

from llamasim.cost import op_cost, power_watts, shape_efficiency
from llamasim.plan.spec import OpWork, StepShape

TRAIN = StepShape.of(1, 8192)
DECODE = StepShape.of(1, 1, 1000)


def linear(n: int, k: int, **more: object) -> OpWork:
    base = OpWork(
        "w", "matmul", n=n, k=k, read_per_token=2.0 * k, write_per_token=2.0 * n,
        read_fixed=2.0 * n * k,
    )
    return attrs.evolve(base, **more)


def test_a_large_matmul_runs_at_nearly_its_peak() -> None:
    """2 * 8192^3 FLOP at 100 TFLOP/s are 11.0 ms; the last wave of tiles costs a few per cent."""
    cost = op_cost(linear(8192, 8192), TRAIN, machine())
    ideal = 2 * 8192**3 / 100e12
    assert cost.flops == 2 * 8192**3
    assert ideal < cost.seconds < 1.08 * ideal
    assert cost.bound == "compute"


def test_a_memory_bound_op_takes_its_bytes_over_the_bandwidth() -> None:
    """8192 tokens read 2 kB and write 1 kB each: 24.6 MB at 1 TB/s."""
    op = OpWork("n", "norm", read_per_token=2000.0, write_per_token=1000.0)
    cost = op_cost(op, TRAIN, machine())
    assert cost.seconds == pytest.approx(8192 * 3000 / 1e12)
    assert (cost.bound, cost.read_bytes, cost.write_bytes) == ("memory", 8192 * 2e3, 8192 * 1e3)


def test_a_decoding_matmul_streams_its_weights() -> None:
    """One row: 2 * 4096 * 4096 bytes of weights (and 16 kB of rows) at 1 TB/s."""
    cost = op_cost(linear(4096, 4096), DECODE, machine())
    assert cost.seconds == pytest.approx((2 * 4096**2 + 4 * 4096) / 1e12)


def test_few_bytes_in_flight_bind_matrix_vector_kernels() -> None:
    """100 multiprocessors x 1 GHz x 32 bytes x 0.1 is 320 GB/s, below the memory's 1 TB/s."""
    cost = op_cost(linear(4096, 4096), DECODE, machine(gemv_concurrency=0.1))
    assert cost.seconds == pytest.approx((2 * 4096**2 + 4 * 4096) / 320e9)


def test_loads_beyond_the_cache_do_not_quicken_with_the_clock() -> None:
    """At twice the clock of 1.41 GHz the 262 clocks to the cache take half as long, the 145 ns
    beyond it as long as before: 93 + 145 ns instead of 186 + 145.
    """
    seconds = []
    for clock in (1.41e9, 2.82e9):
        given = machine(gemv_concurrency=0.1)
        faster = attrs.evolve(given, device=attrs.evolve(given.device, clock_hz=clock))
        seconds.append(op_cost(linear(4096, 4096), DECODE, faster).seconds)
    assert seconds[0] / seconds[1] == pytest.approx((185.8 + 145) / (92.9 + 145), rel=2e-3)


def test_a_decoding_graph_launches_faster_than_its_kernels_alone() -> None:
    figures = {"launch_s": 5e-6, "graphs": True, "graph_launch_s": 1e-6, "kernels_per_op": 2.0}
    op = OpWork("n", "norm", read_per_token=1.0)
    decode, prefill = StepShape.of(4, 1, 100), StepShape.of(4, 100)
    assert op_cost(op, decode, machine(**figures)).seconds == pytest.approx(2e-6, rel=1e-3)
    assert op_cost(op, prefill, machine(**figures)).seconds == pytest.approx(10e-6, rel=1e-3)
    assert op_cost(op, decode, machine(**figures)).bound == "launch"


def test_a_wave_with_one_more_tile_costs_a_whole_wave() -> None:
    """100 multiprocessors take 100 tiles of 256 x 128 at once; the 101st waits."""
    full = shape_efficiency(2560, 1280, 8192, 1, 100)
    assert full > 0.95
    assert shape_efficiency(256 * 101, 128, 8192, 1, 100) < 0.7 * full


def test_rows_that_fill_no_tile_waste_the_rest() -> None:
    """65 rows need the tiles of 128."""
    full = shape_efficiency(128, 8192, 8192, 1, 64)
    assert shape_efficiency(65, 8192, 8192, 1, 64) < 0.65 * full


def test_a_short_inner_dimension_is_slow() -> None:
    assert shape_efficiency(8192, 8192, 128, 1, 100) < 0.6


def test_weight_gradients_contract_the_rows() -> None:
    """The same FLOP with few rows: [k x rows] x [rows x n] has a short inner dimension."""
    shape = StepShape.of(1, 64)
    forward = op_cost(linear(8192, 8192), StepShape.of(1, 8192), machine())
    gradient = op_cost(linear(8192, 8192, part="weight_grad"), shape, machine())
    assert gradient.flops == forward.flops / 128
    assert gradient.seconds > forward.seconds / 128


def test_fused_attention_skips_masked_pairs_and_its_backward_does_two_and_a_half_times() -> None:
    op = OpWork("a", "fused_attention", heads=32, kv_heads=8, head_dim=128, causal_skip=True)
    pairs = 8192 * 8193 / 2
    forward = op_cost(op, TRAIN, machine())
    assert forward.flops == 4 * 32 * 128 * pairs
    assert op_cost(attrs.evolve(op, part="data_grad"), TRAIN, machine()).flops == (
        2.5 * forward.flops
    )
    assert op_cost(attrs.evolve(op, causal_skip=False), TRAIN, machine()).flops == (
        4 * 32 * 128 * 8192**2
    )


@pytest.mark.parametrize(("sequence", "window"), [(10, 4), (10, 10), (10, 30), (7, 1)])
def test_a_window_bounds_the_pairs(sequence: int, window: int) -> None:
    """Counted one by one: query i sees min(i, window) tokens, to within half a pair a query."""
    op = OpWork("a", "fused_attention", heads=1, head_dim=1, causal_skip=True, window=window)
    exact = sum(min(i, window) for i in range(1, sequence + 1))
    counted = op_cost(op, StepShape.of(1, sequence), machine()).flops / 4
    assert counted == pytest.approx(exact, abs=sequence / 2)


def test_a_decode_with_a_window_reads_no_more_cache_than_it() -> None:
    op = OpWork("a", "fused_attention", heads=1, head_dim=1, window=100, read_per_kv_token=2.0)
    assert op_cost(op, StepShape.of(3, 1, 999), machine()).read_bytes == 3 * 100 * 2.0


def test_experts_that_no_token_chose_are_not_read() -> None:
    """8 experts, 2 a token: one token reads a quarter of the weights, many tokens all."""
    op = linear(64, 64, batch=8, routed=0.25, read_per_token=0.0, read_fixed=1e6)
    assert op_cost(op, StepShape.of(1, 1), machine()).read_bytes == pytest.approx(0.25e6)
    assert op_cost(op, StepShape.of(1, 512), machine()).read_bytes == pytest.approx(1e6)


def test_an_arithmetic_that_a_device_lacks_runs_in_another() -> None:
    old = attrs.evolve(DEVICE, peaks={"fp32": 10e12, "fp16": 50e12})
    slow = op_cost(linear(8192, 8192, math="fp8"), TRAIN, machine(device=old))
    same = op_cost(linear(8192, 8192, math="fp16"), TRAIN, machine(device=old))
    fast = op_cost(linear(8192, 8192, math="fp8"), TRAIN, machine())
    assert slow.seconds == same.seconds > 3 * fast.seconds


def test_work_on_the_host_takes_the_hosts_rates() -> None:
    """1 GB at 0.75 of 100 GB/s."""
    op = OpWork("n", "norm", basis="fixed", read_fixed=1e9, place="host")
    assert op_cost(op, DECODE, machine()).seconds == pytest.approx(1e9 / 75e9)


def test_a_runtime_has_other_figures_on_a_family() -> None:
    figures = {"launch_s": 1e-6, "on": {"round.launch_s": 9e-6}}
    op = OpWork("n", "norm", basis="fixed")
    assert op_cost(op, DECODE, machine(**figures)).seconds == pytest.approx(9e-6)


def test_power_lies_between_idle_and_the_limit() -> None:
    assert [power_watts(machine(), u) for u in (0.0, 0.5, 1.0, 2.0)] == [50.0, 225.0, 400.0, 400.0]


KINDS = ("matmul", "fused_attention", "scores", "softmax", "context", "norm", "optimizer", "loss")


@st.composite
def works(draw: st.DrawFn) -> OpWork:
    """Draw an op of any kind and size."""
    kind = draw(st.sampled_from(KINDS))
    size = st.floats(0, 1e9)
    width = st.integers(1, 60_000)
    return OpWork(
        "x", kind, part=draw(st.sampled_from(("forward", "data_grad", "weight_grad"))),
        n=draw(width) if kind == "matmul" else 0, k=draw(width) if kind == "matmul" else 0,
        batch=draw(st.integers(1, 256)), heads=draw(st.integers(1, 128)),
        kv_heads=draw(st.integers(1, 8)), head_dim=draw(st.sampled_from((64, 128, 192))),
        read_per_token=draw(size), write_per_token=draw(size), read_fixed=draw(size),
        read_per_kv_token=draw(size), math=draw(st.sampled_from(("bf16", "fp8", "int8", "zz"))),
        window=draw(st.none() | st.integers(1, 10_000)), runs=draw(st.floats(0, 3)),
        routed=draw(st.floats(0.001, 1)), place=draw(st.sampled_from(("device", "host"))),
    )


@st.composite
def shapes(draw: st.DrawFn) -> StepShape:
    """Draw a step: training, prefill, decode, or nothing at all."""
    return StepShape.of(
        draw(st.integers(0, 4096)), draw(st.integers(0, 200_000)), draw(st.integers(0, 200_000))
    )


@settings(deadline=None)
@given(works(), shapes())
def test_every_op_takes_a_finite_time_that_is_not_negative(op: OpWork, shape: StepShape) -> None:
    cost = op_cost(op, shape, machine(launch_s=1e-6))
    for value in (cost.seconds, cost.flops, cost.read_bytes, cost.write_bytes):
        assert math.isfinite(value)
        assert value >= 0


@settings(deadline=None)
@given(works(), shapes(), st.floats(1, 10))
def test_a_faster_memory_or_multiprocessor_never_slows_an_op(
    op: OpWork, shape: StepShape, factor: float
) -> None:
    base = op_cost(op, shape, machine()).seconds
    wider = attrs.evolve(DEVICE, memory_bandwidth=1e12 * factor)
    quick = attrs.evolve(DEVICE, peaks={k: v * factor for k, v in DEVICE.peaks.items()})
    for device in (wider, quick):
        assert op_cost(op, shape, machine(device=device)).seconds <= base * (1 + 1e-9)
