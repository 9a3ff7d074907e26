"""Widths of what is kept alone, products that are brought, and updates that multiply matrices."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.cost.machine import Machine
from llamasim.cost.ops import op_cost
from llamasim.plan import compile_plan
from llamasim.plan.spec import CommWork, OpWork, Plan
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


def test_attention_over_a_split_cache_joins_its_softmax(tmp_path: Path) -> None:
    """32 heads of 128 sums, and for each a largest score and a sum, in 16 bits."""
    text = """
technique t {
  axis sp size 8
  on kv_cache { shard seq over sp }
}
"""
    given = own(tmp_path, text, mode="inference", devices=8, prompt=Length("fixed", 4096), batch=1)
    found = [w for w in block(plan_of(given)).work["decode"] if isinstance(w, CommWork)]
    assert [(w.kind, w.group.axis, w.bytes_per_token) for w in found] == [
        ("all_reduce", "sp", (32 * 128 + 32 * 2) * 2)]


def test_copies_take_the_bits_of_the_link(tmp_path: Path) -> None:
    """An 8-bit link and a tenth of the elements: a twentieth of 16 bits at rest."""
    text = """
technique t {
  on weight of *.mlp.up { place on host set wire.bits = 8 bit scale wire.elements by 10 % }
}
"""
    given = own(tmp_path, text, mode="inference", devices=1, prompt=Length("fixed", 10), batch=1)
    found = [w for w in block(plan_of(given)).work["decode"]
             if isinstance(w, CommWork) and w.kind == "copy"]
    assert sum(w.bytes_fixed for w in found) == pytest.approx(4096 * 14336 * 2 / 20)


def test_gathering_over_fewer_devices_needs_a_second_partition(tmp_path: Path) -> None:
    """Parts over 8, gathered over 4 in the backward pass: an eighth, and a fourth beside it."""
    text = """
technique t {
  axis hpz size 4 inside dp
  on weight { shard flat over dp gather over dp until layer_end }
  on weight during backward { gather over hpz until layer_end }
  on grad during backward { reduce over dp }
}
"""
    plan = plan_of(own(tmp_path, text, devices=8))
    whole = 218_112_000 * 2  # a layer of Llama 3.1 8B with its norms
    assert block(plan).weight_bytes == pytest.approx(whole / 8 + whole / 4, rel=1e-6)


def test_a_brought_weight_must_read_as_wide_as_its_input(tmp_path: Path) -> None:
    text = "technique t { bring weight small on *.attn.q { dim_in: 8, dim_out: 4096 } }"
    plan, said = compile_plan(own(tmp_path, text, devices=1))
    assert plan is None
    found = next(d for d in said if d.code == "E0409")
    assert "reads what is 4096 wide" in found.why
