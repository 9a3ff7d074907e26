"""A continuous-batching server: one scheduler, its queue, and its share of the cache.

Scheduling follows vLLM's first-come first-served scheduler with chunked prefill (arXiv:2309.06180,
section 4.5; arXiv:2403.02310, section 4.2): in every iteration running decodes come first, then
prefills under way, then waiting requests, within one budget of tokens. When the cache is full the
request that arrived last gives its blocks back and is computed again later. Between arrivals and
completions the batch stays as it is, so a run of decode steps is one event.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Generator

import attrs
import numpy as np
from simpy import Environment, Event

from llamasim.plan.spec import StepShape
from llamasim.simulate.cache import Cache
from llamasim.simulate.desk import Desk
from llamasim.simulate.prefixes import Prefixes
from llamasim.simulate.rows import IterationRows
from llamasim.simulate.stagework import StepTime
from llamasim.simulate.stepcost import KV_STEPS, StepCosts, grid

#: Longest run of decode steps taken as one event.
LONGEST_RUN = 1 << 16


@attrs.frozen
class Limits:
    """What bounds a server's iterations; `static` keeps a batch together until its last token.

    A `loaded` server gets requests with their prompt's cache and first token from elsewhere.
    """

    token_budget: int
    max_sequences: int
    rows: float = 1.0
    tokens_out: float = 1.0
    static: bool = False
    coalesce: bool = True
    loaded: bool = False


@attrs.define(eq=False)
class Lanes:
    """Servers that share the stages of one replica; `busy` of them have a batch."""

    count: int = 1
    busy: int = 0


@attrs.define(eq=False)
class Usage:
    """What a server did: seconds by cause, and its time at work."""

    waits: dict[str, float] = attrs.Factory(dict)
    stages: list[float] = attrs.Factory(list)
    active: float = 0.0


@attrs.define(eq=False)
class Server:
    """One scheduler. Requests are numbers; the desk knows their lengths and keeps their times."""

    env: Environment
    costs: StepCosts
    limits: Limits
    cache: Cache
    desk: Desk
    lanes: Lanes
    prefixes: Prefixes | None = None
    now: float = 0.0
    rows: IterationRows = attrs.Factory(IterationRows)
    usage: Usage = attrs.Factory(Usage)
    used: list[tuple[float, float]] = attrs.Factory(list)
    _waiting: deque[int] = attrs.Factory(deque)
    _prefill: list[int] = attrs.Factory(list)
    _done: dict[int, int] = attrs.Factory(dict)
    _made: dict[int, int] = attrs.Factory(dict)
    _latest: list[int] = attrs.Factory(list)
    _finish: list[tuple[int, int]] = attrs.Factory(list)
    _due: dict[int, int] = attrs.Factory(dict)
    _held: list[int] = attrs.Factory(list)
    _preempted: bool = False

    def run(self) -> Generator[Event, None, None]:
        """Serve until no request is left (a SimPy process)."""
        while True:
            self._receive()
            if not (self._waiting or self._prefill or self._due):
                self.used.append((self.now, self.cache.used))
                following = self.desk.next_arrival()
                if following is None:
                    return
                self.now = max(self.now, following)
                yield self.env.timeout(max(0.0, self.now - self.env.now))
                continue
            self.lanes.busy += 1
            end = self._iterate()
            yield self.env.timeout(max(0.0, end - self.env.now))
            self.lanes.busy -= 1

    # --- one iteration -----------------------------------------------------------------------

    def _iterate(self) -> float:
        begin, queue = self.now, len(self._waiting)
        self._preempted = False
        self._make_room()
        chunks = self._chunks()
        decoding = 0 if self.limits.static and self._prefill else len(self._due)
        cached = self.cache.tokens + decoding * self.limits.rows
        if chunks:
            seconds = self._mixed(chunks, decoding, cached)
            ends = [begin + seconds]
        else:
            ends = self._decode_run(decoding, cached)
        steps = len(ends)
        self.now = ends[-1]
        self.rows.add(
            begin, self.now, steps, sum(n for _, n in chunks), decoding, cached,
            min(queue, len(self._waiting)),
        )
        if decoding:
            self.cache.advance(steps)
        self.used.append((begin, self.cache.used))
        self._after(chunks)
        self.usage.active += self.now - begin
        return self.now

    def _mixed(self, chunks: list[tuple[int, int]], decoding: int, cached: float) -> float:
        rows = self.limits.rows
        shape = StepShape(decoding * rows, decoding, cached * rows, cached * rows, cached)
        if not decoding:
            shape = StepShape(0.0, 0.0, 0.0, 0.0, 0.0)
        for request, count in chunks:
            shape += StepShape.of(1, count, self._done[request])
        time = self.costs.mixed(shape)
        seconds = self._shared(time.latency, time.slowest)
        self._account(time, time.latency, 1)
        return seconds

    def _shared(self, latency: float, slowest: float) -> float:
        # Batches in other stages keep a stage busy for as long as each of them takes there.
        busy = self.lanes.busy
        return max(latency, busy * slowest) if busy > 1 else latency

    def _decode_run(self, decoding: int, cached: float) -> list[float]:
        """Return the ends of the decode steps until the batch may change."""
        steps = min(self._finish_top() - self.cache.step, self.cache.steps_left(), LONGEST_RUN)
        if self._preempted or not self.limits.coalesce:
            steps = 1
        arrival = None if self._waiting else self.desk.next_arrival()
        growth = decoding * self.limits.tokens_out
        time = self.costs.decode_at(decoding, grid(cached, KV_STEPS)[0])
        ends: list[float] = []
        now, alone = self.now, 0.0
        if steps > 16 and self.lanes.busy == 1:
            seconds = self.costs.decode_many(decoding, cached, growth, steps)
            ends = np.cumsum(np.concatenate(([now], seconds)))[1:].tolist()
            if arrival is not None:
                ends = ends[: int(np.searchsorted(ends, arrival)) + 1]
            alone = ends[-1] - now
        else:
            for step in range(steps):
                latency = self.costs.decode(decoding, cached + step * growth)
                now += self._shared(latency, time.slowest)
                alone += latency
                ends.append(now)
                if arrival is not None and now >= arrival:
                    break
        self._account(time, alone, len(ends))
        return ends

    def _account(self, time: StepTime, alone: float, steps: int) -> None:
        """Add up what steps like `time` took, `alone` seconds in all if no other batch is near."""
        usage, hops = self.usage, len(time.stages) - 1
        for cause, seconds in time.waits.items():
            usage.waits[cause] = usage.waits.get(cause, 0.0) + seconds * steps
        host, send = time.host_s * steps, time.send_s * hops * steps
        usage.waits["host"] = usage.waits.get("host", 0.0) + host
        usage.waits["send"] = usage.waits.get("send", 0.0) + send
        whole = sum(time.stages)
        scale = (alone - host - send) / whole if whole > 0 else 0.0
        if not usage.stages:
            usage.stages = [0.0] * len(time.stages)
        for stage, seconds in enumerate(time.stages):
            usage.stages[stage] += seconds * scale

    # --- scheduling --------------------------------------------------------------------------

    def _receive(self) -> None:
        for request in self.desk.arrived(self.now):
            if not self.desk.fits(request):
                self.desk.reject(request, self.now)
                continue
            self._waiting.append(request)

    def _make_room(self) -> None:
        while self.cache.needed() > self.cache.free:
            if not self._gave_up():
                self._preempt(self._last())

    def _chunks(self) -> list[tuple[int, int]]:
        """Return (request, tokens) of the prefills that run in this iteration."""
        limits = self.limits
        if limits.static:
            return self._static_chunks()
        budget = limits.token_budget - int(len(self._due) * limits.rows)
        chunks: list[tuple[int, int]] = []
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
            self._admit(chunks, budget)
        return chunks

    def _take(self, request: int, count: int) -> bool:
        while not self.cache.extend(request, self._done[request] + count):
            if self._gave_up():
                continue
            last = self._last()
            self._preempt(last)
            if last == request:
                return False
        return True

    def _admit(self, chunks: list[tuple[int, int]], budget: int) -> None:
        limit = self.limits.max_sequences
        while self._waiting and budget > 0 and len(self._due) + len(self._prefill) < limit:
            request = self._waiting[0]
            total = self._total(request)
            loaded = self.limits.loaded and request not in self._made
            known = self.prefixes.known(request, total) if self.prefixes else 0
            count = total if loaded else min(total - known, budget)
            if self.prefixes:
                self.prefixes.use(request, known)
            while not self.cache.open(request, known + count, self.desk.longest(request)):
                if not self._gave_up():
                    self._leave(request)
                    return
            self._waiting.popleft()
            if loaded:
                self._load(request, total)
                continue
            self._start(request, known)
            chunks.append((request, count))
            budget -= count

    def _load(self, request: int, total: int) -> None:
        self._made[request] = 1
        heapq.heappush(self._latest, -request)
        self._decode(request, total, self._steps(request))

    def _gave_up(self) -> bool:
        return self.prefixes is not None and self.prefixes.give_up()

    def _leave(self, request: int) -> None:
        if self.prefixes is not None:
            self.prefixes.leave(request)
            self.cache.share(request, 0)

    def _static_chunks(self) -> list[tuple[int, int]]:
        if not (self._due or self._prefill or self._held):
            while self._waiting and len(self._prefill) < self.limits.max_sequences:
                request = self._waiting[0]
                if not self.cache.open(request, 0, self.desk.longest(request)):
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
        self.desk.admit(request, self.now, known)
        self._prefill.append(request)
        self._done[request] = known
        heapq.heappush(self._latest, -request)

    def _total(self, request: int) -> int:
        """Return the tokens to prefill: the prompt, and what was made before a preemption."""
        return self.desk.prompt[request] + self._made.get(request, 0)

    def _last(self) -> int:
        while True:
            request = -self._latest[0]
            if request in self._due or request in self._done:
                return request
            heapq.heappop(self._latest)

    def _preempt(self, request: int) -> None:
        self._preempted = True
        if request in self._due:
            left = self._due.pop(request) - self.cache.step
            self._made[request] = self.desk.output[request] - left
        else:
            self._prefill.remove(request)
            del self._done[request]
        heapq.heappop(self._latest)
        self.cache.close(request)
        if self.prefixes is not None:
            self.prefixes.leave(request)
        self._waiting.appendleft(request)
        self.desk.preempted(request)

    # --- after an iteration ------------------------------------------------------------------

    def _after(self, chunks: list[tuple[int, int]]) -> None:
        for request, count in chunks:
            self._done[request] += count
            if self.prefixes is not None:
                self.prefixes.computed(request, self._done[request])
            if self._done[request] == self._total(request):
                self._prefill.remove(request)
                del self._done[request]
                self._first_token(request)
        if self.limits.static and not self._prefill and self._held:
            self._start_static()
        while self._finish and self._finish_top() <= self.cache.step:
            self._complete(heapq.heappop(self._finish)[1])

    def _first_token(self, request: int) -> None:
        total = self._total(request)
        self._made[request] = self._made.get(request, 0) + 1
        self.desk.token(request, self.now)
        if self.limits.static:
            self._held.append(request)
            return
        self._decode(request, total, self._steps(request))

    def _steps(self, request: int) -> int:
        left = self.desk.output[request] - self._made[request]
        return math.ceil(left / self.limits.tokens_out)

    def _start_static(self) -> None:
        # A batch is returned as a whole, when its longest request is done (Yu et al., Orca,
        # OSDI 2022, section 3.1).
        steps = max(self._steps(r) for r in self._held)
        for request in self._held:
            self._decode(request, self._total(request) - 1, steps)
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

    def _complete(self, request: int) -> None:
        del self._due[request]
        self._made.pop(request, None)
        self.cache.close(request)
        if self.prefixes is not None:
            self.prefixes.leave(request)
        self.desk.finish(request, self.now)
