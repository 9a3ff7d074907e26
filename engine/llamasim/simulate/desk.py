"""Where requests come from and where their times are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs

from llamasim.simulate.arrivals import Stream
from llamasim.simulate.trace import Rejection


@attrs.define(eq=False)
class Book:
    """Times of all requests; -1 where something has not happened."""

    arrived: list[float]
    admitted: list[float]
    first_token: list[float]
    finished: list[float]
    preemptions: list[int]
    cached: list[int]
    rejections: list[Rejection] = attrs.Factory(list)

    @staticmethod
    def of(stream: Stream) -> Book:
        """Return an empty book for a stream of requests."""
        count = len(stream.time)
        admitted, first_token, finished = ([-1.0] * count for _ in range(3))
        return Book(
            stream.time.tolist(), admitted, first_token, finished, [0] * count, [0] * count
        )


@attrs.define(eq=False)
class Desk:
    """One server's view: its queue of future requests, and the book.

    With `users`, requests come as in a closed loop: each user sends the next request of the queue,
    which all servers share, when the last one is done. Without, they come at their times.
    """

    prompt: list[int]
    output: list[int]
    book: Book
    queue: deque[int]
    capacity_tokens: float
    users: int | None = None

    def arrived(self, now: float) -> Iterator[int]:
        """Yield the requests that have come by now and were not yielded before."""
        while self.queue:
            if self.users is None:
                if self.book.arrived[self.queue[0]] > now:
                    return
                yield self.queue.popleft()
                continue
            if self.users == 0:
                return
            self.users -= 1
            request = self.queue.popleft()
            self.book.arrived[request] = now
            yield request

    def next_arrival(self) -> float | None:
        """Return when the next request comes, if that is known and any does."""
        if self.users is not None or not self.queue:
            return None
        return self.book.arrived[self.queue[0]]

    def longest(self, request: int) -> int:
        """Return the tokens of a request from prompt to last output."""
        return self.prompt[request] + self.output[request]

    def fits(self, request: int) -> bool:
        """Whether the whole cache would hold it."""
        return self.longest(request) <= self.capacity_tokens

    def reject(self, request: int, now: float) -> None:
        """Turn a request away."""
        reason = (
            f"it needs a cache of {self.longest(request):,} tokens; "
            f"there is room for {int(self.capacity_tokens):,}"
        )
        self.book.rejections.append(
            Rejection(request, now, self.prompt[request], self.output[request], reason)
        )
        self._free_user()

    def admit(self, request: int, now: float, known: int = 0) -> None:
        """Note when a request was first scheduled, and how much of its prompt was cached then."""
        if self.book.admitted[request] < 0:
            self.book.admitted[request] = now
            self.book.cached[request] = known

    def token(self, request: int, now: float) -> None:
        """Note a request's first token."""
        if self.book.first_token[request] < 0:
            self.book.first_token[request] = now

    def preempted(self, request: int) -> None:
        """Count a preemption."""
        self.book.preemptions[request] += 1

    def finish(self, request: int, now: float) -> None:
        """Note a request's last token."""
        self.book.finished[request] = now
        self._free_user()

    def _free_user(self) -> None:
        if self.users is not None:
            self.users += 1
