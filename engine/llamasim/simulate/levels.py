"""Step functions of bytes over time: building, adding up, and finding the peak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import numpy as np

from llamasim.simulate.trace import CATEGORIES, Floats, Memory


@attrs.frozen(eq=False)
class Level:
    """A step function: `bytes[i]` from `time[i]` on; times increase strictly, from 0."""

    time: Floats
    bytes: Floats

    @property
    def top(self) -> float:
        """The largest value."""
        return float(self.bytes.max())


def constant(value: float) -> Level:
    """Return a level that never changes."""
    return Level(np.zeros(1), np.array([value]))


def of_changes(time: Floats, delta: Floats, base: float = 0.0) -> Level:
    """Return the level after changes; all changes at one moment count together."""
    keep = delta != 0
    time, delta = time[keep], delta[keep]
    order = np.argsort(time, kind="stable")
    level = base + np.concatenate(([0.0], np.cumsum(delta[order])))
    # Sums of many changes leave rounding errors, far below one byte of a balanced level.
    level = np.where(np.abs(level - base) < 1e-9 * (base + np.abs(delta).sum()), base, level)
    return _settle(np.concatenate(([0.0], time[order])), np.maximum(level, 0.0))


def of_spans(start: Floats, end: Floats, value: Floats, base: float = 0.0) -> Level:
    """Return a level that is raised by `value` during spans that do not overlap, in order."""
    time = np.concatenate(([0.0], np.column_stack((start, end)).ravel()))
    raised = np.column_stack((base + value, np.full(len(value), base))).ravel()
    return _settle(time, np.concatenate(([base], raised)))


def _settle(time: Floats, level: Floats) -> Level:
    last = np.append(time[1:] > time[:-1], True)
    time, level = time[last], level[last]
    changed = np.append(True, level[1:] != level[:-1])
    return Level(time[changed], level[changed])


def peak(levels: Mapping[str, Level], least: str = "") -> tuple[float, dict[str, float]]:
    """Return the largest sum over time, and each level at that moment; of several such moments
    that where the level `least` is lowest, else the first.
    """
    # Sorting brings no further part of numpy in, as `np.unique` does: 10 ms of a run's start.
    time = np.sort(np.concatenate([v.time for v in levels.values()]))
    time = time[np.append(True, time[1:] > time[:-1])]
    at = {
        name: v.bytes[np.maximum(np.searchsorted(v.time, time, side="right") - 1, 0)]
        for name, v in levels.items()
    }
    total = np.sum(list(at.values()), axis=0)
    moment = int(np.argmax(total))
    if least in at:
        # Sums of the same parts differ by rounding.
        alike = np.flatnonzero(total >= total[moment] - 1.0)
        moment = int(alike[np.argmin(at[least][alike])])
    return float(total[moment]), {name: float(v[moment]) for name, v in at.items()}


def table(ranks: Iterable[tuple[int, Mapping[str, Level]]]) -> Memory:
    """Return the memory columns of all rank classes."""
    rows: list[tuple[int, int, Level]] = [
        (rank, CATEGORIES.index(name), level)
        for rank, levels in ranks
        for name, level in levels.items()
    ]
    return Memory(
        _repeated([r for r, _, _ in rows], rows),
        _repeated([c for _, c, _ in rows], rows),
        np.concatenate([v.time for _, _, v in rows]) if rows else np.zeros(0),
        np.concatenate([v.bytes for _, _, v in rows]) if rows else np.zeros(0),
    )


def _repeated(
    values: Sequence[int], rows: Sequence[tuple[int, int, Level]]
) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    counts = [len(v.time) for _, _, v in rows]
    return np.repeat(np.asarray(values, dtype=np.int32), counts)
