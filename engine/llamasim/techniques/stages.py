"""Which pipeline stage and chunk each layer belongs to."""

from __future__ import annotations

import attrs


@attrs.frozen
class Stages:
    """Layers over `stages` x `chunks` slots; slot `c * stages + s` is chunk c of stage s."""

    stages: int
    chunks: int
    slot_of: tuple[int, ...]

    def stage_of(self, layer: int) -> int:
        """Return a layer's stage."""
        return self.slot_of[layer] % self.stages


def assign(
    layers: int, stages: int, chunks: int, first_relief: int, last_relief: int
) -> Stages | None:
    """Spread layers over slots in order, fewer on the first and last by the given reliefs.

    Embedding and head count as `relief` layers each. Where the sum does not divide, earlier and
    later slots differ by one at most. None when a slot would get a negative number of layers.
    """
    slots = stages * chunks
    total = layers + first_relief + last_relief
    counts = [total * (i + 1) // slots - total * i // slots for i in range(slots)]
    counts[0] -= first_relief
    counts[-1] -= last_relief
    if min(counts) < 0:
        return None
    slot_of = tuple(slot for slot, count in enumerate(counts) for _ in range(count))
    return Stages(stages, chunks, slot_of)
