"""Interval arithmetic: between which values a result lies when its operands lie in ranges.

A range is (low, high), both ends included. Results are rounded as floats are; a range that cannot
be bounded is (-inf, inf).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Range: TypeAlias = tuple[float, float]

ALL: Range = (-math.inf, math.inf)


def add(a: Range, b: Range) -> Range:
    """Return the range of a sum."""
    return _ends(a[0] + b[0], a[1] + b[1])


def subtract(a: Range, b: Range) -> Range:
    """Return the range of a difference."""
    return _ends(a[0] - b[1], a[1] - b[0])


def times(a: Range, b: Range) -> Range:
    """Return the range of a product."""
    ends = [_times(x, y) for x in a for y in b]
    return min(ends), max(ends)


def over(a: Range, b: Range) -> Range:
    """Return the range of a quotient; an end of the divisor that is 0 is not reached."""
    if b[0] < 0 < b[1] or b == (0.0, 0.0):
        return ALL
    sign = -1.0 if b[0] < 0 else 1.0
    ends = [_over(x, y, sign) for x in a for y in b]
    return min(ends), max(ends)


def power(base: Range, exponent: Range, whole: bool) -> Range:
    """Return the range of a power; `whole` says that the exponent is a whole number."""
    if base[0] >= 0:
        ends = [_power(x, y) for x in base for y in exponent]
        return min(ends), max(ends)
    if not whole or exponent[0] != exponent[1] or exponent[0] < 0:
        return ALL
    low, high = _power(base[0], exponent[0]), _power(base[1], exponent[0])
    if exponent[0] % 2:
        return low, high
    return (0.0 if base[1] >= 0 else high), max(low, high)


def log2(a: Range) -> Range:
    """Return the range of a logarithm to base 2; 0 and less have none."""
    low = math.log2(a[0]) if 0 < a[0] < math.inf else (-math.inf if a[0] <= 0 else math.inf)
    high = math.log2(a[1]) if 0 < a[1] < math.inf else (-math.inf if a[1] <= 0 else math.inf)
    return low, high


def floor(a: Range) -> Range:
    """Return the range of the next whole number below."""
    return _whole(math.floor, a[0]), _whole(math.floor, a[1])


def ceil(a: Range) -> Range:
    """Return the range of the next whole number above."""
    return _whole(math.ceil, a[0]), _whole(math.ceil, a[1])


def mod(a: Range, b: Range) -> Range:
    """Return the range of a remainder; it has the sign of the divisor."""
    if a[0] >= 0 and a[1] < b[0]:
        return a
    return min(b[0], 0.0), max(b[1], 0.0)


def least(a: Range, b: Range) -> Range:
    """Return the range of the lesser of two."""
    return min(a[0], b[0]), min(a[1], b[1])


def greatest(a: Range, b: Range) -> Range:
    """Return the range of the greater of two."""
    return max(a[0], b[0]), max(a[1], b[1])


def hull(a: Range, b: Range) -> Range:
    """Return the least range that holds both."""
    return min(a[0], b[0]), max(a[1], b[1])


def both(a: Range, b: Range) -> Range:
    """Return what two ranges share; the first where they share nothing."""
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else a


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _over(x: float, y: float, sign: float) -> float:
    if x == 0 or math.isinf(y):
        return 0.0 if math.isfinite(x) else x * sign
    return x / y if y else x * sign * math.inf


def _ends(low: float, high: float) -> Range:
    return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)


def _power(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf


def _whole(to: Callable[[float], int], value: float) -> float:
    return float(to(value)) if math.isfinite(value) else value
