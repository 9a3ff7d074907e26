"""What has to outlive the machine: trained weights, and what the optimizer keeps of them."""

from __future__ import annotations

from llamasim.plan.local import Local
from llamasim.plan.memory import optimizer_bits


def lasting_bytes(local: Local, optimizer: str) -> float:
    """Return the bytes of a block's state over all devices, each element counted once.

    Weights in 16 bits with 32-bit master weights and two 32-bit moments are 14 bytes a parameter:
    BLOOM's 176 billion were saved in 2.3 TiB (BigScience, 2022). Weights that are not trained are
    known from before.
    """
    facts = local.facts
    total = 0.0
    for name, weight in facts.block.weights.items():
        if weight.tied or not facts.trainable(name):
            continue
        kept = facts.number("weight", name, "layout.elements", 1.0)
        total += weight.elements * kept * local.bits("weight", name) / 8
        kept = facts.number("optimizer", name, "layout.elements", 1.0)
        total += weight.elements * kept * optimizer_bits(local, name, optimizer) / 8
    return total
