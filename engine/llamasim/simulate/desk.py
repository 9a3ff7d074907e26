"""Where requests come from, who serves them, and where their times are kept."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import Protocol

import attrs

from llamasim.simulate.arrivals import Stream
from llamasim.simulate.clock import Clock
from llamasim.simulate.trace import Rejection


@attrs.define(eq=False, repr=False)
class Book:
    """Times of all requests; -1 where something has not happened.

    Attributes:
        gaps: seconds of waits for a further token that no decode step alone explains, and `often`,
            how many there were of each; less than none of a step that such a wait was part of.

    """

    prompt: array[int]
    output: array[int]
    arrived: array[float]
    admitted: array[float]
    first_token: array[float]
    finished: array[float]
    preemptions: array[int]
    cached: array[int]
    replica: array[int]
    rejections: list[Rejection] = attrs.Factory(list)
    gaps: array[float] = attrs.Factory(lambda: array("d"))
    often: array[int] = attrs.Factory(lambda: array("i"))

    def waited(self, seconds: float, often: int) -> None:
        """Note a wait for a further token."""
        self.gaps.append(seconds)
        self.often.append(often)

    @staticmethod
    def of(stream: Stream) -> Book:
        """Return an empty book for a stream of requests."""
        count = len(stream.time)
        admitted, first_token, finished = (array("d", [-1.0]) * count for _ in range(3))
        return Book(
            array("i", stream.prompt.tolist()), array("i", stream.output.tolist()),
            array("d", stream.time.tolist()), admitted, first_token, finished,
            array("i", [0]) * count, array("i", [0]) * count, array("i", [-1]) * count,
        )


class Serves(Protocol):
    """What a desk asks of a server."""

    outstanding: int

    def submit(self, request: int, now: float) -> None:
        """Take a request in."""

    def refuses(self, request: int) -> str:
        """Return why a request can never be served here; empty where it can."""

    def match(self, request: int) -> float:
        """Return the share of a request's prompt that is cached here."""

    def holds(self, request: int) -> float:
        """Return 1 where the variant of the weights that a request asks for is here, else 0."""


#: From a request and the servers to the one that serves it.
Route = Callable[[int, list[Serves]], int]


@attrs.define(eq=False, repr=False)
class Desk:
    """Takes requests in order of arrival and gives each to a server.

    With `users`, requests come as in a closed loop: each user sends the next one when its last is
    done. Without, they come at their times. `also` serves them later on, and must be able to.
    None is turned away where the `longest` has no more tokens than a server `holds`. With `fed`,
    servers know their requests and take them in themselves.
    """

    clock: Clock
    book: Book
    servers: list[Serves]
    route: Route
    users: int | None = None
    scaling: Scaling | None = None
    also: Serves | None = None
    longest: int = 0
    holds: int = -1
    fed: bool = False
    at: int = 0

    def start(self) -> None:
        """Let requests come."""
        if self.scaling is not None:
            self.scaling.begin()
        if self.users is None and not self.fed:
            self._expect()
        elif self.users is not None:
            for _ in range(self.users):
                self._next_of_user(0.0)

    def _expect(self) -> None:
        if self.at < len(self.book.arrived):
            self.clock.at(self.book.arrived[self.at], self._arrive, early=True)

    def _arrive(self, _: object) -> None:
        arrived, at = self.book.arrived, self.at
        now = arrived[at]
        while at < len(arrived) and arrived[at] <= now:
            self.at = at + 1
            self._come(at, now)
            at += 1
        self._expect()

    def _next_of_user(self, now: float) -> None:
        # A request that is turned away makes room for the next at once.
        while self.at < len(self.book.arrived):
            request, self.at = self.at, self.at + 1
            self.book.arrived[request] = now
            if self._come(request, now):
                return

    def _come(self, request: int, now: float) -> bool:
        if not self.takes(request, now):
            return False
        servers = self.servers if self.scaling is None else self.scaling.open(now)
        servers[self.route(request, servers)].submit(request, now)
        return True

    def takes(self, request: int, now: float) -> bool:
        """Whether a request can be served at all; it is turned away where it cannot."""
        if self.longest <= self.holds:
            return True
        reason = self.servers[0].refuses(request)
        if not reason and self.also is not None:
            reason = self.also.refuses(request)
        if reason:
            book = self.book
            book.rejections.append(Rejection(
                request, now, book.prompt[request], book.output[request], reason
            ))
        return not reason

    def finish(self, request: int, now: float) -> None:
        """Note a request's last token."""
        self.book.finished[request] = now
        if self.scaling is not None:
            self.scaling.less(now)
        if self.users is not None:
            self._next_of_user(now)


