"""A training step in simulated time: a process a stage, transfers between them over ports."""

from __future__ import annotations

import attrs

from llamasim.simulate.clock import Clock, Signal
from llamasim.simulate.orders import FORWARD, Task, orders, target
from llamasim.simulate.ports import Ports
from llamasim.simulate.stage import SEND, Stage
from llamasim.simulate.streams import ports_of
from llamasim.simulate.timings import Flow, Timings


@attrs.frozen(eq=False)
class Outcome:
    """What the stages did."""

    timings: Timings
    stages: tuple[Stage, ...]
    makespan: float

    def waits(self, stage: int) -> dict[str, float]:
        """Return the seconds a stage waited, by cause, from the step's start to its end."""
        work, m = self.stages[stage], self.timings.micro_batches
        result = dict(work.waits)
        runs = [(s, m) for c in work.times.chunks for s in (c.forward, c.backward, c.weight)]
        for segment, count in [*runs, (work.times.optimizer, 1)]:
            for cause, seconds in segment.waits.items():
                result[cause] = result.get(cause, 0.0) + seconds * count
        rest = self.makespan - work.end
        if rest > 0:
            result["bubble"] = result.get("bubble", 0.0) + rest
        return result


def step(timings: Timings) -> Outcome:
    """Simulate one training step."""
    clock = Clock()
    count, chunks = len(timings.stages), timings.chunks
    ports = Ports(clock, count)
    lists = orders(timings.pipeline, count, chunks, timings.micro_batches)
    stages = [Stage(clock, ports, i, timings, lists[i]) for i in range(count)]
    sends = None if timings.send is None else _Sends(clock, ports, timings.send, count)
    for j in range(timings.micro_batches):
        stages[0].mark(stages[0].key((FORWARD, 0, j)), 0.0)

    def deliver(stage: Stage, task: Task) -> Signal | None:
        goal = target(stage.index, task, count, chunks)
        if goal is None:
            return None
        other, key, now = stages[goal[0]], stages[goal[0]].key(goal[1]), clock.now
        if other is stage or sends is None:
            other.mark(key, now)
            return None
        return sends.begin((stage, other, key, task, now))

    for stage in stages:
        clock.start(stage.run(deliver))
    clock.run()
    return Outcome(timings, tuple(stages), max(s.end for s in stages))


#: What is sent: from where, to where, for which task there, of which task, and since when.
Sent = tuple[Stage, Stage, int, Task, float]


class _Sends:
    """Transfers of one flow between stages."""

    def __init__(self, clock: Clock, ports: Ports, flow: Flow, stages: int) -> None:
        self._clock, self._ports, self._flow = clock, ports, flow
        self._routes = [[ports_of(flow, a, b) for b in range(stages)] for a in range(stages)]

    def begin(self, sent: Sent) -> Signal | None:
        """Begin a transfer; return what its sender has to wait for."""
        flow, route = self._flow, self._routes[sent[0].index][sent[1].index]
        if flow.hidden >= 1:
            self._ports.start(route, flow.seconds, self._arrived, sent)
            return None
        signal = Signal(self._clock)

        def blocked(_: None) -> None:
            signal.happen()
            self._ports.start(route, flow.seconds * flow.hidden, self._arrived, sent)

        self._ports.start(route, flow.seconds * (1 - flow.hidden), blocked)
        return signal

    def _arrived(self, sent: Sent) -> None:
        stage, other, key, (_, chunk, j), start = sent
        flow = self._flow
        stage.rows.append((SEND, chunk, j, start, self._clock.now, flow, flow.bytes))
        other.mark(key, start)
