"""The time of one step without simulated events: `simulate.closed` for a single configuration."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.closed import Runs, StepBatch, settled, steps
from llamasim.simulate.costing import step_timings
from llamasim.simulate.run import run
from llamasim.simulate.timings import ChunkTimes, Flow, Part, Timings
from llamasim.units.many import Floats


def makespan(plan: Plan, scenario: Scenario) -> float:
    """Return a plan's makespan without events; a server's, whose events matter, is simulated."""
    if plan.mode == "training":
        return step_time(step_timings(plan, scenario))
    return run(plan, scenario).makespan


def step_time(timings: Timings, *, sharing: bool = True) -> float:
    """Return the seconds of one training step; without `sharing`, as if every flow had its links
    for itself, which is never longer than the simulation.

    Raises:
        ValueError: the task lists wait for each other (no list of `orders` does).

    """
    return float(steps(attrs.evolve(_batch(timings), sharing=sharing)).seconds[0])


def _batch(timings: Timings) -> StepBatch:
    """Return a step with each part of each chunk as a block of its own."""
    parts: list[tuple[ChunkTimes, Part]] = []
    layout: list[tuple[Runs, ...]] = []
    for stage in timings.stages:
        chunks = []
        for chunk in stage.chunks:
            own = [(len(parts) + k, 1) for k in range(len(chunk.parts))]
            parts += [(chunk, part) for part in chunk.parts]
            chunks.append(Runs(tuple(own)))
        layout.append(tuple(chunks))
    flows = [f for _, part in parts for f in part.reduce]
    outer = any(f.outer for f in flows)
    send = timings.send or Flow("", "", 0.0)
    short, more, left = settled(timings.pipeline, len(timings.stages), timings.chunks,
                                timings.micro_batches, timings.reduce_every)
    return StepBatch(
        timings.pipeline, short, more, np.array([float(left)]), timings.reduce_every,
        tuple(layout),
        np.array([[[c.of(k).seconds * p.share] for c, p in parts] for k in range(3)]),
        np.array([[[c.of(k).outer if outer else c.of(k).inner] for c, _ in parts]
                  for k in range(3)]),
        np.array([[hidden_of(p.reduce)] for _, p in parts], dtype=np.float64),
        np.array([[exposed_of(p.reduce)] for _, p in parts], dtype=np.float64),
        tuple(p.buffered for _, p in parts),
        np.array([send.seconds]), np.array([send.hidden]), np.array([float(send.outer == outer)]),
        _stages([timings.host_s + exposed_of(s.start) for s in timings.stages]),
        _stages([hidden_of((*s.start, *s.end)) for s in timings.stages]),
        _stages([s.optimizer.seconds for s in timings.stages]),
        _stages([exposed_of(s.end) for s in timings.stages]),
        timings.tax, np.zeros(1, dtype=np.int64),
    )


def _stages(values: Sequence[float]) -> Floats:
    return np.array(values, dtype=np.float64)[:, None]


def hidden_of(flows: Sequence[Flow]) -> float:
    """Return the seconds of flows that run beside compute."""
    return sum(f.seconds * f.hidden for f in flows)


def exposed_of(flows: Sequence[Flow]) -> float:
    """Return the seconds of flows that compute waits for."""
    return sum(f.seconds * (1 - f.hidden) for f in flows)