# --- routes ------------------------------------------------------------------------------------


@attrs.define(eq=False, repr=False)
class InTurn:
    """Gives each server a request in turn."""

    last: int = -1

    def __call__(self, request: int, servers: list[Serves]) -> int:
        """Return the next server."""
        self.last = (self.last + 1) % len(servers)
        return self.last


@attrs.define(eq=False, repr=False)
class LeastOutstanding:
    """Gives the server with the fewest requests the next one; the first of several."""

    def __call__(self, request: int, servers: list[Serves]) -> int:
        """Return that server."""
        counts = [s.outstanding for s in servers]
        return counts.index(min(counts))


#: Requests by which, and times by which, the busiest server may exceed the least busy one before
#: what is cached no longer counts; and the share of a prompt that must be cached to count.
LEAD, TIMES, MATCH = 32, 1.5, 0.5


@attrs.define(eq=False, repr=False)
class ByMatch:
    """Prefers the server that has most of what a request needs, if it has much and loads are even.

    After SGLang's router: the longest match while loads are even, else the least busy server.
    It `asks` servers for the share of it that they have.
    """

    asks: str = "match"

    def __call__(self, request: int, servers: list[Serves]) -> int:
        """Return that server."""
        counts = [s.outstanding for s in servers]
        least, most = min(counts), max(counts)
        if most - least <= LEAD or most <= TIMES * least:
            matches = [getattr(s, self.asks)(request) for s in servers]
            best = max(matches)
            if best > MATCH:
                return min((c, n) for n, c in enumerate(counts) if matches[n] == best)[1]
        return counts.index(least)


ROUTES: dict[str, Callable[[], Route]] = {
    "round_robin": InTurn, "least_outstanding": LeastOutstanding, "prefix": ByMatch,
    "variant": partial(ByMatch, "holds"),
}


# --- replicas that come and go -----------------------------------------------------------------


@attrs.define(eq=False, repr=False)
class Scaling:
    """How many servers are open: more when requests pile up, after a delay; fewer when they do not.

    Attributes:
        least: servers that are always open.
        delay_s: until a server that was asked for takes requests.
        above: requests a server above which one more is asked for; `below`, one fewer.
        lanes: servers of one replica, which come and go together.
        paid: seconds that replicas were there, starting ones included.

    """

    clock: Clock
    servers: list[Serves]
    least: int
    delay_s: float
    above: float
    below: float
    lanes: int = 1
    ready: int = 0
    asked: int = 0
    paid: float = 0.0
    changes: list[tuple[float, int]] = attrs.Factory(list)
    _since: float = 0.0

    def begin(self) -> None:
        """Open the least number."""
        self.ready = self.asked = min(self.least, len(self.servers) // self.lanes)
        self.changes.append((0.0, self.ready))

    def _pay(self, now: float) -> None:
        self.paid += self.asked * (now - self._since)
        self._since = now

    def open(self, now: float) -> list[Serves]:
        """Return the servers that take requests; one more has just come."""
        waiting = 1 + sum(s.outstanding for s in self.servers)
        if waiting > self.above * self.asked and self.asked * self.lanes < len(self.servers):
            self._pay(now)
            self.asked += 1
            self.clock.at(now + self.delay_s, self._opened)
        return self.servers[: self.ready * self.lanes]

    def _opened(self, _: object) -> None:
        if self.ready < self.asked:
            self.ready += 1
            self.changes.append((self.clock.now, self.ready))

    def less(self, now: float) -> None:
        """Let the last replica go once it has nothing to do, if the others suffice."""
        last = self.servers[(self.ready - 1) * self.lanes : self.ready * self.lanes]
        present = sum(s.outstanding for s in self.servers)
        if (
            self.ready == self.asked > self.least
            and present < self.below * (self.ready - 1)
            and not any(s.outstanding for s in last)
        ):
            self._pay(now)
            self.ready -= 1
            self.asked -= 1
            self.changes.append((now, self.ready))

    def end(self, now: float) -> float:
        """Return the seconds that replicas were there, all together."""
        self._pay(max(now, self._since))
        return self.paid
