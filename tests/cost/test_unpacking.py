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
    """8,192 x 8,192 weights of 4.5 bits: 37.7 MB in, 134.2 MB out, at the streaming bandwidth."""
    op, shape = _product(512)
    with_it, kernels = _machine(64), _machine(0)
    free = attrs.evolve(kernels, runtime=attrs.evolve(kernels.runtime, formats={}))
    device = with_it.processor
    moved = 8192 * 8192 * (4.5 / 8 + 2)
    expected = moved / (device.bandwidth * device.memory_efficiency)
    extra = op_cost(op, shape, with_it).seconds - op_cost(op, shape, free).seconds
    assert extra == pytest.approx(expected)


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
