"""`llamasim plan`: what each technique changes, by leaving it out."""

from __future__ import annotations

import pytest
from tests.cli.command_line import call
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.study.ablation import Change, ablation
from llamasim.study.measure import measure

DATA = "parallelism.data.data_parallel"
TP = "parallelism.tensor.tensor_parallel"
FULL = "memory.checkpoint.full_checkpoint"
FLASH = "attention.flash.flash_attention"
INT4 = "quantization.int4.int4_weights"


def changes(*uses: object, **fields: object) -> dict[str, Change]:
    """Return the changes of a small scenario by the last part of the technique's name."""
    given = scenario(*uses, **fields)
    return {c.technique.rpartition(".")[2]: c for c in ablation(given, plan_of(given))}


def amounts(change: Change) -> dict[str, tuple[float, float]]:
    """Return memory and work without and with a technique."""
    return {a.name: (a.without, a.with_it) for a in (*change.memory, *change.work)}


def test_quantized_weights_without_and_with() -> None:
    """8.03 billion weights in 16 bits, those of the layers' products in 4.15625."""
    found = amounts(changes(use(INT4), devices=1, mode="inference", runtime="vllm")["int4_weights"])
    products = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14336)
    without, with_it = found["weights"]
    assert without == 8_030_261_248 * 2
    assert without - with_it == pytest.approx(products * (16 - 4 - 20 / 128) / 8, rel=1e-12)
    assert "kv_cache" not in found


def test_recomputation_adds_work_and_frees_activations() -> None:
    """Replayed: all of a layer but its last product, whose result the next layer keeps anyway."""
    change = changes(use(FULL), use(FLASH), devices=1)["full_checkpoint"]
    found = amounts(change)
    assert found["recompute"][0] == 0.0
    products = 32 * (2 * 4096 * 4096 + 2 * 4096 * 1024 + 2 * 4096 * 14336)
    attention = 32 * 2 * 2 * 32 * 128 * 4096 * 4097 / 2
    assert found["recompute"][1] == pytest.approx(2 * 4096 * products + attention, rel=0.01)
    assert found["activations"][1] < 0.2 * found["activations"][0]
    assert "model" not in found
    assert "weights" not in found


def test_tensor_parallelism_adds_its_collectives() -> None:
    """Per layer two reductions forward and two backward; those of embedding and head besides."""
    change = changes(use(TP, degree=2), devices=2)["tensor_parallel"]
    # Leaving it out makes two replicas whose gradients nothing sums.
    assert change.refused.startswith("E0412 2 replicas")
    both = changes(use(TP, degree=2), use(DATA), devices=2)
    added = {(m.kind, m.axis): m for m in both["tensor_parallel"].added}
    reduced = added[("all_reduce", "tp")]
    assert reduced.size == 2
    assert reduced.count >= 32 * 4
    removed = {(m.kind, m.axis) for m in both["tensor_parallel"].removed}
    assert removed == {("all_reduce", "dp")}


def test_what_changes_nothing_says_so() -> None:
    """Data parallelism on one device."""
    assert changes(use(DATA), devices=1)["data_parallel"].nothing


def test_a_measure_is_the_plans() -> None:
    """6N FLOP a token and attention's share, on one device without replays."""
    given = scenario(use(FLASH), devices=1)
    plan = plan_of(given)
    found = measure(plan, given)
    useful = plan.model_flops_per_token * 4096 + plan.attention_flops_per_pair * 4096 * 4097 / 2
    embedding = 6 * 128256 * 4096 * 4096  # looked up, not multiplied
    extra = 2 * 2 * 32 * 32 * 128 * 4096 * 4097 / 2  # the fused backward pass' fifth product
    assert found.work["model"] == pytest.approx(useful - embedding + extra / 2, rel=0.02)
    assert found.memory["weights"] == 8_030_261_248 * 2


def test_plan_prints_it_within_100_columns() -> None:
    out = call("plan", "cluster").out
    assert max(len(line) for line in out.splitlines()) <= 100
    assert "activations kept  306.5 GiB -> 50.5 GiB" in " ".join(out.split("\n"))
    assert "cannot be left out: E0412 128 replicas" in out
    assert "numerics.master_bits master_bits  = 32 bit" in " ".join(out.split("\n"))


def test_plan_as_json_has_values_and_changes() -> None:
    found = call("plan", "cluster", "--json").json
    row = next(r for r in found["ledger"] if r["cell"] == "numerics.master_bits")
    assert (row["value"], row["evaluated"]) == ("master_bits", "32 bit")
    assert {c["technique"] for c in found["changes"]} == {r["technique"] for r in found["ledger"]}
    flash = next(c for c in found["changes"] if c["technique"] == FLASH)
    assert flash["memory"]["activations"]["with"] < flash["memory"]["activations"]["without"]
