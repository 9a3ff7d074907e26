"""Seeded draws of whole training runs, all runs side by side.

A run is a sequence of stretches. Each begins with a restart (the first one does not) and ends at
a failure, at a planned interruption, or with the last step.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from llamasim.simulate.goodput.expect import expected_failures, planned_stop_s
from llamasim.simulate.goodput.job import Job
from llamasim.simulate.trace import CAUSES, Floats

#: Failures of a run that are drawn one by one; a longer run is drawn in part, of at least so many
#: intervals.
MOST, FEWEST = 3000.0, 20
#: Below it a failure comes before the next checkpoint nearly always.
HOPELESS = 0.01


@attrs.frozen(eq=False)
class Draws:
    """One entry a run.

    Attributes:
        seconds: by cause; they add up to the run's time.
        failures, planned: interruptions.

    """

    seconds: Mapping[str, Floats]
    failures: Floats
    planned: Floats

    @property
    def total(self) -> Floats:
        """The time of each run."""
        result: Floats = sum(self.seconds.values(), np.zeros(len(self.failures)))
        return result

    @property
    def goodput(self) -> Floats:
        """The useful share of each run's time."""
        result: Floats = self.seconds["useful"] / self.total
        return result


def draw(job: Job, interval_s: float, trials: int, seed: int) -> Draws:
    """Draw whole runs.

    A run of more than `MOST` failures is drawn for the share of its work in which that many are
    expected; its means are scaled up by the work, its deviations by the root of it, as sums of
    independent parts are.
    """
    scale = min(expected_failures(job, interval_s) / MOST, job.work_s / (FEWEST * interval_s))
    scale = max(1.0, scale)
    part = attrs.evolve(job, work_s=job.work_s / scale)
    drawn = _Runs(part, interval_s, trials, np.random.default_rng([seed, 1])).finish()
    if scale == 1.0:
        return drawn
    return Draws(
        {k: _longer(v, scale) for k, v in drawn.seconds.items()},
        _longer(drawn.failures, scale), _longer(drawn.planned, scale),
    )


def _longer(values: Floats, scale: float) -> Floats:
    mean = values.mean()
    result: Floats = mean * scale + (values - mean) * np.sqrt(scale)
    return result


@attrs.define(eq=False, repr=False)
class _Runs:
    """All runs of one job, each where it stands after the same number of stretches.

    Attributes:
        done: work that a failure no longer takes away.
        clock: time since the beginning.
        restart: what the next stretch begins with; `after_plan` whether it was planned.
        due: when the next planned interruption is.
        free: when each spare node can be used.

    """

    job: Job
    interval: float
    trials: int
    rng: np.random.Generator
    seconds: dict[str, Floats] = attrs.Factory(dict)
    done: Floats = attrs.field(init=False)
    clock: Floats = attrs.field(init=False)
    restart: Floats = attrs.field(init=False)
    after_plan: Floats = attrs.field(init=False)
    due: Floats = attrs.field(init=False)
    free: Floats | None = None
    failures: Floats = attrs.field(init=False)
    planned: Floats = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin at zero."""
        for name in ("done", "clock", "restart", "after_plan", "failures", "planned"):
            setattr(self, name, np.zeros(self.trials))
        self.seconds = {cause: np.zeros(self.trials) for cause in CAUSES}
        planned = self.job.planned_s
        self.due = np.full(self.trials, np.inf if planned is None else planned)
        if self.job.spares is not None:
            self.free = np.zeros((self.trials, self.job.spares + 1))
            # The last place is the node at work, which is there once it is repaired.
            self.free[:, -1] = np.inf

    def finish(self) -> Draws:
        """Run all to their end."""
        live = np.ones(self.trials, dtype=bool)
        while live.any():
            live = self._stretch(live)
        self.seconds["useful"] = np.full(self.trials, self.job.work_s)
        return Draws(self.seconds, self.failures, self.planned)

    def _add(self, cause: str, seconds: Floats) -> None:
        self.seconds[cause] += seconds
        self.clock += seconds

    def _stretch(self, live: np.ndarray) -> np.ndarray:
        """Let all live runs go on to their next interruption; return those that still live."""
        job, rng, pause = self.job, self.rng, self.job.saving.pause_s
        until = job.scale_s * rng.weibull(job.shape, self.trials)
        pace = self._paces()
        left = job.work_s - self.done
        pauses = np.maximum(np.ceil(left / self.interval - 1e-9) - 1, 0)
        needed = self.restart + left * pace + pauses * pause
        due = np.maximum(self.due - self.clock, self.restart)
        finished = live & (needed <= until) & (needed <= due)
        failed = live & ~finished & (until <= due)
        halted = live & ~finished & ~failed
        time = np.minimum(np.minimum(until, needed), due)
        trained = np.maximum(time - self.restart, 0.0)
        period = self.interval * pace + pause
        whole = np.floor(trained / period)
        paused = whole * pause + np.maximum(
            trained - whole * period - self.interval * pace, 0.0)
        paused = np.where(finished, pauses * pause, paused)
        work = np.where(finished, left, (trained - paused) / pace)
        usable = np.maximum(np.floor((trained - job.saving.write_s) / period), 0.0)
        kept = np.where(failed, np.minimum(usable * self.interval, work), work)
        begin = np.where(live, np.minimum(time, self.restart), 0.0)
        self._add("planned", begin * self.after_plan)
        self._add("restart", begin * (1 - self.after_plan))
        self._add("checkpoints", np.where(live, paused, 0.0))
        self._add("stragglers", np.where(live, work * (pace - 1), 0.0))
        self._add("lost_work", np.where(failed, work - kept, 0.0))
        self.clock += np.where(live, kept, 0.0)
        self.done += np.where(live, kept, 0.0)
        self._interrupt(failed, halted)
        result: np.ndarray = live & ~finished
        return result

    def _paces(self) -> Floats:
        paces = self.job.paces
        if len(paces.factors) == 1:
            return np.full(self.trials, paces.factors[0])
        edges = np.cumsum(paces.chances)
        edges[-1] = 1.0
        return np.asarray(paces.factors)[np.searchsorted(edges, self.rng.random(self.trials))]

    def _interrupt(self, failed: np.ndarray, halted: np.ndarray) -> None:
        job = self.job
        self.failures += failed
        self.planned += halted
        stop = planned_stop_s(job) - job.restart_s
        self._add("planned", np.where(halted, stop, 0.0))
        self._add("detection", np.where(failed, job.detection_s, 0.0))
        if self.free is not None:
            self._add("waiting", self._wait(failed))
        self.restart = np.full(self.trials, job.restart_s)
        self.after_plan = halted.astype(np.float64)
        if job.planned_s is not None:
            # Whatever was due while the job stood still was done meanwhile.
            late = np.floor((self.clock + job.restart_s - self.due) / job.planned_s) + 1
            self.due += np.maximum(late, 0.0) * job.planned_s

    def _wait(self, failed: np.ndarray) -> Floats:
        """Return how long each failed run waits for a node."""
        job, free = self.job, self.free
        assert free is not None
        broken = failed & (self.rng.random(self.trials) < job.repair_share)
        back = self.clock + self.rng.exponential(job.repair_s, self.trials)
        rows = np.flatnonzero(broken)
        # The failed node joins those that stand by, as of when it is repaired; the first that
        # can be used takes its place.
        free[rows, -1] = back[rows]
        first = free[rows].argmin(axis=1)
        wait = np.zeros(self.trials)
        wait[rows] = np.maximum(free[rows, first] - self.clock[rows], 0.0)
        free[rows, first] = free[rows, -1]
        free[rows, -1] = np.inf
        return wait
