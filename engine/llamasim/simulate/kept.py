"""Beginnings of prompts in the host's memory, for when the device no longer has them.

What is computed of a beginning is written there beside other work; what was used longest ago goes
when room is needed, its last blocks first (arXiv:2403.19708, section 3).
"""

from __future__ import annotations

from collections import OrderedDict


class Kept:
    """Blocks of one server's host.

    Attributes:
        capacity: blocks that there is room for; `used` of them are taken.

    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.used = capacity, 0
        self._depths: OrderedDict[int, int] = OrderedDict()

    def depth(self, number: int) -> int:
        """Return the first blocks of a part that are here."""
        return self._depths.get(number, 0)

    def put(self, number: int, blocks: int) -> None:
        """Have the first blocks of a part here; it is the one used last."""
        depth = max(self.depth(number), min(blocks, self.capacity))
        self.used += depth - self.depth(number)
        self._depths[number] = depth
        self._depths.move_to_end(number)
        while self.used > self.capacity:
            oldest, held = next(iter(self._depths.items()))
            less = min(held, self.used - self.capacity)
            self.used -= less
            if held > less:
                self._depths[oldest] = held - less
            else:
                del self._depths[oldest]
