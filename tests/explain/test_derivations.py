"""Derivations of known scenarios, worked out by hand, with the rules that they must name."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.explain.derivations import answer, node, wrong_formulas
from tests.scenarios_for_tests import scenario, use

from llamasim.study.explain import Site

TP = "parallelism.tensor.tensor_parallel"


def lines(sites: tuple[Site, ...]) -> list[tuple[str, str]]:
    """Return technique and effect of each site."""
    return [(s.technique.rpartition(".")[2], s.written) for s in sites]


def test_a_weight_is_its_dims_split_by_their_rules() -> None:
    """405B's down projection: 53,248 / 8 rows of 16,384 in 16 bits."""
    found = answer("cluster", "weight.bytes@layers.3.mlp.down")
    assert found.root.value == 53248 / 8 * 16384 * 2
    dim = node(found, "elements", "dim_in")
    assert (dim.value, dim.formula) == (6656, "53248 / 8")
    (site,) = dim.sites
    assert site.place.startswith("parallelism/tensor.rules:")
    assert (site.written, site.value) == ("shard dim_in over tp", "tp = 8")
    bits = node(found, "numerics.bits")
    assert (bits.value, bits.note) == (16, "base (workload.dtype bf16)")
    assert ("arXiv:1909.08053" in text for _, text, _ in found.sources)


def test_an_optimizer_state_names_each_rule_that_shapes_it() -> None:
    """Two moments and a master copy of 32 bits, 1/128 of what tp leaves."""
    found = answer("cluster", "optimizer.bytes@layers.3.mlp.down")
    assert found.root.value == 6656 * 16384 / 128 * (2 * 4 + 4)
    assert node(found, "elements", "flat").value == 128
    master = node(found, "numerics.master_bits")
    assert master.value == 32
    assert master.sites[0].written == "set numerics.master_bits = master_bits"
    assert master.sites[0].value == "32 bit"
    assert {t.rpartition(".")[2] for t, _, _ in found.sources} == {
        "tensor_parallel", "zero2", "bf16_mixed"}


def test_an_expression_shows_what_it_reads() -> None:
    """4 bits and a scale and a zero point of 20 bits for each 32 elements."""
    found = answer("workstation", "weight.bytes@layers.3.mlp.down")
    assert found.root.value == 28672 * 8192 * (4 + 20 / 32) / 8
    (site,) = node(found, "bits", "numerics.bits_overhead").sites
    assert (site.verb, site.value, site.reads) == ("add", "0.625 bit", (("group_size", "32"),))


def test_what_is_not_in_use_is_named() -> None:
    """Shipped techniques that write the cell of such a weight, and no others."""
    found = answer("cluster", "weight.bytes@layers.3.mlp.down")
    names = [u.technique for u in found.unused]
    assert "quantization.int4.int4_weights" in names
    assert TP not in names
    assert not any(n.startswith("serving.") for n in names)


def test_a_preferred_set_stands_beside_the_replaced_one() -> None:
    """Both writers are shown; the one that does not hold says why."""
    prefer = {"weight.numerics.bits": "quantization.int4.int4_weights",
              "weight.numerics.format": "quantization.int4.int4_weights"}
    given = scenario(use("quantization.int4.int4_weights"), use("quantization.int8.int8_weights"),
                     devices=1, mode="inference", runtime="vllm", prefer=prefer)
    bits = answer(given, "weight.numerics.bits@layers.0.mlp.down").root
    assert bits.value == 4
    assert {s.technique.rpartition(".")[2]: bool(s.replaced) for s in bits.sites} == {
        "int4_weights": False, "int8_weights": True}


def test_a_frozen_weight_has_no_gradient_and_says_which_rule_froze_it() -> None:
    found = answer("finetune", "grad.bytes@layers.0.mlp.down").root
    assert (found.value, found.note) == (0.0, "the weight is not trained")
    frozen = node(found, "trainable")
    assert frozen.value is False
    assert lines(frozen.sites) == [("lora", "set trainable = false")]


def test_a_cell_without_its_element_is_the_weights_and_names_the_others() -> None:
    found = answer("cluster", "numerics.bits@layers.3.attn.q")
    assert found.cell == "weight.numerics.bits"
    assert "grad.numerics.bits@layers.3.attn.q" in found.also
    grad = answer("cluster", "grad.numerics.bits@layers.3.attn.q").root
    assert grad.value == 32
    assert lines(grad.sites) == [("bf16_mixed", "set numerics.bits = grad_bits")]


def test_a_step_cell_needs_no_name() -> None:
    found = answer("cluster", "schedule.pipeline").root
    assert found.value == "interleaved"
    assert found.sites[0].reads == (("chunks", "8"),)
    base = answer("cluster", "schedule.micro_batch").root
    assert (base.value, base.note) == (1.0, "base (workload.micro_batch)")


