"""Cached beginnings of prompts that several requests share; those used longest ago go first.

A beginning is computed by the first request that has it and kept in whole blocks; later requests
start after it (vLLM's automatic prefix caching; SGLang's RadixAttention, arXiv:2312.07104).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from llamasim.simulate.cache import Cache


class Prefixes:
    """The shared beginnings of one server's cache.

    Attributes:
        group: which beginning each request has.
        tokens: of a beginning, in whole blocks.

    """

    def __init__(self, cache: Cache, group: Sequence[int], tokens: int) -> None:
        self.cache, self.group = cache, group
        self.tokens = tokens // cache.block * cache.block
        self._ready: OrderedDict[int, None] = OrderedDict()
        self._users: dict[int, int] = {}
        self._using: dict[int, int] = {}

    def known(self, request: int, total: int) -> int:
        """Return the first tokens of a request that are cached; at least one is left to compute."""
        if self.group[request] not in self._ready:
            return 0
        block = self.cache.block
        return min(self.tokens, (total - 1) // block * block)

    def use(self, request: int, known: int) -> None:
        """Let a request share what is cached."""
        if known:
            group = self.group[request]
            self._ready.move_to_end(group)
            self._hold(request, group, self.cache.blocks(known))

    def computed(self, request: int, done: int) -> None:
        """Keep a beginning that a request has just computed."""
        group = self.group[request]
        if group in self._ready or done < self.tokens or not self.tokens:
            return
        self._ready[group] = None
        blocks = self.cache.blocks(self.tokens)
        self.cache.give(request, -1 - group, blocks)
        self._hold(request, group, blocks)

    def leave(self, request: int) -> None:
        """Forget a request that ends or is put off."""
        group = self._using.pop(request, None)
        if group is not None:
            self._users[group] -= 1

    def give_up(self) -> bool:
        """Free the beginning that was last used longest ago, if one is in nobody's use."""
        for group in self._ready:
            if not self._users.get(group, 0):
                del self._ready[group]
                self.cache.close(-1 - group)
                return True
        return False

    def _hold(self, request: int, group: int, blocks: int) -> None:
        self.cache.share(request, blocks)
        self._users[group] = self._users.get(group, 0) + 1
        self._using[request] = group
