"""A paged cache: blocks of tokens, given out one at a time as sequences grow.

All decoding sequences grow together, so sums of lengths and of blocks are kept instead of one
entry a sequence: a sequence of length L at step s needs a new block whenever L is a multiple of
the block, and `(L - s) mod block` stays the same while it decodes.
"""

from __future__ import annotations

#: Stands for a cache without a bound.
UNBOUNDED = 1 << 60


class Cache:
    """Blocks of one server.

    Attributes:
        step: decode steps so far.
        tokens: cached tokens of decoding sequences.
        used: blocks that are taken, of `capacity`.
        reserve: whether a sequence takes all blocks that it will ever need when it starts.

    """

    def __init__(
        self, capacity: int, block: int, growth: float = 1.0, *, reserve: bool = False
    ) -> None:
        self.capacity, self.block, self.growth = capacity, block, growth
        self.reserve = reserve
        self.step = 0
        self.tokens = 0.0
        self.used = 0
        self.peak = 0
        self.allocated = 0
        self.freed = 0
        self._count = 0
        self._residues = [0] * block
        self._held: dict[int, int] = {}
        self._base: dict[int, float] = {}
        self._shared: dict[int, int] = {}

    @property
    def free(self) -> int:
        """Blocks that are not taken."""
        return self.capacity - self.used

    def blocks(self, tokens: float) -> int:
        """Return the blocks that hold a number of tokens."""
        return int(-(-tokens // self.block))

    def open(self, request: int, tokens: int, whole: int) -> bool:
        """Take a new sequence's first blocks, if they are there."""
        count = self.blocks(whole if self.reserve else tokens) - self._shared.get(request, 0)
        if count + self.needed() > self.free:
            return False
        self._held[request] = count
        self._use(count)
        return True

    def extend(self, request: int, tokens: int) -> bool:
        """Let a sequence under way grow to a number of tokens, if there is room."""
        held = self._held[request] + self._shared.get(request, 0)
        count = max(0, self.blocks(tokens) - held)
        if count + self.needed() > self.free:
            return False
        self._held[request] += count
        self._use(count)
        return True

    def decode(self, request: int, length: int) -> None:
        """Let a sequence of `length` cached tokens join the decode steps."""
        self._base[request] = length - self.step * self.growth
        self.tokens += length
        self._count += 1
        if not self.reserve:
            self._residues[(length - self.step) % self.block] += 1

    def close(self, request: int) -> None:
        """Give a sequence's blocks back."""
        count = self._held.pop(request)
        shared = self._shared.pop(request, 0)
        base = self._base.pop(request, None)
        if base is not None:
            length = base + self.step * self.growth
            self.tokens -= length
            self._count -= 1
            if not self.reserve:
                count = self.blocks(length) - shared
                self._residues[int(base) % self.block] -= 1
        self.used -= count
        self.freed += count

    def share(self, request: int, blocks: int) -> None:
        """Let a sequence begin with blocks that are another's."""
        self._shared[request] = blocks

    def give(self, request: int, other: int, blocks: int) -> None:
        """Pass a sequence's first blocks on to another holder."""
        self._held[request] -= blocks
        self._held[other] = blocks

    def needed(self) -> int:
        """Return the blocks that the next decode step takes."""
        return 0 if self.reserve else self._residues[-self.step % self.block]

    def steps_left(self) -> int:
        """Return the decode steps for which there are blocks."""
        if self.reserve or not self._count:
            return UNBOUNDED
        rounds, rest = divmod(self.free, self._count)
        for step in range(self.block):
            rest -= self._residues[-(self.step + step) % self.block]
            if rest < 0:
                return rounds * self.block + step
        return (rounds + 1) * self.block

    def advance(self, steps: int) -> None:
        """Let all decoding sequences grow by some steps."""
        if not self.reserve:
            rounds, rest = divmod(steps, self.block)
            count = rounds * self._count
            for step in range(rest):
                count += self._residues[-(self.step + step) % self.block]
            self._use(count)
        self.tokens += self._count * self.growth * steps
        self.step += steps

    def _use(self, count: int) -> None:
        self.used += count
        self.allocated += count
        self.peak = max(self.peak, self.used)
