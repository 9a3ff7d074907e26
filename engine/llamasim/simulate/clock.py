"""Simulated time: what happens when, and processes that wait for it.

A step of a deep pipeline has hundreds of thousands of events, each a few microseconds of a general
simulator's time. This one knows moments, delays and signals, nothing else. What happens at one
moment happens in the order in which it was asked for, so a run repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Any

#: A process yields a delay in seconds, or a signal that it waits for; of a signal it is sent the
#: value.
Process = Generator["float | Signal", Any, None]
#: Puts what is asked for `early` before all else of its moment.
_EARLY = 1 << 60


class Clock:
    """The time, and what is still to happen."""

    __slots__ = ("_count", "_queue", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._count = 0

    def call(self, delay: float, what: Callable[[Any], None], value: Any) -> None:
        """Call `what` with a value after a delay."""
        self._count += 1
        heappush(self._queue, (self.now + delay, self._count, what, value))

    def at(
        self, when: float, what: Callable[[Any], None], value: Any = None, *, early: bool = False
    ) -> None:
        """Call `what` with a value at a moment, now if it is past; `early` ones before others."""
        self._count += 1
        order = self._count - _EARLY if early else self._count
        heappush(self._queue, (max(when, self.now), order, what, value))

    def start(self, process: Process) -> None:
        """Begin a process now."""
        send, queue = process.send, self._queue

        def resume(value: Any) -> None:
            try:
                wanted = send(value)
            except StopIteration:
                return
            if isinstance(wanted, Signal):
                wanted.wait(resume)
            else:
                self._count += 1
                heappush(queue, (self.now + wanted, self._count, resume, None))

        self.call(0.0, resume, None)

    def run(self, until: float = float("inf")) -> None:
        """Let everything happen that is asked for, up to a moment, and stand there."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, what, value = heappop(queue)
            what(value)
        if until < float("inf"):
            self.now = until


class Signal:
    """Something that happens once, and one process or none that waits for it."""

    __slots__ = ("_clock", "_happened", "_resume", "_value")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._happened = False
        self._value: Any = None
        self._resume: Callable[[Any], None] | None = None

    def happen(self, value: Any = None) -> None:
        """Let the one that waits go on, now or as soon as it waits."""
        self._happened, self._value = True, value
        if self._resume is not None:
            self._clock.call(0.0, self._resume, value)

    def wait(self, resume: Callable[[Any], None]) -> None:
        """Say what is to be called with the value."""
        self._resume = resume
        if self._happened:
            self._clock.call(0.0, resume, self._value)
