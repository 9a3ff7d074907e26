"""A training step in simulated time: a process a stage, transfers between them over ports."""

from __future__ import annotations

import attrs

from llamasim.simulate.clock import Clock, Signal
from llamasim.simulate.orders import FORWARD, Task, orders, target
from llamasim.simulate.ports import Ports
from llamasim.simulate.stage import SEND, Stage
from llamasim.simulate.streams import ports_of
from llamasim.simulate.timings import Timings


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
    for j in range(timings.micro_batches):
        stages[0].mark(stages[0].key((FORWARD, 0, j)), 0.0)

    def deliver(stage: Stage, task: Task) -> Signal | None:
        goal = target(stage.index, task, count, chunks)
        if goal is None:
            return None
        other, key, now = stages[goal[0]], stages[goal[0]].key(goal[1]), clock.now
        if other is stage or timings.send is None:
            other.mark(key, now)
            return None
        return _send(clock, ports, timings, stage, other, task, key)

    for stage in stages:
        clock.start(stage.run(deliver))
    clock.run()
    return Outcome(timings, tuple(stages), max(s.end for s in stages))


def _send(
    clock: Clock, ports: Ports, timings: Timings, stage: Stage, other: Stage, task: Task,
    key: int,
) -> Signal | None:
    flow = timings.send
    assert flow is not None
    _, chunk, j = task
    start = clock.now

    def arrived() -> None:
        stage.rows.append((SEND, chunk, j, start, clock.now, flow, flow.bytes))
        other.mark(key, start)

    route = ports_of(flow, stage.index, other.index)
    if flow.hidden >= 1:
        ports.start(route, flow.seconds, arrived)
        return None
    sent = Signal(clock)

    def blocked() -> None:
        sent.happen()
        ports.start(route, flow.seconds * flow.hidden, arrived)

    ports.start(route, flow.seconds * (1 - flow.hidden), blocked)
    return sent
