"""Kernels beside products: casts, sums of bias gradients, copies of sharded weights' buffers."""

from __future__ import annotations

import attrs
import pytest
from tests.scenarios_for_tests import block, ops, plan_of, scenario, use

from llamasim.plan.spec import OpWork


def named(works: list[OpWork], name: str, part: str) -> OpWork:
    return next(w for w in works if w.name == name and w.part == part)


def test_operands_of_8_bit_products_are_cast_once_each() -> None:
    """Llama 3.1 8B: 16-bit numbers are read, 8-bit ones written twice; a norm writes its own."""
    layer = block(plan_of(scenario(use("precision.fp8.fp8_compute"), devices=1)))
    forward = ops(layer, "forward")
    assert named(forward, "attn.out", "forward").beside_per_token == 4096 * (2 + 1 + 1)
    assert named(forward, "attn.q", "forward").beside_per_token == 4096 * (1 + 1)
    assert named(forward, "attn.k", "forward").beside_per_token == 0
    backward = ops(layer, "backward")
    assert named(backward, "mlp.up", "data_grad").beside_per_token == 14336 * 4
    assert named(backward, "mlp.up", "weight_grad").beside_per_token == 0


def test_16_bit_products_need_no_cast() -> None:
    layer = block(plan_of(scenario(devices=1)))
    assert all(w.beside_per_token == 0 for w in ops(layer, "forward"))


def test_a_bias_is_a_sum_over_all_tokens() -> None:
    """The output's gradient is read once more: 3 x 6,144 wide projections apart, 24,576 for up."""
    given = scenario(devices=1, model="megatron-22b")
    backward = ops(block(plan_of(given)), "backward")
    assert named(backward, "attn.q", "weight_grad").beside_per_token == 6144 * 2
    assert named(backward, "mlp.up", "weight_grad").beside_per_token == 24576 * 2


@pytest.mark.parametrize("copies", [0.0, 2.0])
def test_gathered_weights_are_copied_out_of_their_buffer(copies: float) -> None:
    """A layer of Llama 3.1 8B has 218,112,000 parameters of 2 B; copies are read and written."""
    given = scenario(use("parallelism.zero.zero3"), devices=8)
    given = attrs.evolve(
        given, runtime=attrs.evolve(given.runtime, gather_copies=copies, reduce_copies=0.0)
    )
    found = [w for w in ops(block(plan_of(given)), "forward") if w.kind == "copied"]
    moved = sum(w.read_fixed + w.write_fixed for w in found)
    assert moved == pytest.approx(copies * 2 * 218_112_000)


def test_gradients_are_copied_where_each_micro_batch_is_reduced() -> None:
    def copied(technique: str, **params: float) -> int:
        given = scenario(use(technique, **params), devices=8)
        runtime = attrs.evolve(given.runtime, gather_copies=0.0, reduce_copies=1.5)
        plan = plan_of(attrs.evolve(given, runtime=runtime))
        return sum(w.kind == "copied" for w in ops(block(plan), "backward"))

    assert copied("parallelism.zero.zero3") == 1
    assert copied("parallelism.zero.zero2", reduce_every=0.0) == 0
