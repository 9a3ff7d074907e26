"""Simulated time: a SimPy environment with lean events.

A step of a deep pipeline has hundreds of thousands of events, each a few microseconds as a SimPy
process would have it: a timeout, its list of callbacks, the generator that it wakes. What is asked
of `call` and `at` is one small event of SimPy's queue instead, and `start` drives a generator by
such events. Ordinary events, timeouts, processes and resources of SimPy go between them. What
happens at one moment happens in the order in which it was asked for, so a run repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from itertools import count
from typing import Any

from simpy.core import EmptySchedule, Environment, SimTime
from simpy.events import NORMAL, URGENT, Event

#: A process yields a delay in seconds, or a signal that it waits for; of a signal it is sent the
#: value.
Process = Generator["float | Signal", Any, None]


class _Call(Event):
    """An event that calls one function with a value."""

    __slots__ = ("given", "what")

    def __init__(self, what: Callable[[Any], None], given: Any) -> None:
        self.what, self.given = what, given


class Clock(Environment):
    """The time, and what is still to happen."""

    #: As SimPy's, without the cost of a property.
    now: float = 0.0

    def call(self, delay: float, what: Callable[[Any], None], value: Any) -> None:
        """Call `what` with a value after a delay."""
        heappush(self._queue, (self.now + delay, NORMAL, next(self._eid), _Call(what, value)))

    def at(
        self, when: float, what: Callable[[Any], None], value: Any = None, *, early: bool = False
    ) -> None:
        """Call `what` with a value at a moment, now if it is past; `early` ones before others."""
        order = URGENT if early else NORMAL
        when = max(when, self.now)
        heappush(self._queue, (when, order, next(self._eid), _Call(what, value)))

    def __getstate__(self) -> tuple[float, list[tuple[Any, ...]]]:
        """Return the time and the calls to come; a clock with other events has no such state."""
        calls: list[tuple[Any, ...]] = []
        for *head, event in self._queue:
            if type(event) is not _Call:
                raise TypeError(f"{event} cannot be kept")
            calls.append((*head, event.what, event.given))
        return self.now, calls

    def __setstate__(self, state: tuple[float, list[tuple[Any, ...]]]) -> None:
        """Go on from a state."""
        now, calls = state
        Environment.__init__(self, now)
        self.now = now
        for when, order, number, what, given in calls:
            self._queue.append((when, order, number, _Call(what, given)))
        self._eid = count(max((c[2] for c in calls), default=-1) + 1)

    def start(self, process: Process) -> None:
        """Begin a process now."""
        send, queue, number = process.send, self._queue, self._eid

        def resume(value: Any) -> None:
            try:
                wanted = send(value)
            except StopIteration:
                return
            if isinstance(wanted, Signal):
                wanted.wait(resume)
            else:
                heappush(queue, (self.now + wanted, NORMAL, next(number), _Call(resume, None)))

        self.call(0.0, resume, None)

    def step(self) -> None:
        """Let the next thing happen.

        Raises:
            EmptySchedule: there is none.

        """
        queue = self._queue
        if not queue:
            raise EmptySchedule
        event = queue[0][3]
        if type(event) is not _Call:
            self.now = queue[0][0]
            super().step()
            return
        self.now = self._now = heappop(queue)[0]
        event.what(event.given)

    def go(self, events: int) -> bool:
        """Let so many things happen; return whether there are more."""
        while self._queue and events > 0:
            events -= 1
            self.step()
        return bool(self._queue)

    def run(self, until: SimTime | Event | None = None) -> Any:
        """Let everything happen that is asked for, or all that is before a moment or an event."""
        if until is not None:
            return super().run(until)
        queue = self._queue
        while queue:
            event = queue[0][3]
            if type(event) is _Call:
                self.now = self._now = heappop(queue)[0]
                event.what(event.given)
            else:
                self.step()
        return None


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
