"""Copies of what lies elsewhere, ranges of cached tokens, further models, pieces and fusion."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from tests.scenarios_for_tests import block, ops, plan_of, scenario, use

from llamasim.plan.spec import CommWork, Plan
from llamasim.scenario.spec import Length, Scenario
from llamasim.simulate import run
from llamasim.simulate.kv import kv_bytes
from llamasim.units import TOKEN, Quantity

#: Llama 3.1 8B: a layer's parameters without norms, and a token's cache in one layer.
LAYER = 218_103_808
CACHE = 2 * 8 * 128 * 2


def decoding(*uses: object, **more: object) -> Scenario:
    base = {"mode": "inference", "devices": 1, "prompt": Length("fixed", 1000), "batch": 2}
    return scenario(*uses, **{**base, **more})  # type: ignore[arg-type]


def copies(plan: Plan, phase: str, name: str = "dense") -> list[CommWork]:
    return [w for w in block(plan, name).work[phase]
            if isinstance(w, CommWork) and w.kind == "copy"]


def own(tmp_path: Path, text: str, *uses: str, **more: object) -> Scenario:
    """Return a scenario that uses techniques of a module of its own."""
    (tmp_path / "own.rules").write_text(f"edition 2026\nmodule own\n{text}")
    given = scenario(*(use(f"own.{u}") for u in uses), **more)  # type: ignore[arg-type]
    return attrs.evolve(given, rule_paths=(str(tmp_path),))


def test_kept_activations_go_out_and_come_back() -> None:
    """Full recomputation keeps 4,096 x 2 B a token and layer; all of it crosses the link twice."""
    plan = plan_of(scenario(use("memory.checkpoint.full_checkpoint"),
                            use("offload.activations.activation_offload"), devices=1))
    for phase in ("forward", "backward"):
        moved = copies(plan, phase)
        assert [w.bytes_per_token for w in moved] == [4096 * 2]
    assert block(plan).saved_per_token == 0
    assert block(plan).host_saved_per_token == 4096 * 2


def test_streamed_weights_are_copied_for_each_use() -> None:
    """Forward, and again for the gradients of data."""
    plan = plan_of(scenario(use("offload.weights.weights_from_host"), devices=1))
    matrices = LAYER * 2
    assert sum(w.bytes_fixed for w in copies(plan, "forward")) == matrices + 2 * 4096 * 2
    assert sum(w.bytes_fixed for w in copies(plan, "backward")) >= matrices
    assert block(plan).weight_bytes == 0


def test_older_tokens_are_copied_in_for_attention() -> None:
    """Of 1,000 cached tokens of each sequence the newest 256 are on the device."""
    args = {"recent": Quantity(256.0, TOKEN), "overlap_share": Quantity(0.0)}
    away = attrs.evolve(use("offload.cache.cache_to_host"), args=args)
    given = decoding(away)
    plan = plan_of(given)
    rank = plan.ranks[0]
    assert kv_bytes(plan, rank, 1000, "device") == 32 * CACHE * 256
    assert kv_bytes(plan, rank, 1000, "host") == 32 * CACHE * 744
    assert sum(w.bytes_per_kv_token for w in copies(plan, "decode")) == CACHE
    slow, fast = run(plan, given), run(plan_of(decoding()), decoding())
    assert slow.decode_s is not None
    assert fast.decode_s is not None
    assert slow.decode_s > fast.decode_s


def test_a_range_of_tokens_has_a_width_of_its_own(tmp_path: Path) -> None:
    """4 bits with 1 bit of scales, but 16 bits for the first 4 and the last 128 tokens."""
    text = """technique mixed {
  on kv_cache {
    set numerics.bits = 4 bit
    add 1 bit to numerics.bits_overhead
  }
  on kv_cache tokens 0 tok..4 tok { set numerics.bits = 16 bit }
  on kv_cache tokens -128 tok..0 tok { set numerics.bits = 16 bit }
}
"""
    plan = plan_of(own(tmp_path, text, "mixed", mode="inference", devices=1))
    each = 32 * 2 * 8 * 128 / 8
    assert kv_bytes(plan, plan.ranks[0], 1000, "device") == each * (5 * 868 + 16 * 132)
    assert kv_bytes(plan, plan.ranks[0], 100, "device") == pytest.approx(each * 16 * 100, rel=0.05)


def test_a_draft_runs_within_the_steps() -> None:
    """Four runs of the draft on one token each, and one of the target on five."""
    plan = plan_of(decoding(attrs.evolve(
        use("serving.speculative.draft_model"), args={"draft": "llama-3.2-1b"})))
    draft = ops(block(plan, "draft.dense"), "decode")
    assert {w.runs for w in draft} == {4.0}
    assert next(w for w in draft if w.name == "attn.q").rows_share == pytest.approx(1 / 5)
    assert {w.runs for w in ops(block(plan), "decode")} == {1.0}
    assert len(plan.ranks[0].chunks[0].blocks) == (16 + 2) + (32 + 2)


def test_pieces_hold_one_part_of_the_logits_at_a_time() -> None:
    """Without pieces the fp32 probabilities are kept, 128,256 x 4 B a token, and the logits'
    gradient of 2 B stands beside them; with eight, an eighth of both is there.
    """
    whole, cut = (
        block(plan_of(scenario(*uses, devices=1)), "head")
        for uses in ((), (use("memory.chunked_loss.chunked_loss", pieces=8),))
    )
    assert whole.saved_per_token - cut.saved_per_token == 128256 * 4
    assert whole.transient_per_token == 128256 * 2
    assert cut.transient_per_token == 128256 * (4 + 2) / 8
    head = [w for w in ops(cut, "backward") if w.name == "head"]
    assert [w.part for w in head] == ["recompute", "data_grad", "weight_grad"]
    assert {w.pieces for w in head} == {8}


def test_fused_products_hand_on_what_only_they_read() -> None:
    """In inference gate and up go to the activation on the chip; their input is read once."""
    plain, fused = (ops(block(plan_of(decoding(*u))), "prefill")
                    for u in ((), (use("kernels.fused.fused_mlp"),)))
    before, after = ({w.name: w for w in side} for side in (plain, fused))
    assert before["mlp.gate"].write_per_token == before["mlp.up"].write_per_token == 14336 * 2
    assert after["mlp.gate"].write_per_token == after["mlp.up"].write_per_token == 0
    assert after["mlp.up"].read_per_token == 4096 * 2
    assert after["mlp.gate"].read_per_token == 0
    assert after["mlp.act"].read_per_token == 0
    assert [after[n].kernels for n in ("mlp.up", "mlp.gate", "mlp.act")] == [1, 0, 0]
    assert after["mlp.down"].read_per_token == 14336 * 2


def test_what_is_brought_in_series_is_read_in_place_of_its_target(tmp_path: Path) -> None:
    text = """technique narrow {
  bring weight squeeze after *.attn.out { dim_in: model.hidden, dim_out: 64 }
  bring op bend after *.squeeze { kind: activation, flops: 3 FLOP * op.input_elems }
  bring weight widen after *.bend { dim_in: 64, dim_out: model.hidden, bits: 8 bit }
}
"""
    plan = plan_of(own(tmp_path, text, "narrow", devices=1))
    found = {w.name: w for w in ops(block(plan), "forward")}
    assert (found["attn.out.squeeze"].k, found["attn.out.squeeze"].n) == (4096, 64)
    widen = found["attn.out.squeeze.bend.widen"]
    assert (widen.k, widen.n) == (64, 4096)
    # One operation an element by kind (5 for an activation), three more from the rule.
    assert found["attn.out.squeeze.bend"].flops_per_token == 64 * (5 + 3)
    extra = 2 * 4096 * 64 * 2 - 4096 * 64  # the second one is stored in 8 bits
    bare = plan_of(scenario(devices=1))
    assert block(plan).weight_bytes - block(bare).weight_bytes == extra


def test_an_axis_inside_another_regroups_its_devices() -> None:
    """Experts over 8 of 16 data-parallel devices: their gradients are summed over the other 2."""
    plan = plan_of(scenario(
        use("parallelism.expert.expert_parallel", degree=8), use("parallelism.zero.zero2"),
        model="mixtral-8x7b", devices=16))
    groups = {w.group.size for w in block(plan, "moe").reduce}
    assert groups == {2, 16}
    assert plan.replicas == 16
    experts = next(w for w in block(plan, "moe").reduce if w.group.size == 2)
    assert experts.bytes_fixed == 3 * 4096 * 14336 * 2


def test_a_ring_passes_keys_and_values_to_all_others() -> None:
    """Each device's shard goes through seven hops: 7 / 8 of keys and values, as a gather would."""
    plan = plan_of(scenario(
        use("parallelism.context.ring_attention", degree=8), use("parallelism.zero.zero3"),
        use("attention.flash.flash_attention"), sequence=8192, global_batch=1))
    ring = [w for w in block(plan).work["forward"]
            if isinstance(w, CommWork) and w.kind == "rotate"]
    assert sum(w.bytes_per_token for w in ring) == 2 * 8 * 128 * 2 / 8
    assert {w.group.size for w in ring} == {8}


