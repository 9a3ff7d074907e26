"""From a simulated step to the run that repeats it."""

from __future__ import annotations

import attrs

from llamasim.simulate.goodput.draw import HOPELESS, Draws, draw
from llamasim.simulate.goodput.expect import (
    best_interval,
    daly,
    expected_failures,
    expected_goodput,
    in_steps,
    shortest_interval,
    young,
)
from llamasim.simulate.goodput.job import Job, job_of
from llamasim.simulate.trace import Trace


@attrs.frozen(eq=False)
class Goodput:
    """What becomes of a training run that fails now and then.

    Attributes:
        interval_s: training time between checkpoints: as asked for, or the best.
        best_s, young_s, daly_s: the best by `expected_goodput`, and by two formulas.
        expected: useful share of the time in closed form; `failures` expected, infinite where the
            run never ends.
        draws: None where hardly a checkpoint is ever reached.

    """

    job: Job
    interval_s: float
    best_s: float
    young_s: float
    daly_s: float
    expected: float
    failures: float
    draws: Draws | None


def endure(trace: Trace) -> Goodput | None:
    """Return what failures make of a training run; None where the scenario names none.

    The same trace gives the same draws, by the scenario's seed.
    """
    reliability = trace.scenario.reliability
    if reliability is None or trace.makespan <= 0:
        return None
    job = job_of(trace, reliability)
    best = best_interval(job)
    asked = reliability.checkpoint.interval_s
    interval = best if asked is None else max(in_steps(job, asked), shortest_interval(job))
    expected = expected_goodput(job, interval)
    draws = None
    if expected >= HOPELESS:
        draws = draw(job, interval, reliability.trials, trace.scenario.seed)
    return Goodput(job, interval, best, young(job), daly(job), expected,
                   expected_failures(job, interval), draws)
