"""One pipeline stage in simulated time: its task list, its streams and what it waited for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llamasim.simulate.clock import Clock, Process, Signal
from llamasim.simulate.orders import FORWARD, Task
from llamasim.simulate.ports import Ports
from llamasim.simulate.streams import CommStream, ports_of
from llamasim.simulate.timings import IN_FLIGHT, Flow, Segment, StageTimes, Timings
from llamasim.simulate.trace import TASKS, Ints

#: Kind, chunk, micro-batch, start, end, flow, bytes of a transfer, collective or other task.
Row = tuple[int, int, int, float, float, Flow | None, float]
#: Chunk, micro-batch, part, start of the part, end of its reduction.
Reduction = tuple[int, int, int, float, float]
Deliver = Callable[["Stage", Task], Signal | None]

SEND, REDUCE, GATHER = TASKS.index("send"), TASKS.index("reduce"), TASKS.index("gather")
OPTIMIZER, HOST = TASKS.index("optimizer"), TASKS.index("host")


class Stage:
    """State and process of one stage; columns of its tasks are in the order of its task list."""

    def __init__(
        self, clock: Clock, ports: Ports, index: int, timings: Timings, order: list[Task]
    ) -> None:
        self.clock, self.ports, self.index = clock, ports, index
        self.timings, self.order = timings, order
        self.times: StageTimes = timings.stages[index]
        self.comm = CommStream(clock, ports, index)
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
        self._input: Signal | None = None
        self._tail: list[tuple[Flow, int, int]] = []
        self._gathered: list[Signal] = []
        self._pending: list[Signal] = []
        self._tasks: Ints | None = None

    def key(self, task: Task) -> int:
        """Return a task's number on this stage."""
        kind, chunk, j = task
        return (kind * self.timings.chunks + chunk) * self.timings.micro_batches + j

    @property
    def tasks(self) -> Ints:
        """The task list as rows of kind, chunk and micro-batch."""
        if self._tasks is None:
            self._tasks = np.array(self.order, dtype=np.int32).reshape(-1, 3)
        return self._tasks

    def mark(self, key: int, produced: float) -> None:
        """Say that a task's input, made at `produced`, is here."""
        self._ready[key] = 1
        if self._wanted == key:
            self._wanted = -1
            assert self._input is not None
            self._input.happen(produced)

    def run(self, deliver: Deliver) -> Process:
        """Work through the task list."""
        clock, ready, timings, comm = self.clock, self._ready, self.timings, self.comm
        starts, ends, closing = self.starts, self.ends, timings.closing
        count, batches, chunks = timings.chunks, timings.micro_batches, self.times.chunks
        segments = [[chunk.of(kind) for chunk in chunks] for kind in range(3)]
        reduces = [chunk.reduces for chunk in chunks]
        yield from self._begin()
        for task in self.order:
            kind, chunk, j = task
            key = (kind * count + chunk) * batches + j
            if not ready[key]:
                yield from self._wait_for(key)
            starts.append(clock.now)
            if kind == closing and reduces[chunk] and timings.closes_round(j):
                yield from self._reducing(kind, chunk, j)
            elif comm.running:
                yield from self._compute(segments[kind][chunk], 1.0)
            else:
                # Nothing runs beside: only this process could begin something.
                segment = segments[kind][chunk]
                if self._loaded or not segment.plain:
                    self._load(segment.inner, segment.outer)
                yield segment.seconds
            ends.append(clock.now)
            if self._gathered and kind == FORWARD and j == 0:
                yield from self._wait(self._gathered.pop(0), "gather")
            blocked = deliver(self, task)
            if blocked is not None:
                yield from self._wait(blocked, "send")
        yield from self._finish()

    def blocking(self, flow: Flow, share: float, kind: int, chunk: int, j: int) -> Signal:
        """Start a share of a collective that compute waits for."""
        signal, start = Signal(self.clock), self.clock.now

        def over(_: None) -> None:
            end = self.clock.now
            self.rows.append((kind, chunk, j, start, end, flow, flow.bytes * share))
            signal.happen()

        self.ports.start(ports_of(flow, self.index), flow.seconds * share, over)
        return signal

    def _begin(self) -> Process:
        host = self.timings.host_s
        if host > 0:
            yield host
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

    def _marker(self) -> Signal:
        # What happens at the point which the communication stream has been filled to.
        signal = Signal(self.clock)
        mark = Flow("", "", 0.0)

        def reached(flow: Flow, share: float, start: float, end: float) -> None:
            signal.happen()

        self.comm.put(mark, 1.0, reached)
        return signal

    def _recorder(
        self, kind: int, chunk: int, j: int
    ) -> Callable[[Flow, float, float, float], None]:
        def record(flow: Flow, share: float, start: float, end: float) -> None:
            self.rows.append((kind, chunk, j, start, end, flow, flow.bytes * share))

        return record

    def _wait(self, signal: Signal, cause: str) -> Process:
        start = self.clock.now
        self._load(0.0, 0.0)
        yield signal
        waited = self.clock.now - start
        if waited > 0:
            self.waits[cause] = self.waits.get(cause, 0.0) + waited

    def _wait_for(self, key: int) -> Process:
        start = self.clock.now
        if self._loaded:
            self._load(0.0, 0.0)
        self._wanted, self._input = key, Signal(self.clock)
        produced = yield self._input
        now = self.clock.now
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

    def _compute(self, segment: Segment, share: float) -> Process:
        self._load(segment.inner, segment.outer)
        before = self.comm.busy()
        yield segment.seconds * share
        beside = self.comm.busy() - before
        tax = self.timings.tax
        if beside > 0 and tax > 0:
            # Multiprocessors that the collective took, made up for at the end of the task.
            extra = beside * tax / (1 - tax)
            yield extra
            self._add("reduce", extra)

    def _reducing(self, kind: int, chunk: int, j: int) -> Process:
        times = self.times.chunks[chunk]
        last = j == self.timings.micro_batches - 1
        for number, part in enumerate(times.parts):
            if part.buffered and len(self._pending) >= IN_FLIGHT:
                yield from self._wait(self._pending.pop(0), "reduce")
            start = self.clock.now
            yield from self._compute(times.of(kind), part.share)
            for flow in part.reduce:
                yield from self._reduce(flow, (chunk, j, number, start), last)
            if part.buffered:
                self._pending.append(self._marker())

    def _reduce(
        self, flow: Flow, place: tuple[int, int, int, float], last: bool
    ) -> Process:
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
            self.reductions.append((*place, self.clock.now))

    def _finish(self) -> Process:
        yield from self._wait(self.comm.idle(), "reduce")
        for flow, chunk, j in self._tail:
            yield from self._wait(self.blocking(flow, 1 - flow.hidden, REDUCE, chunk, j), "reduce")
        if self.times.optimizer.seconds > 0:
            start = self.clock.now
            yield from self._compute(self.times.optimizer, 1.0)
            self.rows.append((OPTIMIZER, 0, 0, start, self.clock.now, None, 0.0))
        for flow in self.times.end:
            if flow.hidden < 1:
                yield from self._wait(
                    self.blocking(flow, 1 - flow.hidden, GATHER, 0, 0), "gather"
                )
        self._load(0.0, 0.0)
        self.end = self.clock.now
