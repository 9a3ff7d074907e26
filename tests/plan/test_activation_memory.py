"""Activation memory of a layer, against the closed forms of arXiv:2205.05198, table 2."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.scenario.spec import Use

S, B, H, A, T = 2048, 1, 6144, 64, 8
TENSOR = use("parallelism.tensor.tensor_parallel", degree=T)
SEQUENCE = use("parallelism.tensor.tensor_parallel", degree=T, sequence_parallel=True)
SELECTIVE = use("memory.checkpoint.selective_checkpoint")
FULL = use("memory.checkpoint.full_checkpoint")


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ((), 34 + 5 * A * S / H),
        ((TENSOR,), 10 + 24 / T + 5 * A * S / (H * T)),
        ((SEQUENCE,), 34 / T + 5 * A * S / (H * T)),
        ((TENSOR, SELECTIVE), 10 + 24 / T),
        ((SEQUENCE, SELECTIVE), 34 / T),
        ((TENSOR, FULL), 2),
    ],
    ids=["none", "tp", "tp-sp", "tp-selective", "tp-sp-selective", "full"],
)
def test_saved_bytes_match_the_paper(uses: tuple[Use, ...], expected: float) -> None:
    """Bytes kept by one layer, in units of s * b * h."""
    devices = 8 if uses else 1
    plan = plan_of(scenario(*uses, model="megatron-22b", device="a100-sxm-80gb", devices=devices,
                            dtype="fp16", sequence=S, global_batch=B))
    kept = block(plan)
    size = kept.saved_per_token * S * B + kept.saved_per_pair * S * S * B
    assert size / (S * B * H) == pytest.approx(expected, rel=1e-12)