def test_nothing_is_kept_before_the_first_layer_that_is_trained() -> None:
    """With 16 of 32 layers and the embedding frozen, those run forward alone."""
    plan = plan_of(scenario(use("finetune.freeze.frozen_layers", layers=16), devices=1))
    frozen, trained = (b for b in plan.blocks if b.layers)
    if frozen.layers[0] != 0:
        frozen, trained = trained, frozen
    assert frozen.work["backward"] == ()
    assert frozen.saved_per_token == 0
    assert trained.work["backward"]
    assert trained.saved_per_token > 0


def test_a_scope_reaches_a_further_model_by_its_name() -> None:
    """The draft's weights in 8 bits, the target's as they are; 1,235,814,400 parameters, of which
    973,078,528 are the layers' products.
    """
    speculative = attrs.evolve(
        use("serving.speculative.draft_model"), args={"draft": "llama-3.2-1b"})
    scoped = attrs.evolve(use("quantization.int8.int8_weights"), scope="draft.*")
    plain = plan_of(decoding(speculative))
    given = decoding(speculative, scoped)
    plan = plan_of(given)
    assert block(plan).weight_bytes == block(plain).weight_bytes
    layer, before = (block(p, "draft.dense").weight_bytes for p in (plan, plain))
    scales = sum(2 * n for n in (2048, 512, 512, 2048, 8192, 8192, 2048))
    assert before - layer == 973_078_528 / 16 - scales


def test_an_op_runs_in_one_place_for_prompts_and_in_another_for_single_tokens() -> None:
    """A layer's weights come to the device once for a whole prompt; a token's work goes to them."""
    split = use("offload.layers.layer_split", device_layers=0)
    plan = plan_of(decoding(split, device="rtx-4090", runtime="llama.cpp"))
    weights = {p: sum(w.bytes_fixed for w in copies(plan, p)) for p in ("prefill", "decode")}
    norms = 2 * 4096
    assert weights == {"prefill": 2 * (LAYER + norms), "decode": 0}
    for phase, where in (("prefill", "device"), ("decode", "host")):
        found = {w.name: w.place for w in ops(block(plan), phase)}
        assert found["mlp.down"] == where
        # What has no weight stays beside the cache.
        assert found["mlp.act"] == where
        # The cache stays where it is, and attention beside it.
        assert {found[n] for n in ("attn.cache", "attn.scores", "attn.context")} == {"host"}
    there = use("offload.layers.layer_split", device_layers=0, prompts_on_host=True)
    plan = plan_of(decoding(there, device="rtx-4090", runtime="llama.cpp"))
    assert sum(w.bytes_fixed for w in copies(plan, "prefill")) == 0
