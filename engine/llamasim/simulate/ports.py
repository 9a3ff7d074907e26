"""Links in simulated time: flows through the same port share its bandwidth equally.

A port is one direction of one device's connection, inside its node or between nodes. A flow takes
the rate of its busiest port; each change of a port's flows settles and replans only the flows that
use that port. The equal split at each port is max-min fair where flows share one port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from simpy import Environment, Event, Timeout

#: Work below this many seconds counts as finished (rounding of sums of small steps).
EPSILON = 1e-15


class _Active:
    __slots__ = ("done", "left", "ports", "rate", "since", "version")

    def __init__(
        self, ports: tuple[int, ...], left: float, now: float, done: Callable[[], None]
    ) -> None:
        self.ports = ports
        self.left = left
        self.rate = 0.0
        self.since = now
        self.version = 0
        self.done = done


def port_of(stage: int, outer: bool, inward: bool) -> int:
    """Return the number of a stage's port."""
    return stage * 4 + outer * 2 + inward


class Ports:
    """All ports of all stages."""

    def __init__(self, env: Environment, stages: int) -> None:
        self._env = env
        self._flows: list[list[_Active]] = [[] for _ in range(stages * 4)]
        self._load = [0.0] * (stages * 4)

    def start(self, ports: tuple[int, ...], seconds: float, done: Callable[[], None]) -> None:
        """Begin a flow that takes `seconds` alone, and call `done` when it is over."""
        if seconds <= EPSILON:
            done()
            return
        flow = _Active(ports, seconds, self._env.now, done)
        alone = True
        for port in ports:
            active = self._flows[port]
            alone = alone and not active and self._load[port] == 0.0
            active.append(flow)
        if alone:
            flow.rate = 1.0
            self._schedule(flow)
        else:
            self._replan(ports)

    def load(self, stage: int, inner: float, outer: float) -> None:
        """Say which share of a stage's ports the collectives inside its compute take from now."""
        changed: list[int] = []
        for share, base in ((inner, 4 * stage), (outer, 4 * stage + 2)):
            # A share of one would stop other flows for good; in truth they would take turns.
            share = min(share, 0.95)
            for port in (base, base + 1):
                if self._load[port] != share:
                    self._load[port] = share
                    changed.append(port)
        if changed:
            self._replan(changed)

    def _replan(self, ports: Iterable[int]) -> None:
        flows = self._flows
        touched = {flow: None for port in ports for flow in flows[port]}
        now = self._env.now
        for flow in touched:
            rate = min((1.0 - self._load[p]) / len(flows[p]) for p in flow.ports)
            if rate == flow.rate:
                continue
            flow.left = max(0.0, flow.left - flow.rate * (now - flow.since))
            flow.since, flow.rate = now, rate
            flow.version += 1
            self._schedule(flow)

    def _schedule(self, flow: _Active) -> None:
        timer = Timeout(self._env, flow.left / flow.rate, (flow, flow.version))
        assert timer.callbacks is not None
        timer.callbacks.append(self._over)

    def _over(self, timer: Event) -> None:
        flow, version = cast(tuple[_Active, int], timer.value)
        if flow.version == version:
            self._finish(flow)

    def _finish(self, flow: _Active) -> None:
        flow.version += 1
        busy = False
        for port in flow.ports:
            self._flows[port].remove(flow)
            busy = busy or bool(self._flows[port])
        if busy:
            self._replan(flow.ports)
        flow.done()
