"""A paged cache: blocks of tokens, given out one at a time as sequences grow.

All decoding sequences grow together, so sums of lengths and of blocks are kept instead of one
entry a sequence: a sequence of length L at step s needs a new block whenever L is a multiple of
the block, and `(L - s) mod block` stays the same while it decodes.
"""

from __future__ import annotations

from llamasim.simulate.prefixes import Prefixes

#: Stands for a cache without a bound.
UNBOUNDED = 1 << 60


class Cache:
    """Blocks of one server.

    Attributes:
        step: decode steps so far.
        tokens: cached tokens of decoding sequences.
        used: blocks that running sequences hold, of `capacity`.
        reserve: whether a sequence takes all blocks that it will ever need when it starts, those of
            a `context` of so many tokens at least.
        prefixes: what is kept of prompts for later ones, if anything is; it may take what is not
            used, and gives way when that is needed.

    """

    def __init__(
        self, capacity: int, block: int, growth: float = 1.0, *, reserve: bool = False,
        context: int = 0, prefixes: Prefixes | None = None,
    ) -> None:
        self.capacity, self.block, self.growth = capacity, block, growth
        self.reserve, self.context, self.prefixes = reserve, context, prefixes
        self.step = 0
        self.tokens = 0.0
        self.used = 0
        self.peak = 0
        self.allocated = 0
        self.freed = 0
        self._count = 0
        #: Twice in a row, so that any run of steps is one slice of it.
        self._residues = [0] * (2 * block)
        self._held: dict[int, int] = {}
        self._base: dict[int, float] = {}

    @property
    def free(self) -> int:
        """Blocks that no running sequence holds."""
        return self.capacity - self.used

    def blocks(self, tokens: float) -> int:
        """Return the blocks that hold a number of tokens."""
        return int(-(-tokens // self.block))

    def known(self, request: int, total: int) -> int:
        """Return the first tokens of a prompt that are cached; at least one is left to compute."""
        return self.prefixes.known(request, total) if self.prefixes else 0

    def stored(self, request: int, total: int, known: int) -> int:
        """Return the first tokens of a prompt of which `known` are cached, with the host's."""
        if self.prefixes is None or self.prefixes.host is None:
            return known
        return max(known, self.prefixes.stored(request, total))

    def open(
        self, request: int, tokens: int, whole: int, known: int = 0, joining: bool = False
    ) -> bool:
        """Take a new sequence's first blocks, if they are there; `known` tokens are cached.

        One that is `joining` the next decode step takes another block in it.
        """
        count = -(-(max(whole, self.context) if self.reserve else tokens) // self.block)
        if self.prefixes is None and count + self._count < self.capacity - self.used:
            self._held[request] = count
            self._use(count)
            return True
        needed = self.needed() + (joining and not self.reserve)
        if known and self.prefixes:
            count -= known // self.block
            again = self.prefixes.unused(request, known)
            if count + again + needed > self.capacity - self.used:
                return False
            self.prefixes.share(request, known)
            self._use(again)
        elif count + needed > self.capacity - self.used:
            return False
        self._held[request] = count
        self._use(count)
        if self.prefixes:
            self._held[request] -= self.prefixes.keep(request, tokens)
        return True

    def extend(self, request: int, tokens: int) -> bool:
        """Let a sequence under way grow to a number of tokens, if there is room."""
        held = self._held[request]
        if self.prefixes:
            held += self.prefixes.held(request)
        count = max(0, -(-tokens // self.block) - held)
        if count + self.needed() > self.capacity - self.used:
            return False
        self._held[request] += count
        self._use(count)
        if self.prefixes:
            self._held[request] -= self.prefixes.keep(request, tokens)
        return True

    def decode(self, request: int, length: int) -> None:
        """Let a sequence of `length` cached tokens join the decode steps."""
        self._base[request] = length - self.step * self.growth
        self.tokens += length
        self._count += 1
        if not self.reserve:
            self._join((length - self.step) % self.block, 1)

    def _join(self, residue: int, by: int) -> None:
        self._residues[residue] += by
        self._residues[residue + self.block] += by

    def length(self, request: int) -> int:
        """Return the cached tokens of a decoding sequence."""
        return int(self._base[request] + self.step * self.growth)

    def close(self, request: int) -> None:
        """Give a sequence's blocks back."""
        count = kept = self._held.pop(request)
        base = self._base.pop(request, None)
        if base is not None:
            length = base + self.step * self.growth
            self.tokens -= length
            self._count -= 1
            if not self.reserve:
                count = -int(-length // self.block)
                if self.prefixes:
                    count -= self.prefixes.held(request)
                self._join(int(base) % self.block, -1)
                kept = count
            elif self.prefixes:
                # Of what was set aside, only what was filled is worth keeping.
                kept = min(count, -int(-length // self.block) - self.prefixes.held(request))
        if self.prefixes:
            count += self.prefixes.leave(request, kept)
        self.used -= count
        self.freed += count

    def tight(self) -> bool:
        """Whether the next decode step might not find the blocks that it takes."""
        return self._count > self.capacity - self.used and not self.reserve

    def needed(self) -> int:
        """Return the blocks that the next decode step takes."""
        return 0 if self.reserve else self._residues[-self.step % self.block]

    def steps_left(self, most: int) -> int:
        """Return the decode steps, `most` at most, for which there are blocks."""
        free, count = self.capacity - self.used, self._count
        if self.reserve or count * (most // self.block + 1) <= free:
            return most
        rounds, rest = divmod(free, count)
        for step in range(self.block):
            rest -= self._residues[-(self.step + step) % self.block]
            if rest < 0:
                return min(most, rounds * self.block + step)
        return min(most, (rounds + 1) * self.block)

    def advance(self, steps: int) -> None:
        """Let all decoding sequences grow by some steps."""
        if not self.reserve:
            block, residues = self.block, self._residues
            if steps == 1:
                count = residues[-self.step % block]
            else:
                # Residues of the steps from here on count down.
                rounds, rest = divmod(steps, block)
                end = -self.step % block + block + 1
                count = sum(residues[end - rest:end]) + rounds * self._count
            if count:
                self._use(count)
        self.tokens += self._count * self.growth * steps
        self.step += steps

    def _use(self, count: int) -> None:
        self.used += count
        self.allocated += count
        if self.used > self.peak:
            self.peak = self.used
        if self.prefixes and self.used + self.prefixes.spare > self.capacity:
            self.prefixes.give_up(self.used + self.prefixes.spare - self.capacity)
