"""What a checkpoint holds: trained weights and the optimizer's state, each element once."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Scenario, Use
from llamasim.simulate.goodput.job import lasting_bytes

MIXED = use("precision.mixed.bf16_mixed")
TP = use("parallelism.tensor.tensor_parallel", degree=2, sequence_parallel=True)
PP = use("parallelism.pipeline.pipeline_parallel", stages=2)


def _each(given: Scenario) -> float:
    plan = plan_of(given)
    return lasting_bytes(plan) / plan.params


def test_bf16_weights_with_fp32_master_weights_and_two_moments_are_14_bytes() -> None:
    """2 + 4 + 2 x 4 (arXiv:1910.02054, section 3.1, without gradients)."""
    assert _each(scenario(MIXED, use("parallelism.data.data_parallel"))) == 14.0


@pytest.mark.parametrize("uses", [
    (use("parallelism.data.data_parallel"),),
    (use("parallelism.zero.zero2"),),
    (use("parallelism.zero.zero3"),),
    (TP, use("parallelism.zero.zero2")),
    (TP, PP, use("parallelism.zero.zero2")),
], ids=["replicas", "zero2", "zero3", "tensor", "pipeline"])
def test_how_it_is_spread_over_devices_does_not_matter(uses: tuple[Use, ...]) -> None:
    """Replicas keep the same; shares add up to it."""
    assert _each(scenario(MIXED, *uses)) == 14.0


@pytest.mark.parametrize(("optimizer", "each"), [("sgd", 6.0), ("momentum", 10.0)])
def test_other_optimizers_keep_less(optimizer: str, each: float) -> None:
    """No moment, or one."""
    assert _each(scenario(MIXED, use("parallelism.data.data_parallel"),
                          optimizer=optimizer)) == each


def test_frozen_weights_are_known_from_before() -> None:
    """Of a fine-tuned model only the adapters are saved: rank 8 on all seven projections of 32
    layers, 2 bytes and two moments of 4 each.
    """
    plan = plan_of(scenario(use("finetune.lora.lora", rank=8), devices=1))
    ends = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert lasting_bytes(plan) == 32 * 8 * ends * (2 + 2 * 4)


def test_inference_saves_nothing() -> None:
    plan = plan_of(scenario(devices=1, mode="inference", sequence=512, global_batch=1))
    assert lasting_bytes(plan) == 0.0
