"""Widths of what is kept alone, products that are brought, and updates that multiply matrices."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.cost.machine import Machine
from llamasim.cost.ops import op_cost
from llamasim.plan.spec import OpWork, Plan
from llamasim.scenario.spec import Length, Scenario

NEWTON_SCHULZ = """
technique t {
  on optimizer of *.mlp.up {
    set numerics.math = bf16
    add 1 TFLOP to cost.flops
  }
}
"""


def own(tmp_path: Path, text: str, **more: object) -> Scenario:
    (tmp_path / "own.rules").write_text(f"edition 2026\nmodule own\n{text}")
    given = scenario(use("own.t"), **more)  # type: ignore[arg-type]
    return attrs.evolve(given, rule_paths=(str(tmp_path),))


def test_kept_activations_can_be_narrower_than_live_ones(tmp_path: Path) -> None:
    """Four bits of sixteen where they wait for the backward pass; kernels move what they did."""
    text = "technique t { on activation of layers.* { set saved.bits = 4 bit } }"
    narrow = plan_of(own(tmp_path, text, devices=1))
    wide = plan_of(scenario(devices=1))
    assert block(narrow).saved_per_token == pytest.approx(block(wide).saved_per_token / 4)
    assert block(narrow).work == block(wide).work


def test_a_brought_product_runs_at_the_rate_of_products(tmp_path: Path) -> None:
    """989 GFLOP a layer: 1 ms at the 989 TFLOP/s of an H100, longer by what kernels reach."""
    text = "technique t { bring op mix after *.attn.q { kind: matmul, flops: 989 GFLOP } }"
    given = own(tmp_path, text, mode="inference", devices=1, prompt=Length("fixed", 100), batch=1)
    plan = plan_of(given)
    brought = next(w for w in block(plan).work["decode"]
                   if isinstance(w, OpWork) and w.name == "attn.q.mix")
    machine = Machine.of(given)
    reached = machine.processor.sustained * machine.runtime.matmul_efficiency
    cost = op_cost(brought, plan.step_shape, machine)
    assert cost.bound == "compute"
    assert cost.seconds == pytest.approx(1e-3 / reached, rel=0.02)


def test_an_update_may_multiply_matrices(tmp_path: Path) -> None:
    """1 TFLOP for each of 32 layers, in bf16 products, beside the update itself."""
    given = own(tmp_path, NEWTON_SCHULZ, devices=1)
    plan, plain = plan_of(given), plan_of(scenario(devices=1))
    works, before = _updates(plan), _updates(plain)
    assert works[:-1] == before
    assert (works[-1].kind, works[-1].math) == ("matmul", "bf16")
    assert works[-1].flops_fixed == 32e12


def _updates(plan: Plan) -> list[OpWork]:
    return [w for w in plan.ranks[0].optimizer if isinstance(w, OpWork)]
