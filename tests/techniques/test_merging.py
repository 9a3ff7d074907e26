"""How several techniques meet on one element."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.plan import compile_plan
from llamasim.scenario.spec import Scenario

INT4 = use("quantization.int4.int4_weights")
INT8 = use("quantization.int8.int8_weights")


def inference(*uses: object, **fields: object) -> Scenario:
    """Return a scenario of one device that serves."""
    return scenario(*uses, devices=1, mode="inference", runtime="vllm", **fields)


def test_two_values_for_one_cell_are_a_conflict() -> None:
    """The order of `use` settles nothing; both places are named, with ways out."""
    plan, said = compile_plan(inference(INT4, INT8))
    assert plan is None
    clash = next(d for d in said if d.code == "E0301")
    files = {label.span.source.name.rsplit("/", 1)[-1] for label in clash.labels}
    assert {"int4.rules", "int8.rules"} <= files
    assert any("prefer" in h for h in clash.help)


def test_prefer_settles_a_conflict() -> None:
    """The preferred technique's value holds."""
    prefer = {
        "weight.numerics.bits": "quantization.int4.int4_weights",
        "weight.numerics.format": "quantization.int4.int4_weights",
    }
    both = block(plan_of(inference(INT4, INT8, prefer=prefer)))
    alone = block(plan_of(inference(INT4)))
    # int8's scales (16 bit a column of 4,096 or 14,336 elements) still add up.
    assert both.weight_bytes == pytest.approx(alone.weight_bytes, rel=2e-3)


def test_scope_narrows_a_technique() -> None:
    """With scopes that do not meet, both apply: attention in 4 bits, the MLP in 8."""
    plan = plan_of(inference(attrs.evolve(INT4, scope="*.attn.*"),
                             attrs.evolve(INT8, scope="*.mlp.*")))
    attention = 2 * 4096 * 4096 + 2 * 4096 * 1024
    mlp = 3 * 4096 * 14336
    norms = 2 * 4096 * 2
    scales = (2 * 14336 + 4096) * 16 / 8
    expected = attention * (4 + 20 / 128) / 8 + mlp + scales + norms
    assert block(plan).weight_bytes == pytest.approx(expected, rel=1e-12)


def test_layers_that_differ_become_classes() -> None:
    """Every fourth layer recomputed: two classes of layers, 8 and 24."""
    plan = plan_of(scenario(use("memory.checkpoint.full_checkpoint", every=4), devices=1))
    sizes = sorted(len(b.layers) for b in plan.blocks if b.layers)
    assert sizes == [8, 24]


def test_conflicting_techniques_are_refused_with_the_reason() -> None:
    """`conflicts with` names both uses and says why."""
    plan, said = compile_plan(scenario(use("memory.checkpoint.full_checkpoint"),
                                       use("memory.checkpoint.selective_checkpoint"), devices=1))
    assert plan is None
    assert [d.code for d in said] == ["E0403"]
    assert "already forgets" in said[0].why


def test_degrees_must_divide_the_devices() -> None:
    """A mesh that does not fill the cluster is refused with a multiple to use."""
    plan, said = compile_plan(scenario(use("parallelism.tensor.tensor_parallel", degree=16),
                                       devices=8))
    assert plan is None
    assert [d.code for d in said] == ["E0404"]
    assert "multiple of 16" in said[0].help[0]


def test_ledger_leaves_out_rules_that_do_not_apply() -> None:
    """Without sequence parallelism no row says that anything is split along the sequence."""
    plan = plan_of(scenario(use("parallelism.tensor.tensor_parallel", degree=8)))
    said = [r.value for r in plan.ledger]
    assert "dim_out over tp" in said
    assert "seq over tp" not in said
    matched = next(r.matched for r in plan.ledger if r.value == "dim_out over tp")
    assert matched == 32 * 5


RULE = """\
edition 2026
module mine

source me = "a test"

technique slower {
  param factor: Ratio in 1..10 = 2
  on op of *.mlp.down during decode where layer.index >= 16 { scale cost.flops by factor }
  on op of *.attn.q during decode { add 1e6 FLOP + 3 FLOP * op.input_elems to cost.flops }
}

technique sparse {
  on weight of *.mlp.* { scale layout.elements by 1 / 2 }
}
"""


