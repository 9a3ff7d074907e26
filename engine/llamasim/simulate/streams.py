"""The communication stream of a device: collectives one after another, beside compute."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from llamasim.simulate.clock import Clock, Signal
from llamasim.simulate.ports import Ports, port_of
from llamasim.simulate.timings import Flow

#: What a finished flow leaves: stage, flow, share of it, start, end.
Record = Callable[[Flow, float, float, float], None]


class CommStream:
    """First in, first out.

    Attributes:
        running: whether it is at work now; `busy()` tells for how long it has been.

    """

    def __init__(self, clock: Clock, ports: Ports, stage: int) -> None:
        self._clock = clock
        self._ports = ports
        self._stage = stage
        self._queue: deque[tuple[Flow, float, Record]] = deque()
        self.running = False
        self._since = 0.0
        self._busy = 0.0
        self._waiters: list[Signal] = []

    def put(self, flow: Flow, share: float, record: Record) -> None:
        """Queue a share of a flow; `record` is called with it when it is over."""
        self._queue.append((flow, share, record))
        if not self.running:
            self.running = True
            self._since = self._clock.now
            self._next()

    def busy(self) -> float:
        """Return the seconds this stream has run until now."""
        return self._busy + (self._clock.now - self._since if self.running else 0.0)

    def idle(self) -> Signal:
        """Return a signal that happens when nothing is left to run."""
        signal = Signal(self._clock)
        if self.running:
            self._waiters.append(signal)
        else:
            signal.happen()
        return signal

    def _next(self) -> None:
        # A loop, not recursion: flows of no length end at once.
        while self._queue:
            flow, share, record = self._queue.popleft()
            start, state = self._clock.now, [False, False]

            def over(
                _: None, flow: Flow = flow, share: float = share, record: Record = record,
                start: float = start, state: list[bool] = state,
            ) -> None:
                record(flow, share, start, self._clock.now)
                state[0] = True
                if state[1]:
                    self._next()

            self._ports.start(ports_of(flow, self._stage), flow.seconds * share, over)
            state[1] = True
            if not state[0]:
                return
        self._stop()

    def _stop(self) -> None:
        self.running = False
        self._busy += self._clock.now - self._since
        for signal in self._waiters:
            signal.happen()
        self._waiters.clear()


def ports_of(flow: Flow, stage: int, target: int | None = None) -> tuple[int, int]:
    """Return the ports a flow uses: a collective both directions, a send one at each end."""
    to = stage if target is None else target
    return (port_of(stage, flow.outer, False), port_of(to, flow.outer, True))
