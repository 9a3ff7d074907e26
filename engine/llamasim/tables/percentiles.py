"""Exact percentiles of more values than one would like to have in memory at once.

Values are read twice: once to count them by their leading bits, which are in order as the values
are, and once to pick those that share their leading bits with a percentile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from llamasim.simulate.trace import Floats

#: Low bits that values of one bin differ in: with 8 bits of the fraction left, by 0.4 % at most.
LOW = 44

#: Values, none negative, and how often there is each; fewer than none take away from others alike.
Counted = Iterable[tuple[Floats, Floats]]


def spread(counted: Callable[[], Counted], shares: Sequence[float]) -> tuple[float, list[float]]:
    """Return the mean of values, and the least of them that each share of all does not exceed.

    `counted` is called twice. Shares are in percent; without any value, all results are NaN.
    """
    bins, total = np.zeros(1 << (63 - LOW)), 0.0
    for values, often in counted():
        bins += np.bincount(_leading(values), often, len(bins))
        total += float((values * often).sum())
    upto = np.cumsum(bins)
    if upto[-1] <= 0:
        return float("nan"), [float("nan")] * len(shares)
    targets = np.asarray(shares) / 100 * upto[-1]
    wanted = np.searchsorted(upto, targets)
    below = upto[wanted] - bins[wanted]
    found = {int(b): _in_bin(counted(), int(b)) for b in wanted}
    picked = []
    for number, target in zip(wanted.tolist(), (targets - below).tolist(), strict=True):
        values, sums = found[number]
        picked.append(float(values[np.searchsorted(sums, target)]))
    return total / float(upto[-1]), picked


def _leading(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.ascontiguousarray(values, dtype=np.float64).view(np.int64) >> LOW


def _in_bin(counted: Counted, number: int) -> tuple[Floats, Floats]:
    """Return the values of a bin in order, and how many there are up to each."""
    parts = [(v[m], o[m]) for v, o in counted for m in [_leading(v) == number] if m.any()]
    values = np.concatenate([v for v, _ in parts])
    often = np.concatenate([o for _, o in parts])
    unique, where = np.unique(values, return_inverse=True)
    return unique, np.cumsum(np.bincount(where.reshape(-1), often))
