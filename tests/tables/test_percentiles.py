"""Percentiles of what is read in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamasim.simulate.trace import Floats
from llamasim.tables.percentiles import spread

VALUES = st.lists(
    st.tuples(st.floats(0, 1e6) | st.sampled_from((1.0, 1.0001, 1.001, 2.0)), st.integers(1, 9)),
    min_size=1, max_size=60)


def pieces(rows: list[tuple[float, int]], cut: int) -> Iterator[tuple[Floats, Floats]]:
    for part in (rows[:cut], rows[cut:]):
        yield np.array([v for v, _ in part]), np.array([float(n) for _, n in part])


@given(VALUES, st.integers(0, 60))
def test_they_are_those_of_all_values_written_out(rows: list[tuple[float, int]], cut: int) -> None:
    every = np.repeat([v for v, _ in rows], [n for _, n in rows])
    mean, found = spread(lambda: pieces(rows, cut), (50, 90, 99))
    assert mean == pytest.approx(every.mean())
    assert found == np.percentile(every, (50, 90, 99), method="inverted_cdf").tolist()


def test_what_is_taken_away_does_not_count() -> None:
    rows = [(1.0, 3), (5.0, 2), (5.0, -1), (9.0, 1)]
    mean, found = spread(lambda: pieces(rows, 2), (50, 80, 100))
    assert mean == pytest.approx((3 * 1 + 5 + 9) / 5)
    assert found == [1.0, 5.0, 9.0]


def test_of_nothing_there_are_none() -> None:
    mean, found = spread(lambda: iter(()), (50,))
    assert math.isnan(mean) and math.isnan(found[0])
