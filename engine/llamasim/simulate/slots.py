"""Which variants of the model's weights a server holds: those used longest ago make room.

A variant stays while a running sequence uses it (S-LoRA's and vLLM's adapters: arXiv:2311.03285,
section 5; Punica, arXiv:2310.18547, section 5). One that is not there is brought from the host.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict

#: A request that asks for no variant.
PLAIN = -1


class Slots:
    """Places for variants on one server.

    Attributes:
        seconds: to bring one from the host.
        loads: how many were brought.

    """

    def __init__(self, count: int, seconds: float, asked: array[int]) -> None:
        self.count, self.seconds, self.loads = count, seconds, 0
        self._asked = asked
        #: Variants here by how many running sequences use them; `_idle` those that none does, the
        #: one used longest ago first.
        self._used: dict[int, int] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def used(self) -> int:
        """Variants that running sequences use."""
        return len(self._used)

    def holds(self, request: int) -> bool:
        """Whether what a request asks for is here."""
        variant = self._asked[request]
        return variant in self._used or variant in self._idle or variant == PLAIN

    def fits(self, request: int) -> bool:
        """Whether what a request asks for is here or has a place to come to."""
        return len(self._used) < self.count or self._asked[request] in self._used or (
            self._asked[request] == PLAIN)

    def distinct(self, requests: list[int]) -> int:
        """Return how many variants some requests ask for among them."""
        return len({self._asked[r] for r in requests} - {PLAIN})

    def take(self, request: int) -> float:
        """Let a request that `fits` use what it asks for; return the seconds to bring it."""
        variant = self._asked[request]
        if variant == PLAIN:
            return 0.0
        before = self._used.get(variant, 0)
        self._used[variant] = before + 1
        if before:
            return 0.0
        if variant in self._idle:
            del self._idle[variant]
            return 0.0
        if len(self._used) + len(self._idle) > self.count:
            self._idle.popitem(last=False)
        self.loads += 1
        return self.seconds

    def leave(self, request: int) -> None:
        """Let a request use it no more; it stays here until its place is needed."""
        variant = self._asked[request]
        if variant == PLAIN:
            return
        left = self._used[variant] - 1
        if left:
            self._used[variant] = left
        else:
            del self._used[variant]
            self._idle[variant] = None
