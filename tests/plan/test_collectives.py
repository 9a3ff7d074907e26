"""Collectives follow from placement."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import block, collectives, ops, plan_of, scenario, use

from llamasim.plan import compile_plan
from llamasim.plan.spec import CommWork

TENSOR = use("parallelism.tensor.tensor_parallel", degree=8)
SEQUENCE = use("parallelism.tensor.tensor_parallel", degree=8, sequence_parallel=True)
DATA = use("parallelism.data.data_parallel")
HIDDEN = 4096


def test_tensor_split_reduces_twice_each_way() -> None:
    """Megatron-LM, section 3: two all-reduces forward, two backward."""
    layer = block(plan_of(scenario(TENSOR)))
    forward = [("all_reduce", "attn.out"), ("all_reduce", "mlp.down")]
    backward = [("all_reduce", "norm2"), ("all_reduce", "norm1")]
    assert collectives(layer, "forward") == forward
    assert collectives(layer, "backward") == backward


def test_sequence_split_gathers_and_scatters() -> None:
    """arXiv:2205.05198, section 4.2.2: gather before, reduce-scatter after each pair of products;
    the input is gathered once more for the weight's gradient.
    """
    layer = block(plan_of(scenario(SEQUENCE)))
    assert collectives(layer, "forward") == [
        ("all_gather", "norm1"), ("reduce_scatter", "attn.out"),
        ("all_gather", "norm2"), ("reduce_scatter", "mlp.down"),
    ]
    backward = collectives(layer, "backward")
    assert sorted(backward) == sorted([
        ("all_gather", "mlp.down"), ("all_gather", "norm2"), ("reduce_scatter", "norm2"),
        ("all_gather", "attn.out"), ("all_gather", "norm1"), ("reduce_scatter", "norm1"),
    ])


def test_message_is_the_whole_activation() -> None:
    """An all-reduce of one token's hidden state moves hidden x 2 bytes."""
    layer = block(plan_of(scenario(TENSOR)))
    found = [w for w in layer.work["forward"] if isinstance(w, CommWork)]
    assert [w.bytes_per_token for w in found] == [HIDDEN * 2, HIDDEN * 2]


def test_products_are_split() -> None:
    """Columns of q and up, rows of out and down."""
    layer = block(plan_of(scenario(TENSOR)))
    shapes = {w.name: (w.k, w.n) for w in ops(layer, "forward") if w.n}
    assert shapes["attn.q"] == (4096, 512)
    assert shapes["attn.k"] == (4096, 128)
    assert shapes["attn.out"] == (512, 4096)
    assert shapes["mlp.up"] == (4096, 1792)
    assert shapes["mlp.down"] == (1792, 4096)


def test_backward_does_twice_the_forward_work() -> None:
    """Each product has a data and a weight gradient of the same size."""
    layer = block(plan_of(scenario(devices=1)))
    forward = sum(w.n * w.k for w in ops(layer, "forward"))
    backward = sum(w.n * w.k for w in ops(layer, "backward"))
    assert backward == 2 * forward


def test_full_replay_adds_one_forward() -> None:
    """With only the input kept, all products but the last are replayed (its result is not
    needed).
    """
    plain = block(plan_of(scenario(devices=1)))
    replayed = block(plan_of(scenario(use("memory.checkpoint.full_checkpoint"), devices=1)))
    again = [w.name for w in ops(replayed, "backward") if w.part == "recompute" and w.n]
    assert [w.name for w in ops(plain, "backward") if w.part == "recompute"] == []
    assert set(again) >= {"attn.q", "attn.k", "attn.v", "attn.out", "mlp.up", "mlp.gate"}


def _volume(*uses: object) -> float:
    """Bytes one device moves a step over dp for one layer, with ring algorithms."""
    given = scenario(*uses, devices=8)
    plan = plan_of(given)
    layer = block(plan)
    works = [*layer.work["forward"], *layer.work["backward"], *layer.reduce]
    per_layer = sum(_wire(w) for w in works if isinstance(w, CommWork))
    share = layer.params / plan.params
    after = sum(_wire(w) for r in plan.ranks for w in (*r.step_start, *r.step_end))
    return per_layer + after * share


def _wire(work: CommWork) -> float:
    ring = (work.group.size - 1) / work.group.size
    return work.bytes_fixed * ring * (2 if work.kind == "all_reduce" else 1)


def test_splitting_all_state_moves_half_as_much_again() -> None:
    """ZeRO, section 7: stages 1 and 2 move what plain data parallelism does, stage 3 moves 1.5
    times that.
    """
    plain = _volume(DATA)
    assert _volume(use("parallelism.zero.zero1")) == pytest.approx(plain, rel=1e-9)
    assert _volume(use("parallelism.zero.zero2")) == pytest.approx(plain, rel=1e-9)
    assert _volume(use("parallelism.zero.zero3")) == pytest.approx(1.5 * plain, rel=1e-9)


def test_replicas_without_a_reduction_are_refused() -> None:
    """Gradients that nobody sums are an error with a way out."""
    plan, said = compile_plan(scenario(devices=8))
    assert plan is None
    assert [d.code for d in said if d.is_error] == ["E0412"]
    assert "parallelism.data" in said[0].help[0]


def test_each_forgotten_op_is_replayed_once() -> None:
    """Selective recomputation: scores, softmax and dropout once each."""
    given = scenario(use("memory.checkpoint.selective_checkpoint"), model="megatron-22b",
                     device="a100-sxm-80gb", devices=1, dtype="fp16")
    again = [w.name for w in ops(block(plan_of(given)), "backward") if w.part == "recompute"]
    assert again == ["attn.scores", "attn.softmax", "attn.dropout"]


def test_one_host_does_the_work_of_all_its_devices() -> None:
    """Split over two devices, a layer on their host reads all its weights there, not half."""
    split = use("offload.layers.layer_split", device_layers=0)
    tensor = use("parallelism.tensor.tensor_parallel", degree=2)
    reads = []
    for uses, devices in (((split,), 1), ((split, tensor), 2)):
        given = scenario(*uses, devices=devices, mode="inference", runtime="llama.cpp")
        down = {w.name: w for w in ops(block(plan_of(given)), "decode")}["mlp.down"]
        assert down.place == "host"
        reads.append(down.read_fixed * down.read_scale)
    assert reads[0] == reads[1]
