"""Kernels that bring the operands of a product to the arithmetic's width, where it is below theirs.

In training each operand is read once and written twice: as it is, and transposed for the product
that makes the gradient of the weight (NVIDIA Transformer Engine, cast and transpose kernels).
Weights are cast once a step, which is not counted; inference kernels cast as they load.
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
    if width is None or work.kind != "matmul" or work.part == "weight_grad":
        return work
    backward = work.part == "data_grad"
    name = step.op.output if backward else step.inputs[0]
    held = local.bits("activation", name)
    if held <= width:
        return work
    if not backward and any(s.kind == "matmul" and name in s.inputs for s in earlier):
        return work
    moved = work.read_per_token * (1 + 2 * width / held)
    return attrs.evolve(work, cast_per_token=moved)
