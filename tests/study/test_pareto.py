"""The front against its definition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llamasim.study.pareto import Point, dominates, front, no_worse, rounded

# Few values, so that ties and domination are common.
_figure = st.one_of(st.none(), st.integers(0, 3).map(float))
_points = st.builds(
    Point, st.tuples(_figure, _figure, _figure), st.frozensets(st.sampled_from("ab"))
)


def test_a_point_that_is_worse_in_everything_is_off_the_front() -> None:
    assert front([Point((1.0, 1.0)), Point((2.0, 2.0))]) == [0]


def test_points_that_trade_one_figure_for_another_are_both_on_the_front() -> None:
    assert front([Point((1.0, 2.0)), Point((2.0, 1.0))]) == [0, 1]


def test_of_equal_points_the_first_is_on_the_front() -> None:
    assert front([Point((1.0, 1.0)), Point((1.0, 1.0))]) == [0]


def test_an_unknown_loss_is_not_comparable_with_a_known_one() -> None:
    known, unknown = Point((1.0, 0.05)), Point((1.0, 0.0), frozenset("a"))
    assert not no_worse(known, unknown)
    assert not no_worse(unknown, known)


def test_no_loss_is_no_worse_than_an_unknown_one() -> None:
    assert dominates(Point((1.0, 0.0)), Point((1.0, 0.0), frozenset("a")))


def test_a_further_technique_without_evidence_never_helps_accuracy() -> None:
    one, two = Point((1.0, 0.05), frozenset("a")), Point((1.0, 0.05), frozenset("ab"))
    assert dominates(one, two)


def test_a_figure_without_meaning_is_worse_than_any() -> None:
    assert dominates(Point((9.0,)), Point((None,)))


@given(st.lists(_points, max_size=12))
def test_the_front_is_what_nothing_dominates(points: list[Point]) -> None:
    expected = [
        i for i, p in enumerate(points)
        if not any(dominates(q, p) for q in points) and p not in points[:i]
    ]
    assert expected == sorted(front(points))


@given(_points, _points, _points)
def test_no_worse_is_transitive(a: Point, b: Point, c: Point) -> None:
    if no_worse(a, b) and no_worse(b, c):
        assert no_worse(a, c)


@given(st.floats(1e-9, 1e12), st.floats(1e-9, 1e12))
def test_rounding_keeps_order(a: float, b: float) -> None:
    x, y = rounded(min(a, b)), rounded(max(a, b))
    assert x is not None
    assert y is not None
    assert x <= y