def test_the_work_of_an_op_in_each_phase() -> None:
    """2 FLOP a row and element of the weight; twice that backward."""
    forward = 2 * 8192 * 16384 * 16384 / 8
    assert answer("cluster", "op.cost.flops@layers.0.attn.q").root.value == forward
    backward = answer("cluster", "op.cost.flops@layers.0.attn.q", "backward").root
    assert backward.value == 2 * forward
    assert [n.name for n in backward.inputs] == ["gradient_of_the_input", "gradient_of_the_weight"]


def test_an_op_inside_a_kernel_is_that_kernel() -> None:
    """Two products for each head, its width and each visible pair: 128 / 8 heads of 128."""
    found = answer("cluster", "op.cost.flops@layers.0.attn.scores").root
    assert found.value == 2 * 2 * 16 * 128 * 8192 * 8193 / 2
    assert lines(found.sites) == [("flash_attention", "fuse as attention_core")]
    assert found.note.startswith("part of the kernel attention_core")


def test_an_activation_says_where_it_lies_and_whether_it_is_kept() -> None:
    """Reduce-scattered along the sequence: 8,192 / 8 tokens of 16,384 features."""
    found = answer("cluster", "activation.bytes@layers.3.attn.out")
    assert found.root.value == 8192 / 8 * 16384 * 2
    placed = node(found, "over tp (8)")
    assert placed.value == "split along seq"
    assert lines(placed.sites) == [("tensor_parallel", "reduce over tp"),
                                   ("tensor_parallel", "shard seq over tp")]
    assert node(found, "kept").value is False
    assert node(answer("cluster", "activation.bytes@layers.3.entry"), "kept").value is True
    dropped = node(answer("finetune", "activation.bytes@layers.3.mlp.up"), "kept")
    assert dropped.sites[0].written == "drop"


def test_collectives_of_a_tensor_with_what_led_to_them() -> None:
    """Megatron's sequence parallelism: a partial sum becomes split tokens; gathered backward."""
    found = {n.name: n for n in answer("cluster", "comm@layers.3.attn.out").root.inputs}
    forward = found["forward reduce_scatter over tp (8)"]
    assert forward.value == 8192 * 16384 * 2
    assert forward.note.startswith("a partial sum -> split along seq")
    assert {s.written for s in forward.sites} == {
        "shard dim_in over tp", "reduce over tp", "shard seq over tp"}
    backward = found["backward all_gather of its gradient over tp (8)"]
    assert "transpose of the forward pass' reduce-scatter" in backward.note
    grads = found["once a step reduce_scatter of its gradient over dp (128)"]
    assert grads.value == 16384 * 16384 / 8 * 4


def test_an_implied_collective_names_who_wants_the_tensor_whole() -> None:
    """No rule says `gather`: q, k and v read the norm whole."""
    found = answer("cluster", "comm@layers.3.norm1").root.inputs[0]
    assert found.name == "forward all_gather over tp (8)"
    assert "implied, attn.q, attn.k, attn.v want it so" in found.note


def test_what_nothing_moves_says_so() -> None:
    found = answer("laptop", "comm@layers.3.attn.out").root
    assert (found.value, found.inputs) == (0.0, ())
    assert "nothing moves it" in found.note


def test_a_weight_kept_on_the_host_is_copied_for_its_use(tmp_path: Path) -> None:
    """What lies elsewhere says where, by which rule, and which copies follow."""
    (tmp_path / "away.rules").write_text(
        "edition 2026\nmodule away\n\ntechnique part {\n  on weight of *.mlp.down "
        "{ place 50 % on host }\n}\n", encoding="utf-8")
    given = scenario(use("away.part"), devices=1, mode="inference", runtime="vllm")
    given = attrs.evolve(given, rule_paths=(str(tmp_path),))
    found = answer(given, "weight.bytes@layers.0.mlp.down")
    lies = node(found, "elsewhere")
    assert (lies.value, lies.note) == (50.0, "share of it on the host")
    assert lies.sites[0].written == "place 50 % on host"
    copy = answer(given, "comm@layers.0.mlp.down").root.inputs[0]
    assert copy.value == 4096 * 14336 * 2 / 2
    assert wrong_formulas(answer(given, "memory.weights").root) == []


@pytest.mark.parametrize(("stage", "layers"), [(1, 8), (0, 7)])
def test_memory_of_a_stage_counts_its_blocks(stage: int, layers: int) -> None:
    """The first of 16 stages has one layer fewer, and the embedding."""
    found = answer("cluster", f"memory.weights@stage.{stage}").root
    dense = node(found, "dense")
    assert dense.formula == f"{layers} x {{one dense}}"
    assert ("embed" in [n.name for n in found.inputs]) == (stage == 0)


def test_the_fullest_stage_is_the_one_that_is_opened() -> None:
    found = answer("cluster", "memory.activations").root
    opened = [n for n in found.inputs if n.inputs]
    assert [n.name for n in opened] == ["stage 1"]
    assert found.value == max(float(n.value or 0) for n in found.inputs)
    assert len(found.inputs) == 16
