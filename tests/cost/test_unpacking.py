"""Low-bit weights that a kernel of its own unpacks, and clocks under a power limit."""

from __future__ import annotations

import attrs
import pytest
from tests.scenarios_for_tests import scenario

from llamasim import catalog
from llamasim.cost.machine import Machine, clock_share
from llamasim.cost.ops import op_cost
from llamasim.plan.spec import OpWork, StepShape
from llamasim.scenario.spec import Length


def _machine(unpack_rows: int) -> Machine:
    given = scenario(mode="inference", devices=1, runtime="llama.cpp", prompt=Length("fixed", 512))
    machine = Machine.of(given)
    return attrs.evolve(machine, runtime=attrs.evolve(machine.runtime, unpack_rows=unpack_rows))


def _product(rows: float) -> tuple[OpWork, StepShape]:
    op = OpWork("mlp.up", "matmul", n=8192, k=8192, read_fixed=8192 * 8192 * 4.5 / 8,
                read_per_token=8192 * 2, write_per_token=8192 * 2, math="fp16", format="q4_k_m")
    return op, StepShape.of(1, rows)


def test_unpacking_reads_what_is_stored_and_writes_16_bits() -> None:
    """8,192 x 8,192 weights of 4.5 bits: 37.7 MB in, 134.2 MB out, at what multiprocessors keep in
    flight where that is less than the bandwidth: 0.215 x 32 bytes a clock of an A100, whose loads
    take 466; at 1.98 GHz the 145 ns beyond the cache take 287 clocks, and all 549.
    """
    op, shape = _product(512)
    with_it, kernels = _machine(64), _machine(0)
    free = attrs.evolve(kernels, runtime=attrs.evolve(kernels.runtime, formats={}))
    device = with_it.processor
    moved = 8192 * 8192 * (4.5 / 8 + 2)
    pace = 466 / (262 / device.clock_hz + 145e-9)
    assert pace == pytest.approx(1.98e9 * 466 / 549.1, rel=1e-3)
    flight = device.multiprocessors * pace * device.bytes_per_clock * 0.215
    assert flight < device.bandwidth * device.memory_efficiency
    expected = moved / flight
    extra = op_cost(op, shape, with_it).seconds - op_cost(op, shape, free).seconds
    assert extra == pytest.approx(expected)


def test_unpacking_outside_matrix_units_may_take_longer_than_loading() -> None:
    """8,192 x 8,192 weights at 1,000 operations each, a multiply-add being two of the peak: for a
    row of a decode, never for a prompt.
    """
    decode, prompt = _product(1), _product(512)
    plain = _machine(0)
    slow = attrs.evolve(plain, runtime=attrs.evolve(plain.runtime, unpack_ops=1000.0))
    took = op_cost(decode[0], StepShape.of(1, 1), slow).seconds
    launch = op_cost(decode[0], StepShape.of(1, 1), plain)
    expected = 8192 * 8192 * 1000 * 2 / plain.processor.vector_peak
    assert took == pytest.approx(expected, rel=0.2)
    assert took > 5 * launch.seconds
    assert op_cost(*prompt, slow) == op_cost(*prompt, plain)


def test_wider_scores_move_more_bytes_in_prompts_alone() -> None:
    """A softmax of 512 queries over 1,024 keys and 32 heads reads and writes 2 bytes each; three
    times that where scores are kept in 32 bits and cast. A decode counts none of it.
    """
    op = OpWork("attn.softmax", "softmax", heads=32, read_per_pair=64.0, write_per_pair=64.0,
                math="fp16")
    plain = _machine(0)
    plain = attrs.evolve(
        plain, runtime=attrs.evolve(plain.runtime, pair_traffic=1.0, gemv_concurrency=1.0))
    wide = attrs.evolve(plain, runtime=attrs.evolve(plain.runtime, pair_traffic=3.0))
    prompt, decode = StepShape.of(1, 512, 512), StepShape.of(1, 1, 1023)
    more = op_cost(op, prompt, wide).seconds - op_cost(op, prompt, plain).seconds
    rate = plain.processor.bandwidth * plain.processor.memory_efficiency
    assert more == pytest.approx(2 * 512 * 1024 * 128 / rate)
    assert op_cost(op, decode, wide) == op_cost(op, decode, plain)


def test_odd_widths_starve_matrix_units_of_gpus_alone() -> None:
    """Operands of 2,731 columns: 2.3 times as slow on a GPU; a compiler pads them elsewhere."""
    op = OpWork("mlp.up", "matmul", n=2731, k=8192, math="bf16")
    even = attrs.evolve(op, n=2728)
    shape = StepShape.of(1, 4096)
    def ratio(device: str) -> float:
        given = scenario(mode="inference", devices=1, device=device, runtime="llama.cpp")
        machine = Machine.of(given)
        return op_cost(op, shape, machine).seconds / op_cost(even, shape, machine).seconds

    assert ratio("a100-sxm-80gb") > 2
    assert ratio("trainium1") < 1.02


def test_few_rows_are_unpacked_on_the_fly() -> None:
    op, shape = _product(8)
    assert op_cost(op, shape, _machine(64)) == op_cost(op, shape, _machine(0))


def test_a_lower_power_limit_lowers_the_clock_by_its_root() -> None:
    """Half of what the listed rate draws leaves 1/sqrt(2) of the clock."""
    device = catalog.get_device("h100-sxm")
    assert device is not None
    full = device.flop_energy_j * device.peaks["bf16"]
    assert clock_share(attrs.evolve(device, tdp_watts=full)) == 1.0
    assert clock_share(attrs.evolve(device, tdp_watts=2 * full)) == 1.0
    assert clock_share(attrs.evolve(device, tdp_watts=full / 2)) == pytest.approx(0.5**0.5)
