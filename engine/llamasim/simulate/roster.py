"""The sequences of one scheduler: who waits, who runs, who gives way.

In every iteration running decodes come first, then prefills under way, then waiting requests in
order of arrival, within one budget of tokens (vLLM's scheduler, arXiv:2309.06180, section 4.5; with
prompts cut at the budget, arXiv:2403.02310, section 4.2). `Limits` turns these off one by one. When
the cache is full the request that was admitted last gives its blocks back and is computed again
later, or waits in the host's memory.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

import attrs

from llamasim.simulate.cache import Cache
from llamasim.simulate.desk import Book, Desk
from llamasim.simulate.limits import Limits, Usage
from llamasim.simulate.slots import Slots


@attrs.define(eq=False, repr=False)
class Roster:
    """Requests are numbers; the desk's book knows their lengths and times.

    `number` is that of its replica.
    """

    limits: Limits
    cache: Cache
    slots: Slots | None
    number: int
    desk: Desk = attrs.field(init=False)
    book: Book = attrs.field(init=False)
    now: float = attrs.field(init=False, default=0.0)
    usage: Usage = attrs.field(init=False, factory=Usage)
    _waiting: deque[int] = attrs.field(init=False, factory=deque)
    _swapped: deque[tuple[int, int, int]] = attrs.field(init=False, factory=deque)
    _host_bytes: float = attrs.field(init=False, default=0.0)
    _prefill: list[int] = attrs.field(init=False, factory=list)
    #: Tokens that prefills have done; tokens that those who gave way had made.
    _done: dict[int, int] = attrs.field(init=False, factory=dict)
    _made: dict[int, int] = attrs.field(init=False, factory=dict)
    #: Running requests in the order in which they were admitted.
    _running: dict[int, None] = attrs.field(init=False, factory=dict)
    #: The decode step with which each decoding request ends.
    _due: dict[int, int] = attrs.field(init=False, factory=dict)
    _finish: list[tuple[int, int]] = attrs.field(init=False, factory=list)
    _held: list[int] = attrs.field(init=False, factory=list)
    _last_token: dict[int, float] = attrs.field(init=False, factory=dict)
    #: How long those waited since their first token who join the next decode step.
    _joined: list[float] = attrs.field(init=False, factory=list)
    #: Of the iteration that is put together: whether someone gave way, seconds of copies.
    _preempted: bool = attrs.field(init=False, default=False)
    _extra: float = attrs.field(init=False, default=0.0)

    def attach(self, desk: Desk) -> None:
        """Take requests from a desk."""
        self.desk, self.book = desk, desk.book

    def _whole(self, request: int) -> int:
        """Return the tokens that a request will have here in the end."""
        more = 1 if self.limits.hands_over else self.book.output[request]
        return self.book.prompt[request] + more

    def _make_room(self) -> None:
        cache = self.cache
        while cache.needed() > cache.capacity - cache.used:
            self._preempt(self._last())

    def _choose(self) -> list[tuple[int, int]]:
        """Return (request, tokens) of the prefills that run in this iteration."""
        limits = self.limits
        if limits.static:
            return self._static_chunks()
        budget = limits.token_budget
        if self._due and not limits.apart:
            budget -= int(len(self._due) * limits.rows)
        chunks: list[tuple[int, int]] = []
        if not (self._prefill or self._swapped or self._preempted):
            self._admit(chunks, budget)
            return chunks
        for request in list(self._prefill):
            count = min(self._total(request) - self._done[request], budget)
            if count <= 0:
                break
            if request not in self._done or not self._take(request, count):
                continue
            chunks.append((request, count))
            budget -= count
        chunks = [(r, n) for r, n in chunks if r in self._done]
        if not self._preempted:
            if self._swapped:
                budget = self._bring_back(budget)
            if not self._swapped:
                self._admit(chunks, budget)
        return chunks

    def _take(self, request: int, count: int) -> bool:
        while not self.cache.extend(request, self._done[request] + count):
            last = self._last()
            self._preempt(last)
            if last == request:
                return False
        return True

    def _admit(self, chunks: list[tuple[int, int]], budget: int) -> None:
        if self.slots is None:
            self._fill(chunks, budget)
            return
        # Those whose variant finds no place let others pass, and keep their turn.
        passed: list[int] = []
        self._fill(chunks, budget, passed)
        self._waiting.extendleft(reversed(passed))

    def _fill(
        self, chunks: list[tuple[int, int]], budget: int, passed: list[int] | None = None
    ) -> None:
        limits, cache, waiting = self.limits, self.cache, self._waiting
        places = limits.max_sequences - len(self._due) - len(self._prefill)
        while waiting and budget > 0 and places > 0:
            request = waiting[0]
            if self.slots is not None and passed is not None and not self.slots.fits(request):
                passed.append(waiting.popleft())
                continue
            total = self.book.prompt[request]
            if self._made or limits.loaded:
                if limits.loaded and request not in self._made:
                    if not self._join(request, total):
                        return
                    places -= 1
                    continue
                total += self._made.get(request, 0)
            known = cache.known(request, total) if cache.prefixes else 0
            stored = cache.stored(request, total, known) if cache.prefixes else 0
            count = total - stored
            if count > budget:
                if limits.whole and (chunks or self._due):
                    return
                count = count if limits.whole else budget
            if not cache.open(request, stored + count, self._whole(request), known):
                return
            waiting.popleft()
            self._start(request, stored)
            if stored > known:
                self._move((stored - known) // cache.block, limits.kept_block_s)
            chunks.append((request, count))
            budget -= count
            places -= 1

    def _join(self, request: int, length: int) -> bool:
        """Let a request that comes with its cache decode, if there is room."""
        joining = length % self.cache.block == 0
        if not self.cache.open(request, length, self._whole(request), 0, joining):
            return False
        self._waiting.popleft()
        self._enter(request)
        left = self.book.output[request] - 1
        self._decode(request, length, math.ceil(left / self.limits.tokens_out))
        self._joined.append(self.now - self.book.first_token[request])
        return True

    def _static_chunks(self) -> list[tuple[int, int]]:
        if not (self._due or self._prefill or self._held):
            while self._waiting and len(self._prefill) < self.limits.max_sequences:
                request = self._waiting[0]
                if self.slots is not None and not self.slots.fits(request):
                    break
                if not self.cache.open(request, 0, self._whole(request)):
                    break
                self._start(self._waiting.popleft())
        budget, chunks = self.limits.token_budget, []
        for request in self._prefill:
            count = min(self._total(request) - self._done[request], budget)
            if count <= 0:
                break
            chunks.append((request, count))
            budget -= count
        return chunks

    def _start(self, request: int, known: int = 0) -> None:
        book = self.book
        if book.admitted[request] < 0:
            book.admitted[request] = self.now
            if known:
                book.cached[request] = known
        self._prefill.append(request)
        self._done[request] = known
        self._enter(request)

    def _enter(self, request: int) -> None:
        """Count a request among those that run; what it asks for may have to come first."""
        self._running[request] = None
        if self.slots is not None:
            self._copy(self.slots.take(request))

    def _exit(self, request: int) -> None:
        """Count a request no more among those that run."""
        del self._running[request]
        if self.slots is not None:
            self.slots.leave(request)

    def _total(self, request: int) -> int:
        """Return the tokens to prefill: the prompt, and what was made before a preemption."""
        return self.book.prompt[request] + self._made.get(request, 0)

    # --- giving way --------------------------------------------------------------------------

    def _last(self) -> int:
        return next(reversed(self._running))

    def _preempt(self, request: int) -> None:
        self._preempted = True
        self.book.preemptions[request] += 1
        self._exit(request)
        if request in self._due:
            left = self._due.pop(request) - self.cache.step
            self._last_token.setdefault(request, self.now)
            if self._to_host(request, left):
                return
            self._made[request] = max(
                1, self.book.output[request] - math.ceil(left * self.limits.tokens_out)
            )
        else:
            self._prefill.remove(request)
            del self._done[request]
        self.cache.close(request)
        self._waiting.appendleft(request)

    def _to_host(self, request: int, left: int) -> bool:
        """Move a sequence's cache to the host's memory, if there is room."""
        limits, length = self.limits, self.cache.length(request)
        blocks = self.cache.blocks(length)
        size = blocks * limits.swap_block_bytes
        if not limits.swap_bytes or self._host_bytes + size > limits.swap_bytes:
            return False
        self._host_bytes += size
        self.cache.close(request)
        self._swapped.appendleft((request, length, left))
        self._move(blocks, limits.swap_block_s)
        return True

    def _bring_back(self, budget: int) -> int:
        """Let sequences come back from the host's memory, the first to go before the others; return
        what they leave of the budget of tokens, of which each takes its rows from now on.
        """
        rows = 0 if self.limits.apart else math.ceil(self.limits.rows)
        while self._swapped and len(self._due) + len(self._prefill) < self.limits.max_sequences:
            if budget < rows and (self._due or self._prefill):
                break
            request, length, left = self._swapped[0]
            joining = length % self.cache.block == 0
            if self.slots is not None and not self.slots.fits(request):
                break
            if not self.cache.open(request, length, self._whole(request), 0, joining):
                break
            self._swapped.popleft()
            blocks = self.cache.blocks(length)
            self._host_bytes -= blocks * self.limits.swap_block_bytes
            self._move(blocks, self.limits.swap_block_s)
            self._enter(request)
            self._decode(request, length, left)
            self.book.waited(self.now - self._last_token.pop(request), 1)
            budget -= rows
        return budget

    def _move(self, blocks: int, each: float) -> None:
        self._copy(blocks * each)
        self.usage.swapped += blocks

    def _copy(self, seconds: float) -> None:
        """Let the iteration begin with a copy between host and device."""
        self._extra += seconds
        self.usage.swap_s += seconds

    def _start_static(self) -> None:
        # A batch is returned as a whole, when its longest request is done (Yu et al., Orca,
        # OSDI 2022, section 3.1).
        book = self.book
        left = max(book.output[r] for r in self._held) - 1
        steps = math.ceil(left / self.limits.tokens_out)
        for request in self._held:
            self._decode(request, book.prompt[request], steps)
        self._held.clear()

    def _decode(self, request: int, length: int, steps: int) -> None:
        due = self.cache.step + steps
        self._due[request] = due
        self.cache.decode(request, length)
        heapq.heappush(self._finish, (due, request))

    def _finish_top(self) -> int:
        while self._finish:
            due, request = self._finish[0]
            if self._due.get(request) == due:
                return due
            heapq.heappop(self._finish)
        return self.cache.step + 1
