"""The step's makespan as a recurrence over the stages' task lists, without simulated events.

Exact where no two flows share a port and a reduction beside compute takes nothing from it; below
the simulated time otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import step_timings
from llamasim.simulate.orders import FORWARD, Task, orders, target
from llamasim.simulate.run import run
from llamasim.simulate.timings import IN_FLIGHT, Flow, StageTimes, Timings


@attrs.define(eq=False)
class _Clock:
    """Where one stage stands."""

    now: float
    comm: float
    at: int = 0
    tail: float = 0.0
    gathered: list[float] = attrs.Factory(list)
    pending: list[float] = attrs.Factory(list)


def makespan(plan: Plan, scenario: Scenario) -> float:
    """Return a plan's makespan without events; a server's, whose events matter, is simulated."""
    if plan.mode == "training":
        return step_time(step_timings(plan, scenario))
    return run(plan, scenario).makespan


def step_time(timings: Timings) -> float:
    """Return the seconds of one training step.

    Raises:
        ValueError: the task lists wait for each other (no list of `orders` does).

    """
    count, chunks, m = len(timings.stages), timings.chunks, timings.micro_batches
    lists = orders(timings.pipeline, count, chunks, m)
    arrived: list[list[float]] = [
        [-1.0] * (2 * chunks * m) + [0.0] * (chunks * m) for _ in range(count)
    ]
    for j in range(m):
        arrived[0][j] = 0.0
    clocks = [_start(timings, s) for s in timings.stages]
    waiting = set(range(count))
    while waiting:
        moved = {s for s in waiting if _advance(timings, lists, arrived, clocks, s)}
        if not moved:
            raise ValueError("the stages wait for each other")
        waiting = {s for s in waiting if clocks[s].at < len(lists[s])}
    return max(_end(times, c) for times, c in zip(timings.stages, clocks, strict=True))


def _start(timings: Timings, times: StageTimes) -> _Clock:
    exposed = sum(f.seconds * (1 - f.hidden) for f in times.start)
    hidden = sum(f.seconds * f.hidden for f in (*times.start, *times.end))
    begin = timings.host_s + exposed
    count = len(times.chunks)
    marks = [begin + hidden * (c + 1) / count for c in range(count)] if hidden > 0 else []
    return _Clock(begin, marks[-1] if marks else begin, gathered=marks)


def _advance(
    timings: Timings,
    lists: Sequence[Sequence[Task]],
    arrived: list[list[float]],
    clocks: list[_Clock],
    stage: int,
) -> bool:
    clock, tasks, inputs = clocks[stage], lists[stage], arrived[stage]
    count, chunks, m = len(lists), timings.chunks, timings.micro_batches
    send = timings.send
    first = clock.at
    while clock.at < len(tasks):
        task = tasks[clock.at]
        kind, chunk, j = task
        ready = inputs[(kind * chunks + chunk) * m + j]
        if ready < 0:
            break
        clock.at += 1
        _run(timings, stage, clock, task, ready)
        goal = target(stage, task, count, chunks)
        if goal is None:
            continue
        other, (k, c, i) = goal
        seconds = 0.0 if send is None or other == stage else send.seconds
        arrived[other][(k * chunks + c) * m + i] = clock.now + seconds
        if seconds and send is not None and send.hidden < 1:
            clock.now += seconds * (1 - send.hidden)
    return clock.at > first


def _run(timings: Timings, stage: int, clock: _Clock, task: Task, ready: float) -> None:
    kind, chunk, j = task
    times = timings.stages[stage].chunks[chunk]
    clock.now = max(clock.now, ready)
    if kind == timings.closing and times.reduces and timings.closes_round(j):
        last = j == timings.micro_batches - 1
        for part in times.parts:
            if part.buffered and len(clock.pending) >= IN_FLIGHT:
                clock.now = max(clock.now, clock.pending.pop(0))
            clock.now += times.of(kind).seconds * part.share
            for flow in part.reduce:
                _reduce(clock, flow, last)
            if part.buffered:
                clock.pending.append(max(clock.comm, clock.now))
        return
    clock.now += times.of(kind).seconds
    if kind == FORWARD and j == 0 and clock.gathered:
        clock.now = max(clock.now, clock.gathered.pop(0))


def _reduce(clock: _Clock, flow: Flow, last: bool) -> None:
    if flow.hidden > 0:
        clock.comm = max(clock.comm, clock.now) + flow.seconds * flow.hidden
    if last:
        clock.tail += flow.seconds * (1 - flow.hidden)
    else:
        clock.now += flow.seconds * (1 - flow.hidden)


def _end(times: StageTimes, clock: _Clock) -> float:
    now = max(clock.now, clock.comm) + clock.tail + times.optimizer.seconds
    return now + sum(f.seconds * (1 - f.hidden) for f in times.end)
