"""One pipeline stage in simulated time: its task list, its streams and what it waited for."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from simpy import Environment, Event, Timeout

from llamasim.simulate.orders import FORWARD, Task
from llamasim.simulate.ports import Ports
from llamasim.simulate.streams import CommStream, ports_of
from llamasim.simulate.timings import IN_FLIGHT, Flow, Segment, StageTimes, Timings
from llamasim.simulate.trace import TASKS

#: Kind, chunk, micro-batch, start, end, flow, bytes of a transfer, collective or other task.
Row = tuple[int, int, int, float, float, Flow | None, float]
#: Chunk, micro-batch, part, start of the part, end of its reduction.
Reduction = tuple[int, int, int, float, float]
Deliver = Callable[["Stage", Task], Event | None]

SEND, REDUCE, GATHER = TASKS.index("send"), TASKS.index("reduce"), TASKS.index("gather")
OPTIMIZER, HOST = TASKS.index("optimizer"), TASKS.index("host")


class Stage:
    """State and process of one stage; columns of its tasks are in the order of its task list."""

    def __init__(
        self, env: Environment, ports: Ports, index: int, timings: Timings, order: list[Task]
    ) -> None:
        self.env, self.ports, self.index = env, ports, index
        self.timings, self.order = timings, order
        self.times: StageTimes = timings.stages[index]
        self.comm = CommStream(env, ports, index)
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.rows: list[Row] = []
        self.reductions: list[Reduction] = []
        self.waits: dict[str, float] = {}
        self.end = 0.0
        each = timings.chunks * timings.micro_batches
        # Gradients of weights need nothing from elsewhere; the list puts them after those of data.
        self._ready = bytearray(2 * each) + bytearray(b"\1") * each
        self._loaded = False
        self._wanted = -1
        self._event: Event | None = None
        self._tail: list[tuple[Flow, int, int]] = []
        self._gathered: list[Event] = []
        self._pending: list[Event] = []

    def key(self, task: Task) -> int:
        """Return a task's number on this stage."""
        kind, chunk, j = task
        return (kind * self.timings.chunks + chunk) * self.timings.micro_batches + j

    def mark(self, key: int, produced: float) -> None:
        """Say that a task's input, made at `produced`, is here."""
        self._ready[key] = 1
        if self._wanted == key:
            self._wanted = -1
            assert self._event is not None
            self._event.succeed(produced)

    def run(self, deliver: Deliver) -> Generator[Event, Any, None]:
        """Work through the task list (a SimPy process)."""
        env, ready, chunks = self.env, self._ready, self.times.chunks
        starts, ends = self.starts, self.ends
        yield from self._begin()
        for task in self.order:
            kind, chunk, j = task
            key = self.key(task)
            if not ready[key]:
                yield from self._wait_for(key)
            starts.append(env.now)
            times = chunks[chunk]
            if kind == self.timings.closing and times.reduces and self.timings.closes_round(j):
                yield from self._reducing(kind, chunk, j)
            else:
                segment = times.of(kind)
                if segment.plain and not self.comm.running:
                    yield Timeout(env, segment.seconds)
                else:
                    yield from self._compute(segment, 1.0)
            ends.append(env.now)
            if self._gathered and kind == FORWARD and j == 0:
                yield from self._wait(self._gathered.pop(0), "gather")
            blocked = deliver(self, task)
            if blocked is not None:
                yield from self._wait(blocked, "send")
        yield from self._finish()

    def blocking(self, flow: Flow, share: float, kind: int, chunk: int, j: int) -> Event:
        """Start a share of a collective that compute waits for."""
        event, start = self.env.event(), self.env.now

        def over() -> None:
            end = self.env.now
            self.rows.append((kind, chunk, j, start, end, flow, flow.bytes * share))
            event.succeed()

        self.ports.start(ports_of(flow, self.index), flow.seconds * share, over)
        return event

    def _begin(self) -> Iterator[Event]:
        host = self.timings.host_s
        if host > 0:
            yield Timeout(self.env, host)
            self.waits["host"] = host
            self.rows.append((HOST, 0, 0, 0.0, host, None, 0.0))
        for flow in self.times.start:
            if flow.hidden < 1:
                yield from self._wait(
                    self.blocking(flow, 1 - flow.hidden, GATHER, 0, 0), "gather"
                )
        # What may hide is this step's gathers and, in a steady state, those after the last update.
        hidden = [f for f in (*self.times.start, *self.times.end) if f.hidden > 0]
        count = len(self.times.chunks)
        for chunk in range(count if hidden else 0):
            for flow in hidden:
                self.comm.put(flow, flow.hidden / count, self._recorder(GATHER, chunk, 0))
            self._gathered.append(self._marker())

    def _marker(self) -> Event:
        # An event at the point which the communication stream has been filled to.
        event = self.env.event()
        mark = Flow("", "", 0.0)

        def reached(flow: Flow, share: float, start: float, end: float) -> None:
            event.succeed()

        self.comm.put(mark, 1.0, reached)
        return event

    def _recorder(
        self, kind: int, chunk: int, j: int
    ) -> Callable[[Flow, float, float, float], None]:
        def record(flow: Flow, share: float, start: float, end: float) -> None:
            self.rows.append((kind, chunk, j, start, end, flow, flow.bytes * share))

        return record

    def _wait(self, event: Event, cause: str) -> Iterator[Event]:
        start = self.env.now
        self._load(0.0, 0.0)
        yield event
        waited = self.env.now - start
        if waited > 0:
            self.waits[cause] = self.waits.get(cause, 0.0) + waited

    def _wait_for(self, key: int) -> Generator[Event, Any, None]:
        start = self.env.now
        if self._loaded:
            self._load(0.0, 0.0)
        self._wanted, self._event = key, self.env.event()
        produced = yield self._event
        now = self.env.now
        # While the data is under way the wait is the link's; before that, the other stage's.
        sending = now - max(start, produced)
        self._add("send", sending)
        self._add("bubble", now - start - sending)

    def _load(self, inner: float, outer: float) -> None:
        if self._loaded or inner > 0 or outer > 0:
            self.ports.load(self.index, inner, outer)
            self._loaded = inner > 0 or outer > 0

    def _add(self, cause: str, seconds: float) -> None:
        if seconds > 0:
            self.waits[cause] = self.waits.get(cause, 0.0) + seconds

    def _compute(self, segment: Segment, share: float) -> Iterator[Event]:
        self._load(segment.inner, segment.outer)
        before = self.comm.busy()
        yield Timeout(self.env, segment.seconds * share)
        beside = self.comm.busy() - before
        tax = self.timings.tax
        if beside > 0 and tax > 0:
            # Multiprocessors that the collective took, made up for at the end of the task.
            extra = beside * tax / (1 - tax)
            yield Timeout(self.env, extra)
            self._add("reduce", extra)

    def _reducing(self, kind: int, chunk: int, j: int) -> Iterator[Event]:
        times = self.times.chunks[chunk]
        last = j == self.timings.micro_batches - 1
        for number, part in enumerate(times.parts):
            if part.buffered and len(self._pending) >= IN_FLIGHT:
                yield from self._wait(self._pending.pop(0), "reduce")
            start = self.env.now
            yield from self._compute(times.of(kind), part.share)
            for flow in part.reduce:
                yield from self._reduce(flow, (chunk, j, number, start), last)
            if part.buffered:
                self._pending.append(self._marker())

    def _reduce(
        self, flow: Flow, place: tuple[int, int, int, float], last: bool
    ) -> Iterator[Event]:
        chunk, j = place[:2]
        if flow.hidden > 0:

            def record(flow: Flow, share: float, start: float, end: float) -> None:
                self.rows.append((REDUCE, chunk, j, start, end, flow, flow.bytes * share))
                self.reductions.append((*place, end))

            self.comm.put(flow, flow.hidden, record)
        if flow.hidden < 1 and last:
            self._tail.append((flow, chunk, j))
        elif flow.hidden < 1:
            yield from self._wait(self.blocking(flow, 1 - flow.hidden, REDUCE, chunk, j), "reduce")
        if flow.hidden == 0:
            self.reductions.append((*place, self.env.now))

    def _finish(self) -> Iterator[Event]:
        yield from self._wait(self.comm.idle(), "reduce")
        for flow, chunk, j in self._tail:
            yield from self._wait(self.blocking(flow, 1 - flow.hidden, REDUCE, chunk, j), "reduce")
        if self.times.optimizer.seconds > 0:
            start = self.env.now
            yield from self._compute(self.times.optimizer, 1.0)
            self.rows.append((OPTIMIZER, 0, 0, start, self.env.now, None, 0.0))
        for flow in self.times.end:
            if flow.hidden < 1:
                yield from self._wait(
                    self.blocking(flow, 1 - flow.hidden, GATHER, 0, 0), "gather"
                )
        self._load(0.0, 0.0)
        self.end = self.env.now
