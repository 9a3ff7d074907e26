"""What kernels of their own move beside a product in training: casts, sums of bias gradients.

Where the arithmetic's width is below that of the operands, each operand is read once and written
twice: as it is, and transposed for the product that makes the gradient of the weight (NVIDIA
Transformer Engine, cast and transpose kernels). Weights are cast once a step, which is not counted;
inference kernels cast as they load. The gradient of a bias is the sum of the output's gradient over
all tokens, which reads it once more.
"""

from __future__ import annotations

import attrs

from llamasim.plan.local import Local
from llamasim.plan.spec import OpWork
from llamasim.plan.steps import Step

_NARROW = {"fp8": 8.0, "int8": 8.0, "fp4": 4.0, "int4": 4.0}


def with_casts(local: Local, earlier: tuple[Step, ...], step: Step, work: OpWork) -> OpWork:
    """Return a training product with what the casts of its operand move.

    The input's cast comes before the forward product and serves all products that read it; that of
    the output's gradient before the product that makes the input's.
    """
    width = _NARROW.get(work.math)
    if width is None or work.kind != "matmul":
        return work
    name = step.op.output if work.part == "data_grad" else step.inputs[0]
    held = local.bits("activation", name)
    if held <= width:
        return work
    if work.part == "forward" and any(s.kind == "matmul" and name in s.inputs for s in earlier):
        return work
    made = any(s.kind == "norm" and name in s.outputs for s in earlier)
    # A norm writes its result in the width of the product that reads it: the transpose is left.
    moved = work.read_per_token * (2 * width / held + (0.0 if made else 1.0))
    return attrs.evolve(work, beside_per_token=moved)


def with_bias_sum(local: Local, step: Step, work: OpWork) -> OpWork:
    """Return the product that makes a weight's gradient with the sum that makes its bias's."""
    bias = f"{step.op.weight}.bias"
    if bias not in local.facts.block.weights or not local.facts.trainable(bias):
        return work
    size = local.features(step.op.output) * local.rows(step.op.output)
    moved = size * local.bits("activation", step.op.output) / 8
    return attrs.evolve(work, beside_per_token=work.beside_per_token + moved)
