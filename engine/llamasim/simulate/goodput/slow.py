"""Slow devices: a synchronous step waits for the slowest of all.

Each device computes in `1 + noise` of the usual time, a slow one in `1 + slowdown + noise`. The
mean of the largest of N such times follows from the product of their distributions. It is not small
where N is large: of 16,384 normal ones it lies 4.0 standard deviations above the mean.
"""

from __future__ import annotations

import math
from functools import cache

import attrs
import numpy as np

from llamasim.scenario.reliability import Stragglers
from llamasim.simulate.trace import Floats

#: Numbers of slow devices that are told apart, and points of the quadrature.
_COUNTS, _POINTS = 21, 1201
#: How many standard deviations matter.
_FAR = 8.0


@attrs.frozen
class Paces:
    """Factors by which slow devices stretch a step, ascending, and how likely each is."""

    factors: tuple[float, ...] = (1.0,)
    chances: tuple[float, ...] = (1.0,)

    @property
    def mean(self) -> float:
        """The mean factor."""
        return sum(f * c for f, c in zip(self.factors, self.chances, strict=True))

#: All devices are equally fast.
EVEN = Paces()


@cache
def paces(slow: Stragglers, devices: int, busy: float) -> Paces:
    """Return the paces of a job of many devices.

    Args:
        slow: how many devices are slow, and by how much.
        devices: that a step waits for.
        busy: share of a step in which devices compute; only that is stretched, because they wait
            for each other in the rest.

    """
    if slow.jitter == 0 and (slow.share == 0 or slow.slowdown == 0):
        return EVEN
    counts, chances = _slow_devices(devices, slow.share)
    extra = _latest(counts, devices, slow.slowdown, slow.jitter)
    return Paces(tuple((1 + busy * extra).tolist()), tuple(chances.tolist()))


def _slow_devices(devices: int, share: float) -> tuple[Floats, Floats]:
    """Return numbers of slow devices and their probabilities (binomial), the unlikely left out."""
    mean, deviation = devices * share, math.sqrt(devices * share * (1 - share))
    low = max(0, math.floor(mean - _FAR * deviation))
    high = min(devices, math.ceil(mean + _FAR * deviation + (_FAR if share > 0 else 0)))
    every = max(1, -(-(high - low + 1) // _COUNTS))
    counts = np.arange(low, high + 1)
    chances = np.exp([_log_binomial(devices, int(k), share) for k in counts])
    bins = (counts - low) // every
    sums = np.bincount(bins, weights=chances)
    means = np.bincount(bins, weights=chances * counts) / np.maximum(sums, 1e-300)
    return np.asarray(means), np.asarray(sums / sums.sum())


def _log_binomial(n: int, k: int, p: float) -> float:
    if p in (0.0, 1.0):
        return 0.0 if k == n * p else -math.inf
    chosen = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return chosen + k * math.log(p) + (n - k) * math.log1p(-p)


def _latest(counts: Floats, devices: int, slowdown: float, jitter: float) -> Floats:
    """Return the mean of the largest delay, for each number of slow devices."""
    if jitter == 0:
        return np.where(counts > 0, slowdown, 0.0)
    grid = np.linspace(-_FAR * jitter, slowdown + _FAR * jitter, _POINTS)
    usual, slow = _log_normal(grid / jitter), _log_normal((grid - slowdown) / jitter)
    below = np.exp(np.outer(devices - counts, usual) + np.outer(counts, slow))
    missing = (below[:, 1:] + below[:, :-1]).sum(axis=1) / 2 * (grid[1] - grid[0])
    result: Floats = np.maximum(grid[-1] - missing, 0.0)
    return result


def _log_normal(z: Floats) -> Floats:
    """Return the logarithm of the normal distribution function."""
    return np.array([math.log(max(0.5 * math.erfc(-x / math.sqrt(2)), 1e-300)) for x in z.tolist()])
