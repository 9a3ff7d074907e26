"""What lives at once inside a block, by hand."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.scenario.spec import Use

V, H, F = 128_256, 4096, 14_336
EAGER = use("memory.loss.eager_loss")
FUSED = use("memory.loss.fused_loss")


@pytest.mark.parametrize(
    ("uses", "forward", "backward"),
    [
        # 32-bit probabilities beside 16-bit logits; then probabilities beside 16-bit gradients.
        ((), 6, 6),
        # A 32-bit copy of the logits; then gradients of both halves of the loss beside them.
        ((EAGER,), 10, 14),
        # A second, shifted copy; the first stays to the end.
        ((use("memory.loss.eager_loss", shifted=True),), 14, 18),
        # DTensor's parallel loss.
        ((use("memory.loss.eager_loss", parallel=True),), 18, 22),
        # Logits alone, then their gradients too.
        ((FUSED,), 2, 4),
        # All logits and an eighth of their gradients.
        ((use("memory.loss.loss_in_chunks", pieces=8),), 2, 2 + 2 / 8),
    ],
    ids=["megatron", "eager", "shifted", "parallel", "fused", "chunks"],
)
def test_bytes_of_the_loss_for_each_logit(
    uses: tuple[Use, ...], forward: float, backward: float
) -> None:
    """Of the whole head, beside inputs of the last norm and of the head (2 B x 4,096 each) and
    single numbers a token.
    """
    head = block(plan_of(scenario(*uses, devices=1)), "head")
    assert head.forward_per_token is not None
    tops = (head.saved_per_token + head.forward_per_token,
            head.saved_per_token + head.transient_per_token)
    for top, expected in zip(tops, (forward, backward), strict=True):
        assert top / V == pytest.approx(expected, abs=6 * H / V)


def test_a_checkpointed_layer_is_made_again_within_its_backward_pass() -> None:
    """At the down projection, all that a plain layer keeps is there, with the gradient of its
    result and that of its input: 2 B x (4,096 + 14,336) a token.
    """
    flash = use("attention.flash.flash_attention")
    plain, forgotten = (
        block(plan_of(scenario(flash, *uses, devices=1)))
        for uses in ((), (use("memory.checkpoint.full_checkpoint"),))
    )
    assert forgotten.saved_per_token == 2 * H
    remade = forgotten.saved_per_token + forgotten.transient_per_token
    assert remade >= plain.saved_per_token + 2 * (H + F)
    assert remade <= plain.saved_per_token + 2 * (H + 4 * F)


def test_a_whole_partial_sum_lives_beside_its_parts() -> None:
    """Sequence parallel: the output of the down projection is whole until it is scattered."""
    split = use("parallelism.tensor.tensor_parallel", degree=8, sequence_parallel=True)
    flash = use("attention.flash.flash_attention")
    layer = block(plan_of(scenario(split, flash, devices=8, global_batch=1)))
    assert layer.forward_per_token is not None
    assert layer.forward_per_token >= 2 * H


def test_low_bit_weights_have_a_wide_copy_of_the_largest() -> None:
    """QLoRA: 4,096 x 14,336 numbers of 16 bits."""
    made = plan_of(scenario(use("finetune.qlora.qlora"), devices=1))
    assert block(made).unpacked_bytes == 2 * H * F
    assert block(made, "head").unpacked_bytes == 0


def test_the_outermost_unit_stays_whole_where_it_is_kept() -> None:
    kept = plan_of(scenario(use("parallelism.zero.zero3", keep_outermost=True)))
    head = block(kept, "head")
    assert head.held_bytes == pytest.approx(2 * (V * H + H) * 7 / 8, rel=1e-6)
    assert head.gathered_bytes == 0
    assert block(kept).held_bytes == 0
    assert [w.name for w in head.work["backward"]].count("weights") == 0
