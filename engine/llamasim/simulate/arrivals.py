"""Requests of a serving run, drawn from the scenario's seed: when they come, how long they are.

Gaps, prompts, outputs and beginnings come from streams of their own, so that another rate keeps the
lengths.
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

    `group` says with which of the shared beginnings each prompt begins.
    """

    time: Floats
    prompt: Ints
    output: Ints
    group: Ints


def draw(workload: Workload, seed: int) -> Stream:
    """Return the requests of a workload with arrivals."""
    arrivals = workload.arrivals or Arrivals("batch", workload.batch)
    gaps, prompts, outputs, groups = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)
    )
    group: Ints = groups.integers(0, workload.prefixes, arrivals.requests, dtype=np.int32)
    return Stream(
        _times(arrivals, gaps),
        _lengths(workload.prompt, arrivals.requests, prompts),
        _lengths(workload.output, arrivals.requests, outputs),
        group,
    )


def _times(arrivals: Arrivals, rng: np.random.Generator) -> Floats:
    """Return arrival times; the first request comes at time zero."""
    count = arrivals.requests
    if arrivals.process in ("closed", "batch") or arrivals.rate <= 0:
        return np.zeros(count)
    if arrivals.process == "poisson":
        gaps = rng.exponential(1 / arrivals.rate, count)
    elif arrivals.cv <= 0:
        gaps = np.full(count, 1 / arrivals.rate)
    else:
        # A gamma distribution of shape k has a coefficient of variation of 1 / sqrt(k).
        shape = arrivals.cv**-2
        gaps = rng.gamma(shape, 1 / (arrivals.rate * shape), count)
    times: Floats = np.cumsum(gaps) - gaps[0] if count else gaps
    return times


def _lengths(length: Length, count: int, rng: np.random.Generator) -> Ints:
    """Return lengths of at least one token with the given mean and coefficient of variation."""
    mean, cv = length.mean, length.cv
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
