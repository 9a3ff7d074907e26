"""Links in simulated time: flows through the same port share its bandwidth equally.

A port is one direction of one device's connection, inside its node or between nodes. A flow takes
the rate of its busiest port; each change of a port's flows settles and replans only the flows that
use that port. The equal split at each port is max-min fair where flows share one port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llamasim.simulate.clock import Clock

#: Share of a flow below which what is left of it is a rounding error.
EPSILON = 1e-12

Done = Callable[[Any], None]


class _Active:
    """A flow under way: seconds `left` at full rate when it was last settled, at `since`.

    `timer` is when its pending timer goes off: never after its end, so that a flow which is slowed
    keeps its timer and sets another one only when that has gone off too early.
    """

    __slots__ = (
        "done", "into", "least", "left", "out", "rate", "since", "timer", "value", "version",
    )

    def __init__(
        self, out: int, into: int, left: float, now: float, done: Done, value: Any
    ) -> None:
        self.out, self.into = out, into
        self.left = left
        self.least = left * EPSILON
        self.rate = 0.0
        self.since = now
        self.timer = float("inf")
        self.version = 0
        self.done = done
        self.value = value


def port_of(stage: int, outer: bool, inward: bool) -> int:
    """Return the number of a stage's port."""
    return stage * 4 + outer * 2 + inward


class Ports:
    """All ports of all stages."""

    def __init__(self, clock: Clock, stages: int) -> None:
        self._clock = clock
        self._flows: list[list[_Active]] = [[] for _ in range(stages * 4)]
        self._load = [0.0] * (stages * 4)

    def start(self, ports: tuple[int, int], seconds: float, done: Done, value: Any = None) -> None:
        """Begin a flow that takes `seconds` alone, and call `done` with `value` when it is over.

        `ports` are the one it leaves by and the one it enters by.
        """
        if seconds <= 0:
            done(value)
            return
        leave, enter = ports
        flow = _Active(leave, enter, seconds, self._clock.now, done, value)
        out, into = self._flows[leave], self._flows[enter]
        out.append(flow)
        into.append(flow)
        if len(out) == 1 and len(into) == 1:
            leaving, entering = 1.0 - self._load[leave], 1.0 - self._load[enter]
            flow.rate = leaving if leaving < entering else entering
            self._set_timer(flow)
        else:
            self._replan(out)
            self._replan(into)

    def load(self, stage: int, inner: float, outer: float) -> None:
        """Say which share of a stage's ports the collectives inside its compute take from now."""
        load, flows, port = self._load, self._flows, 4 * stage
        for share in (inner, outer):
            # A share of one would stop other flows for good; in truth they would take turns.
            if share > 0.95:
                share = 0.95
            if load[port] != share:
                load[port] = load[port + 1] = share
                if flows[port] or flows[port + 1]:
                    self._replan(flows[port])
                    self._replan(flows[port + 1])
            port += 2

    def _replan(self, flows: Iterable[_Active]) -> None:
        for flow in flows:
            self._plan(flow)

    def _plan(self, flow: _Active) -> None:
        out, into = flow.out, flow.into
        leaving = (1.0 - self._load[out]) / len(self._flows[out])
        entering = (1.0 - self._load[into]) / len(self._flows[into])
        rate = leaving if leaving < entering else entering
        if rate == flow.rate:
            return
        now = self._clock.now
        flow.left -= flow.rate * (now - flow.since)
        flow.since, flow.rate = now, rate
        if now + flow.left / rate < flow.timer:
            self._set_timer(flow)

    def _set_timer(self, flow: _Active) -> None:
        delay = max(0.0, flow.left / flow.rate)
        flow.version += 1
        flow.timer = self._clock.now + delay
        self._clock.call(delay, self._over, (flow, flow.version))

    def _over(self, timer: tuple[_Active, int]) -> None:
        flow, version = timer
        if flow.version != version:
            return
        now = self._clock.now
        flow.left -= flow.rate * (now - flow.since)
        flow.since = now
        # What is too short to move the clock is over, too.
        if flow.left > flow.least and now + flow.left / flow.rate > now:
            self._set_timer(flow)
        else:
            self._finish(flow)

    def _finish(self, flow: _Active) -> None:
        flow.version += 1
        out, into = self._flows[flow.out], self._flows[flow.into]
        out.remove(flow)
        into.remove(flow)
        if out or into:
            self._replan((*out, *into))
        flow.done(flow.value)
