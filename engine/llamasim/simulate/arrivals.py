"""Requests of a serving run, drawn from the scenario's seed: when they come, how long they are.

Gaps, prompts, outputs, beginnings and variants come from streams of their own, so that another rate
keeps the lengths.
"""

from __future__ import annotations

import math

import attrs
import numpy as np

from llamasim.scenario.spec import Arrivals, Length, Workload
from llamasim.simulate.trace import Floats, Ints


@attrs.frozen(eq=False)
class Stream:
    """Requests in order of arrival; `time` is all zero for a closed loop, which sets it itself.

    `group` says with which of the shared beginnings each prompt begins; `variant` for which variant
    of the model each request asks, -1 for none.
    """

    time: Floats
    prompt: Ints
    output: Ints
    group: Ints
    variant: Ints

    def columns(self) -> tuple[Floats | Ints, ...]:
        """Return all that is known of the requests."""
        return self.time, self.prompt, self.output, self.group, self.variant


def draw(workload: Workload, seed: int) -> Stream:
    """Return the requests of a workload with arrivals."""
    arrivals = workload.arrivals or Arrivals("batch", workload.batch)
    gaps, prompts, outputs, groups, variants = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(5)
    )
    group: Ints = groups.integers(0, workload.prefixes, arrivals.requests, dtype=np.int32)
    return Stream(
        _times(arrivals, gaps),
        _lengths(workload.prompt, arrivals.requests, prompts),
        _lengths(workload.output, arrivals.requests, outputs),
        group,
        _variants(workload, arrivals, variants),
    )


def _variants(workload: Workload, arrivals: Arrivals, rng: np.random.Generator) -> Ints:
    """Return what requests ask for: as recorded, or the n-th as often as n to the minus skew."""
    count = arrivals.requests
    if arrivals.recording is not None and arrivals.recording.variant is not None:
        recorded: Ints = arrivals.recording.variant[:count]
        return recorded
    if workload.variants == 1:
        return np.zeros(count, dtype=np.int32)
    weights = np.arange(1, workload.variants + 1, dtype=np.float64) ** -workload.variant_skew
    upto = np.cumsum(weights)
    drawn: Ints = np.searchsorted(upto, rng.random(count) * upto[-1], side="right")
    return np.minimum(drawn, workload.variants - 1).astype(np.int32)


def _times(arrivals: Arrivals, rng: np.random.Generator) -> Floats:
    """Return arrival times; the first request comes at time zero unless its rate does."""
    count = arrivals.requests
    if arrivals.recording is not None and arrivals.recording.arrived is not None:
        recorded: Floats = arrivals.recording.arrived[:count] / arrivals.speed
        return recorded
    if arrivals.process in ("closed", "batch") or not count:
        return np.zeros(count)
    # Gaps at a rate of one; they keep their proportions at any other.
    if arrivals.process == "poisson" or (arrivals.cv == 1 and arrivals.process != "gamma"):
        gaps = rng.exponential(1.0, count)
    elif arrivals.cv <= 0:
        gaps = np.ones(count)
    else:
        # A gamma distribution of shape k has a coefficient of variation of 1 / sqrt(k).
        shape = arrivals.cv**-2
        gaps = rng.gamma(shape, 1 / shape, count)
    passed: Floats = np.cumsum(gaps) - gaps[0]
    if arrivals.process == "stepped":
        return _stepped(passed, arrivals.rates)
    times: Floats = passed / arrivals.rate
    return _diurnal(times, arrivals) if arrivals.process == "diurnal" else times


def _stepped(passed: Floats, rates: tuple[tuple[float, float], ...]) -> Floats:
    """Return when a process whose rate changes in steps has had so many arrivals as expected."""
    begin = np.array([t for t, _ in rates])
    rate = np.array([r for _, r in rates])
    expected = np.concatenate(([0.0], np.cumsum(np.diff(begin) * rate[:-1])))
    # The last step with a rate that begins before.
    going = rate > 0
    place = np.searchsorted(expected[going], passed, side="right") - 1
    times: Floats = begin[going][place] + (passed - expected[going][place]) / rate[going][place]
    return times


def _diurnal(even: Floats, arrivals: Arrivals) -> Floats:
    """Return times at which as much is expected as at even ones of the mean rate.

    With a rate of `r (1 - s cos(2 pi t / p))`, `r (t - s p / (2 pi) sin(2 pi t / p))` are expected
    by t; this is inverted.
    """
    turn = 2 * math.pi / arrivals.period_s
    whole = np.floor(even / arrivals.period_s)
    part = even - whole * arrivals.period_s
    low, high = np.zeros_like(part), np.full_like(part, arrivals.period_s)
    for _ in range(60):
        middle = (low + high) / 2
        early = middle - arrivals.swing / turn * np.sin(turn * middle) < part
        low, high = np.where(early, middle, low), np.where(early, high, middle)
    times: Floats = whole * arrivals.period_s + high
    return times


def _lengths(length: Length, count: int, rng: np.random.Generator) -> Ints:
    """Return lengths of at least one token with the given mean and coefficient of variation."""
    mean, cv = length.mean, length.cv
    if length.known is not None:
        recorded = length.distribution == "recorded"
        picked: Ints = length.known[:count] if recorded else rng.choice(length.known, count)
        return picked
    if length.distribution == "fixed" or cv <= 0:
        drawn = np.full(count, mean)
    elif length.distribution == "uniform":
        spread = math.sqrt(3) * cv * mean
        drawn = rng.uniform(mean - spread, mean + spread, count)
    else:
        variance = math.log1p(cv * cv)
        drawn = rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), count)
    whole: Ints = np.maximum(1, np.rint(drawn)).astype(np.int32)
    return whole
