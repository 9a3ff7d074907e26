"""Cached beginnings of prompts that several requests share; blocks used longest ago go first.

A request's tokens are a chain of parts, each known by a number that stands for all tokens up to
its end (vLLM's and SGLang's hashes of blocks; arXiv:2312.07104, section 3). Whole blocks stay in
the cache when their request ends, and go when room is needed: the request that ended longest ago
first, its last blocks before its first ones. A part counts as used while any of it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from llamasim.simulate.kept import Kept

#: (number, blocks) of the parts of a request's prompt that others may share.
Parts = tuple[tuple[int, int], ...]


class _Part:
    """Cached blocks of a part, how many of them running requests use, and how many each does."""

    __slots__ = ("blocks", "depths", "number", "used")

    def __init__(self, number: int) -> None:
        self.number, self.blocks, self.used = number, 0, 0
        self.depths: dict[int, int] = {}


class Prefixes:
    """What one server keeps.

    Attributes:
        spare: blocks kept that no running request uses.
        host: what is kept on the host besides, if anything is.

    """

    def __init__(
        self, block: int, parts: Callable[[int], Parts], host: Kept | None = None
    ) -> None:
        self.block, self._parts_of, self.host = block, parts, host
        self.spare = 0
        self._parts: dict[int, _Part] = {}
        self._idle: OrderedDict[int, _Part] = OrderedDict()
        #: Of running requests: their chain, the blocks in it that they hold, the last part's own.
        self._running: dict[int, tuple[Parts, list[int]]] = {}

    def chain(self, request: int) -> Parts:
        """Return a request's parts; its own tokens, which end it, are known by its number."""
        # As long as any sequence: its end is where the request's tokens end.
        return (*self._parts_of(request), (-1 - request, 1 << 60))

    def known(self, request: int, total: int) -> int:
        """Return the first tokens of a request that are cached; at least one is left to compute."""
        found, most = 0, (total - 1) // self.block
        for number, blocks in self.chain(request):
            part = self._parts.get(number)
            if part is None or found >= most:
                break
            found += min(part.blocks, blocks)
            if part.blocks < blocks:
                break
        return min(found, most) * self.block

    def stored(self, request: int, total: int) -> int:
        """Return the first tokens of a request that are cached, here or on the host."""
        found, most, host = 0, (total - 1) // self.block, self.host
        for number, blocks in self.chain(request):
            part = self._parts.get(number)
            depth = max(part.blocks if part else 0, host.depth(number) if host else 0)
            found += min(depth, blocks)
            if depth < blocks or found >= most:
                break
        return min(found, most) * self.block

    def unused(self, request: int, known: int) -> int:
        """Return how many of a request's cached blocks no running request uses."""
        left, count = known // self.block, 0
        for number, blocks in self.chain(request):
            if left <= 0:
                break
            depth = min(left, blocks)
            count += max(0, depth - self._parts[number].used)
            left -= depth
        return count

    def share(self, request: int, known: int) -> None:
        """Let a request use what is cached of it."""
        chain, held, left = self.chain(request), [], known // self.block
        for number, blocks in chain:
            if left <= 0:
                break
            depth = min(left, blocks)
            part = self._parts[number]
            before = part.used
            _add(part, depth, 1)
            self.spare -= part.used - before
            if part.used == part.blocks:
                self._idle.pop(number, None)
            held.append(depth)
            left -= depth
            if self.host is not None:
                self.host.put(number, depth)
        self._running[request] = chain, held

    def held(self, request: int) -> int:
        """Return the blocks that a running request has in parts."""
        entry = self._running.get(request)
        return sum(entry[1]) if entry else 0

    def keep(self, request: int, tokens: int) -> int:
        """Keep whole blocks of a request's first tokens; return how many of its own they are.

        What another request computes too, or has computed since, stays the request's own.
        """
        entry = self._running.get(request)
        if entry is None:
            entry = self._running[request] = self.chain(request), []
        chain, held = entry
        whole = tokens // self.block - sum(held)
        kept = 0
        while whole > 0:
            at = len(held) - 1
            fresh = at < 0 or held[at] == chain[at][1]
            at, depth = (at + 1, 0) if fresh else (at, held[at])
            if at >= len(chain) - 1:
                break
            number, blocks = chain[at]
            part = self._parts.get(number)
            if part is None:
                part = self._parts[number] = _Part(number)
            if part.blocks != depth:
                break
            more = min(whole, blocks - depth)
            _add(part, depth, -1)
            part.blocks += more
            _add(part, depth + more, 1)
            held[at:] = [depth + more]
            if self.host is not None:
                self.host.put(number, depth + more)
            whole -= more
            kept += more
        return kept

    def leave(self, request: int, own: int) -> int:
        """Let a request end or wait again; its `own` blocks are kept too while there is room.

        Returns the blocks in parts that no running request uses any more.
        """
        chain, held = self._running.pop(request, ((), []))
        freed = self._keep_last(-1 - request, chain, held, own)
        for (number, _), depth in reversed(list(zip(chain, held, strict=False))):
            part = self._parts[number]
            before = part.used
            _add(part, depth, -1)
            if before > part.used:
                freed += before - part.used
                self.spare += before - part.used
                self._idle[number] = part
                self._idle.move_to_end(number)
        return freed

    def _keep_last(self, number: int, chain: Parts, held: list[int], own: int) -> int:
        """Keep what is a request's alone; return the blocks that it had found there itself."""
        old = self._idle.pop(number, None)
        if old is not None:
            self.spare -= old.blocks - old.used
        self._parts.pop(number, None)
        depth = held.pop() if held and len(held) == len(chain) else 0
        if own + depth:
            last = self._idle[number] = _Part(number)
            last.blocks = own + depth
            self.spare += last.blocks
            if len(held) == len(chain) - 1 and all(
                h == blocks for h, (_, blocks) in zip(held, chain, strict=False)
            ):
                self._parts[number] = last
        return depth

    def give_up(self, count: int) -> None:
        """Free blocks of what was used longest ago."""
        while count > 0 and self._idle:
            number, part = next(iter(self._idle.items()))
            less = min(count, part.blocks - part.used)
            part.blocks -= less
            self.spare -= less
            count -= less
            if part.blocks == part.used:
                del self._idle[number]
                if not part.blocks and self._parts.get(number) is part:
                    del self._parts[number]


def _add(part: _Part, depth: int, change: int) -> None:
    """Let one request more or fewer use the first `depth` blocks of a part."""
    if not depth:
        return
    left = part.depths.get(depth, 0) + change
    if left:
        part.depths[depth] = left
    else:
        del part.depths[depth]
    part.used = max(part.depths, default=0)
