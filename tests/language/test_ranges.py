"""Interval arithmetic: what it says holds for every value within."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llamasim.language import ranges
from llamasim.language.ranges import Range

ENDS = st.integers(-6, 6).map(float) | st.floats(-1e3, 1e3)
INTERVALS = st.tuples(ENDS, ENDS).map(lambda e: (min(e), max(e)))


def inside(draw: st.DataObject, within: Range) -> float:
    return draw.draw(st.sampled_from(within) | st.floats(*within))


def held(value: float, within: Range) -> bool:
    slack = 1e-9 * max(1.0, abs(value))
    return within[0] - slack <= value <= within[1] + slack


@pytest.mark.parametrize(("over_ranges", "of_values"), [
    (ranges.add, lambda x, y: x + y),
    (ranges.subtract, lambda x, y: x - y),
    (ranges.times, lambda x, y: x * y),
    (ranges.over, lambda x, y: x / y),
    (ranges.mod, lambda x, y: x % y),
    (ranges.least, min),
    (ranges.greatest, max),
])
@given(a=INTERVALS, b=INTERVALS, data=st.data())
def test_results_lie_in_the_range(
    over_ranges: Callable[[Range, Range], Range], of_values: Callable[[float, float], float],
    a: Range, b: Range, data: st.DataObject,
) -> None:
    x, y = inside(data, a), inside(data, b)
    try:
        value = of_values(x, y)
    except ZeroDivisionError:
        return
    assume(math.isfinite(value))
    assert held(value, over_ranges(a, b))


@given(a=INTERVALS, exponent=st.integers(-3, 5).map(float), data=st.data())
def test_whole_powers_lie_in_the_range(a: Range, exponent: float, data: st.DataObject) -> None:
    x = inside(data, a)
    assume(x != 0 or exponent >= 0)
    try:
        value = x**exponent
    except OverflowError:
        return
    assert held(value, ranges.power(a, (exponent, exponent), whole=True))


@given(a=st.tuples(st.floats(0, 50), st.floats(0, 50)).map(lambda e: (min(e), max(e))),
       b=INTERVALS, data=st.data())
def test_powers_of_what_is_not_negative_lie_in_the_range(
    a: Range, b: Range, data: st.DataObject
) -> None:
    x, y = inside(data, a), inside(data, b)
    assume(x != 0 or y >= 0)
    try:
        value = x**y
    except OverflowError:
        return
    assert held(value, ranges.power(a, b, whole=False))


@pytest.mark.parametrize(("over_ranges", "of_value"), [
    (ranges.floor, math.floor), (ranges.ceil, math.ceil), (ranges.log2, math.log2),
])
@given(a=INTERVALS, data=st.data())
def test_functions_of_one_number_lie_in_the_range(
    over_ranges: Callable[[Range], Range], of_value: Callable[[float], float], a: Range,
    data: st.DataObject,
) -> None:
    x = inside(data, a)
    assume(x > 0 or of_value is not math.log2)
    assert held(of_value(x), over_ranges(a))


@pytest.mark.parametrize(("found", "expected"), [
    (ranges.over((1, 1), (2, 4)), (0.25, 0.5)),
    (ranges.over((1, 1), (0, 4)), (0.25, math.inf)),
    (ranges.over((1, 1), (-1, 4)), ranges.ALL),
    (ranges.times((0, math.inf), (0, 5)), (0, math.inf)),
    (ranges.power((-3, 2), (2, 2), whole=True), (0, 9)),
    (ranges.power((-3, 2), (3, 3), whole=True), (-27, 8)),
    (ranges.power((2, 3), (-1, 2), whole=False), (1 / 3, 9)),
    (ranges.mod((0, 3), (8, 8)), (0, 3)),
    (ranges.both((0, 8), (1, math.inf)), (1, 8)),
    (ranges.log2((0, 8)), (-math.inf, 3)),
])
def test_ranges_are_tight(found: Range, expected: Range) -> None:
    assert found == pytest.approx(expected)
