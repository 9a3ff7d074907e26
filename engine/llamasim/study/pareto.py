"""The Pareto front: candidates that no other one beats in something without losing elsewhere.

Accuracy is known in part only. A candidate loses at most the sum of what its techniques claim, and
something unknown through those that claim nothing. It is no worse than another where neither is
more: its sum is not larger, and its unknown techniques are among the other's. A candidate with an
unknown loss is therefore never better in accuracy than one without.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

#: Digits that count; figures that agree in them are equal. The model of the machine is not more
#: exact than that, and a front of near-equals helps nobody.
DIGITS = 3


@attrs.frozen
class Point:
    """A candidate as the front sees it: the less the better, throughout.

    Attributes:
        figures: comparable figures; None where a figure has no meaning, which is worse than any.
        unknown: techniques of unknown loss.

    """

    figures: tuple[float | None, ...]
    unknown: frozenset[str] = frozenset()


def rounded(value: float | None) -> float | None:
    """Return a figure with the digits that count."""
    return None if value is None else float(f"{value:.{DIGITS - 1}e}")


def no_worse(a: Point, b: Point) -> bool:
    """Whether `a` is at least as good as `b` in everything."""
    return a.unknown <= b.unknown and all(
        y is None or (x is not None and x <= y)
        for x, y in zip(a.figures, b.figures, strict=True)
    )


def dominates(a: Point, b: Point) -> bool:
    """Whether `a` is at least as good as `b` in everything and better in something."""
    return a != b and no_worse(a, b)


def front(points: Sequence[Point]) -> list[int]:
    """Return the indices of the points on the front; of equal points, the first."""
    best: list[int] = []
    for index, point in enumerate(points):
        if any(no_worse(points[i], point) for i in best):
            continue
        best = [i for i in best if not no_worse(point, points[i])] + [index]
    return best
