"""One server: its scheduler's iterations.

Between arrivals and completions the batch stays as it is, so a run of decode steps is one event;
what arrives meanwhile ends it after the step under way. A server that nothing else can touch, since
all its requests and their times are known, goes from one event to the next by itself.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

import attrs

from llamasim.simulate.clock import Clock
from llamasim.simulate.roster import Roster
from llamasim.simulate.rows import PACKED, IterationRows
from llamasim.simulate.stepcost import Reading, StepCosts

#: Iterations that a server goes through by itself before others have their turn.
ALONE = 256


@attrs.define(eq=False, repr=False)
class Lanes:
    """Servers that share the stages of a replica; `busy` have a batch."""

    servers: list[Server] = attrs.Factory(list)
    busy: int = 0

    def change(self, by: int, now: float) -> None:
        """Note that a server got a batch, or has none any more; the others' steps change."""
        self.busy += by
        if len(self.servers) > 1:
            for server in self.servers:
                server.interrupt(now)


@attrs.define(eq=False, repr=False)
class Server(Roster):
    """A scheduler at work.

    Attributes:
        handover: where requests go with their first token, if they do.
        alone: whether nothing outside but its `feed` changes what it does.
        feed: requests that will come at their times, in order; `fed` of them have.
        outstanding: requests that are here.
        rows: iterations so far.

    """

    clock: Clock
    costs: StepCosts
    lanes: Lanes
    handover: Callable[[int, Server, float], None] | None = attrs.field(init=False, default=None)
    alone: bool = attrs.field(init=False, default=False)
    feed: Sequence[int] = attrs.field(init=False, default=())
    fed: int = attrs.field(init=False, default=0)
    _coming: float = attrs.field(init=False, default=math.inf)
    outstanding: int = attrs.field(init=False, default=0)
    rows: IterationRows = attrs.field(init=False, factory=IterationRows)
    #: The iteration under way: the number of its end (0: there is none), what it does, seconds of
    #: its steps, batches in the stages meanwhile, how many requests wait, tokens of prompts, and
    #: variants of weights that it uses.
    _event: int = attrs.field(init=False, default=0)
    _asked: int = attrs.field(init=False, default=0)
    _begin: float = attrs.field(init=False, default=0.0)
    _chunks: list[tuple[int, int]] = attrs.field(init=False, factory=list)
    _decoding: int = attrs.field(init=False, default=0)
    _cached: float = attrs.field(init=False, default=0.0)
    _run: bool = attrs.field(init=False, default=False)
    _steps: int = attrs.field(init=False, default=0)
    _seconds: float = attrs.field(init=False, default=0.0)
    _busy: int = attrs.field(init=False, default=1)
    _queue: int = attrs.field(init=False, default=0)
    _prefilled: int = attrs.field(init=False, default=0)
    _variants: int = attrs.field(init=False, default=1)
    _inside: bool = attrs.field(init=False, default=False)
    #: Iterations since the last decode step: decoding requests that stood still, and how long.
    _stalls: list[tuple[int, float]] = attrs.field(init=False, factory=list)

    # --- requests come -----------------------------------------------------------------------

    def refuses(self, request: int) -> str:
        """Return why a request can never be served here; empty where it can."""
        room = self.cache.capacity * self.cache.block
        whole = max(self._whole(request), self.cache.context)
        prompt, most = self.book.prompt[request], self.limits.longest
        if most is not None and prompt + self.book.output[request] > most:
            return f"it has more than the {most:,} tokens of `workload.sequence`"
        if whole > room:
            return f"it needs a cache of {whole:,} tokens; there is room for {room:,}"
        if self.limits.whole and prompt > self.limits.token_budget and not self.limits.loaded:
            return (f"its prompt of {prompt:,} tokens is more than the {self.limits.token_budget:,}"
                    " of an iteration, and prompts are not cut")
        return ""

    def since(self) -> float:
        """Return a moment before which no further iteration begins."""
        return self.now if self._event else max(self.now, self.clock.now)

    def match(self, request: int) -> float:
        """Return the share of a request's prompt that is cached here, or on this host."""
        prompt = self.book.prompt[request]
        return self.cache.stored(request, prompt, self.cache.known(request, prompt)) / prompt

    def submit(self, request: int, now: float) -> None:
        """Take a request in."""
        self.outstanding += 1
        follows = self._follows()
        self._waiting.append(request)
        if not self._event:
            if not self._inside:
                self.wake(now)
        elif self._run and not follows:
            self.interrupt(now)

    def holds(self, request: int) -> float:
        """Return 1 where the variant of the weights that a request asks for is here, else 0."""
        return float(self.slots is None or self.slots.holds(request))

    def _follows(self) -> bool:
        """Whether a request that comes now waits until one that is here ends."""
        return bool(
            (self._waiting and self.slots is None) or self._swapped or self.limits.static
            or len(self._due) + len(self._prefill) >= self.limits.max_sequences
        )

    def follow(self, feed: Sequence[int]) -> None:
        """Know the requests that will come."""
        self.feed = feed
        self._coming = self.book.arrived[feed[0]] if feed else math.inf

    def _pull(self) -> None:
        """Take in what has come by now."""
        feed, arrived, at, end = self.feed, self.book.arrived, self.fed, len(self.feed)
        coming, takes = self._coming, self.desk.takes
        while coming <= self.now:
            request = feed[at]
            if takes(request, coming):
                self._waiting.append(request)
            at += 1
            coming = arrived[feed[at]] if at < end else math.inf
        self.fed, self._coming = at, coming

    def release(self, request: int, now: float) -> None:
        """Free the cache of a request that has gone elsewhere."""
        self.cache.close(request)
        self.outstanding -= 1
        if not self._event:
            self.wake(now)
        else:
            self.interrupt(now)

    def wake(self, now: float) -> None:
        """Look for something to do once all that happens now has happened."""
        self.now = max(self.now, now)
        self._expect(now, self._awake)

    def _expect(self, when: float, what: Callable[[int], None]) -> None:
        """Go on then; what was expected before does not happen any more."""
        self._asked += 1
        self._event = self._asked
        self.clock.at(when, what, self._event)

    def _awake(self, number: int) -> None:
        if number == self._event:
            self._go(working=False)

    def interrupt(self, now: float) -> None:
        """End a run of decode steps with the step that is under way."""
        if not self._run or self._steps == 1 or not self._event:
            return
        steps, seconds = self._decode_run(now - self._begin, self._busy)
        if steps < self._steps:
            self._steps, self._seconds = steps, seconds
            self._expect(self._begin + seconds, self._ended)

    # --- one iteration -----------------------------------------------------------------------

    def _ended(self, number: int) -> None:
        if number == self._event:
            self._end()
            self._go(working=True)

    def _go(self, *, working: bool) -> None:
        """Begin the next iteration; where nothing can come between, go through all of them."""
        self._event, self._inside = 0, True
        left = ALONE
        while self._next(working):
            if not self.alone or not left:
                self._expect(self._begin + self._extra + self._seconds, self._ended)
                break
            self._end()
            working = True
            left -= 1
        self._inside = False

    def _next(self, working: bool) -> bool:
        """Put an iteration together; return whether there is anything to do."""
        if self._coming <= self.now:
            self._pull()
        due, limits, cache = self._due, self.limits, self.cache
        if not (due or self._prefill or self._waiting or self._swapped):
            return self._rest(working)
        self._preempted, self._extra = False, 0.0
        if cache.tight():
            self._make_room()
        chunks: list[tuple[int, int]] = []
        if self._waiting or self._prefill or self._swapped or limits.static:
            chunks = self._choose()
        decoding = len(due)
        if chunks and (limits.apart or limits.static):
            decoding = 0
        elif not chunks and not decoding:
            return self._rest(working)
        if not working:
            self.lanes.change(1, self.now)
        self._chunks, self._decoding = chunks, decoding
        self._queue = len(self._waiting) + len(self._swapped)
        self._begin, self._busy = self.now, self.lanes.busy
        self._cached = cache.tokens + decoding * limits.rows
        if self.slots is not None:
            self._variants = (self.slots.used if decoding
                              else self.slots.distinct([r for r, _ in chunks]))
        if chunks:
            self._steps, self._seconds = 1, self._mixed(chunks)
        else:
            self._run, self._prefilled = True, 0
            self._steps, self._seconds = self._plan_run(decoding)
        return True

    def _rest(self, working: bool) -> bool:
        """Do nothing until something comes; return whether that is known already."""
        if working:
            self.lanes.change(-1, self.now)
        while self._coming < math.inf:
            self.now = max(self.now, self._coming)
            self._pull()
            if self._waiting:
                return self._next(working=False)
        return False

    def _plan_run(self, decoding: int) -> tuple[int, float]:
        steps, until = 1, math.inf
        if self.limits.coalesce and not self._preempted and not self._extra:
            cache, (due, request) = self.cache, self._finish[0]
            if self._due.get(request) != due:
                due = self._finish_top()
            steps = cache.steps_left(due - cache.step)
            if self._coming < math.inf and not self._follows():
                until = self._coming - self._begin
        self._steps = steps
        return self.costs.decode_run(
            decoding, self._busy, self._cached, decoding * self.limits.tokens_out, steps, until,
            self._variants,
        )

    def _decode_run(self, until: float, busy: int) -> tuple[int, float]:
        growth = self._decoding * self.limits.tokens_out
        return self.costs.decode_run(
            self._decoding, busy, self._cached, growth, self._steps, until, self._variants
        )

    def _mixed(self, chunks: list[tuple[int, int]]) -> float:
        done, prefilled = self._done, 0
        shapes = tuple([(count, done[request]) for request, count in chunks])
        for count, _ in shapes:
            prefilled += count
        self._prefilled = prefilled
        self.usage.pieces += len(chunks)
        seconds, reading = self.costs.mixed(
            self._decoding, self._cached, shapes, self._busy, self._variants)
        if self.costs.waits_matter:
            alone = seconds
            if self._busy > 1:
                alone, _ = self.costs.mixed(
                    self._decoding, self._cached, shapes, 1, self._variants)
            self._account(reading, 1, alone)
        return seconds

    def _end(self) -> None:
        """Let the iteration under way be over."""
        decoding, chunks, cache, begin = self._decoding, self._chunks, self.cache, self._begin
        now = self.now = begin + self._extra + self._seconds
        if decoding:
            cache.advance(self._steps)
            if self._stalls or self._joined:
                self._note_stalls((now - begin) / self._steps)
        elif self._due:
            self._stalls.append((len(self._due), now - begin))
        fresh = self.rows.fresh
        fresh.append((
            begin, now, self._cached, self._steps, self._prefilled, decoding, self._queue,
            len(self._running), cache.used,
        ))
        if len(fresh) >= PACKED:
            self.rows.pack()
        if self._run:
            self._run = False
            if self.costs.waits_matter:
                self._account_run()
        if chunks:
            self._after(chunks)
        finish, step = self._finish, cache.step
        while finish and finish[0][0] <= step:
            if self._finish_top() <= step:
                self._complete(heapq.heappop(finish)[1])

    def _note_stalls(self, step: float) -> None:
        """Note how long decoding requests stood still before a step, by when they joined, and how
        long those were on their way who came with their first token.
        """
        for seconds in self._joined:
            self.book.waited(step, -1)
            self.book.waited(seconds + step, 1)
        self._joined.clear()
        before, left = 0, sum(seconds for _, seconds in self._stalls)
        for count, seconds in self._stalls:
            if count > before:
                self.book.waited(step, before - count)
                self.book.waited(left + step, count - before)
            before, left = count, left - seconds
        self._stalls.clear()

    def _account_run(self) -> None:
        costs, decoding = self.costs, self._decoding
        rows = decoding * self.limits.rows
        reading = costs.fixed("decode", rows, float(decoding), self._variants)
        if costs.copies is not None:
            middle = self._cached + decoding * self.limits.tokens_out * (self._steps - 1) / 2
            waits = costs.copying(decoding, middle)
            reading = attrs.evolve(reading, copies_s=sum(waits) / len(waits))
        alone = self._seconds
        if self._busy > 1:
            alone = self._decode_run(math.inf, 1)[1]
        self._account(reading, self._steps, alone)

    def _account(self, reading: Reading, steps: int, alone: float) -> None:
        """Note what a step may wait for, and what it takes when no other batch is near."""
        usage = self.usage
        for corner, share in reading.corners:
            usage.corners[corner] = usage.corners.get(corner, 0.0) + share * steps
        usage.copies_s += reading.copies_s * steps
        usage.send += reading.send_s * self.costs.hops * steps
        usage.alone += alone

    # --- after an iteration ------------------------------------------------------------------

    def _after(self, chunks: list[tuple[int, int]]) -> None:
        book, made = self.book, self._made
        for request, count in chunks:
            done = self._done[request] + count
            total = book.prompt[request] + (made.get(request, 0) if made else 0)
            if done < total:
                self._done[request] = done
                continue
            self._prefill.remove(request)
            del self._done[request]
            self._first_token(request)
        if self.limits.static and not self._prefill and self._held:
            self._start_static()

    def _first_token(self, request: int) -> None:
        book, now = self.book, self.now
        if book.first_token[request] < 0:
            book.first_token[request] = now
        made = self._made.get(request, 0) if self._made else 0
        if self._last_token:
            last = self._last_token.pop(request, None)
            if last is not None:
                book.waited(now - last, 1)
        if self.handover is not None and book.output[request] > made + 1:
            self._exit(request)
            self.handover(request, self, now)
        elif self.limits.static:
            self._held.append(request)
        else:
            self._made.pop(request, None)
            left = book.output[request] - made - 1
            if self.limits.tokens_out != 1:
                left = math.ceil(left / self.limits.tokens_out)
            self._decode(request, book.prompt[request] + made, left)

    def _complete(self, request: int) -> None:
        del self._due[request]
        self._exit(request)
        self.cache.close(request)
        self.outstanding -= 1
        self.book.replica[request] = self.number
        if self.alone and self.feed:
            self.book.finished[request] = self.now
        else:
            self.desk.finish(request, self.now)
