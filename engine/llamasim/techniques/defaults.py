"""Base values of cells: what holds where no technique says otherwise."""

from __future__ import annotations

from llamasim.model.graph import Block

#: Bits of an element by arithmetic.
BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
#: Values that each optimizer keeps for a parameter, apart from a master copy.
MOMENTS = {"adamw": 2, "adam": 2, "momentum": 1, "adafactor": 0, "sgd": 0}


def base_bits(block: Block, element: str, name: str, dtype: str) -> float:
    """Return the bits an element of a tensor holds at rest when no technique says otherwise."""
    if element == "optimizer":
        return 32.0
    if element in ("activation", "activation_grad"):
        found = block.activations.get(name)
        if found is not None and found.bits is not None:
            return float(found.bits)
    return float(BITS[dtype])


def phases_of(mode: str) -> tuple[str, ...]:
    """Return the phases that a workload of this mode has."""
    return ("forward", "backward", "optimizer") if mode == "training" else ("prefill", "decode")