def with_rules(folder: Path, *uses: object) -> Scenario:
    """Return a scenario that finds `mine.rules` in a folder."""
    (folder / "mine.rules").write_text(RULE)
    return attrs.evolve(inference(*uses), rule_paths=(str(folder),))


def test_a_rule_of_ones_own_needs_no_engine_change(tmp_path: Path) -> None:
    """Scaling, adding per token, and a condition on layers come out in the plan."""
    plan = plan_of(with_rules(tmp_path, use("mine.slower", factor=3)))
    classes = {len(b.layers): b for b in plan.blocks if b.layers}
    assert set(classes) == {16}
    first, second = (b for b in plan.blocks if b.layers)
    down = [{w.name: w for w in b.work["decode"]}["mlp.down"] for b in (first, second)]
    assert [w.flops_scale for w in down] == [1.0, 3.0]
    q = {w.name: w for w in first.work["decode"]}["attn.q"]
    assert q.flops_fixed == pytest.approx(1e6)
    assert q.flops_per_token == pytest.approx(3 * 4096)


def test_fewer_elements_take_less_memory(tmp_path: Path) -> None:
    """Half of the MLP's elements: half of its bytes."""
    dense, sparse = (block(plan_of(s)) for s in
                     (inference(), with_rules(tmp_path, use("mine.sparse"))))
    assert dense.weight_bytes - sparse.weight_bytes == 3 * 4096 * 14336 / 2 * 2


ODD = """\
edition 2026
module odd

import parallelism.tensor

source me = "a test"

technique exchanging {
  on activation of *.mlp.act during decode { exchange 8 bit * 3 over tp }
}
technique unknown_move { on kv_cache during decode { gather over tp } }
technique on_disk { on op of *.mlp.* { place on disk } }
technique fused_apart { on op of {*.norm2, *.residual2} { fuse as one } }
technique table { on step { add 1 GiB to cost.static_bytes } }
technique thin_cache { on kv_cache { scale layout.elements by 0.5 } }
"""


def odd(folder: Path, *uses: object) -> Scenario:
    """Return a scenario over eight devices that finds `odd.rules` in a folder."""
    (folder / "odd.rules").write_text(ODD)
    given = scenario(use("parallelism.tensor.tensor_parallel", degree=8), *uses,
                     mode="inference", runtime="vllm")
    return attrs.evolve(given, rule_paths=(str(folder),))


def test_a_stated_exchange_becomes_an_all_to_all(tmp_path: Path) -> None:
    """Its size is the rule's own."""
    layer = block(plan_of(odd(tmp_path, use("odd.exchanging"))))
    moved = [w for w in layer.work["decode"] if w.name == "mlp.act" and hasattr(w, "group")]
    assert [(w.kind, w.bytes_fixed) for w in moved] == [("all_to_all", 3.0)]


@pytest.mark.parametrize(
    "name", ["unknown_move", "on_disk", "fused_apart"]
)
def test_what_nothing_simulates_is_refused_by_name(tmp_path: Path, name: str) -> None:
    """A fact that no stage acts on is an error, not a silence."""
    plan, said = compile_plan(odd(tmp_path, use(f"odd.{name}")))
    assert plan is None
    assert {d.code for d in said if d.is_error} == {"E0408"}


def test_memory_of_the_step_counts_on_every_device(tmp_path: Path) -> None:
    """A table of 1 GiB stands on each rank class."""
    plan = plan_of(odd(tmp_path, use("odd.table")))
    assert [r.static_bytes for r in plan.ranks] == [2**30]


def test_a_cache_may_keep_a_share_of_its_elements(tmp_path: Path) -> None:
    """Half of the elements: half of the bytes."""
    whole, half = (block(plan_of(s)).kv_per_token for s in
                   (odd(tmp_path), odd(tmp_path, use("odd.thin_cache"))))
    assert half == whole / 2


def test_an_unknown_axis_in_the_mesh_is_refused() -> None:
    """A typing error in `mesh.order` would silently change which devices share a node."""
    plan, said = compile_plan(scenario(use("parallelism.data.data_parallel"), order=("xx", "dp")))
    assert plan is None
    assert [d.code for d in said if d.is_error] == ["E0414"]
