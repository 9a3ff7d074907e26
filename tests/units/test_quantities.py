"""Units: texts to numbers in base units, and dimensions that multiply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamasim.units import DATA, NONE, TIME, TOKEN, UNITS, WORK, Dimension, Quantity, parse_quantity
from llamasim.units.quantity import QuantityError


@pytest.mark.parametrize(("text", "value", "dimension"), [
    ("80 GB", 80e9 * 8, DATA),
    ("80 GiB", 80 * 2**30 * 8, DATA),
    ("4 bit", 4, DATA),
    ("450 GB/s", 450e9 * 8, DATA / TIME),
    ("989 TFLOPS", 989e12, WORK / TIME),
    ("2 FLOP", 2, WORK),
    ("8192 tok", 8192, TOKEN),
    ("8_192 tok", 8192, TOKEN),
    ("20us", 20e-6, TIME),
    ("85 %", 0.85, NONE),
    ("1e-6", 1e-6, NONE),
    ("-3", -3, NONE),
    ("2 tok/s", 2, TOKEN / TIME),
    ("3 req/s", 3, NONE / TIME),
])
def test_a_text_is_a_number_in_base_units(text: str, value: float, dimension: Dimension) -> None:
    assert parse_quantity(text) == Quantity(pytest.approx(value), dimension)


@pytest.mark.parametrize(("text", "unit"), [
    ("80 GX", "GX"), ("80 gb", "gb"), ("GB", None), ("", None), ("4 GB GB", None), ("4 GB/", None),
    ("4 $", None), ("four", None),
])
def test_what_is_no_quantity_says_which_unit_is_unknown(text: str, unit: str | None) -> None:
    with pytest.raises(QuantityError) as error:
        parse_quantity(text)
    assert error.value.unit == unit


def test_decimal_and_binary_prefixes_differ() -> None:
    assert parse_quantity("1 GB") == Quantity(8e9, DATA)
    ratio = parse_quantity("1 GiB").value / parse_quantity("1 GB").value
    assert ratio == pytest.approx(1.073741824)
    assert parse_quantity("1 GiB").bytes == 2**30


@given(st.sampled_from(sorted(UNITS)), st.floats(0, 1e6))
def test_every_unit_scales_a_number(unit: str, number: float) -> None:
    parsed = parse_quantity(f"{number!r} {unit}")
    assert parsed.dimension == UNITS[unit].dimension
    assert parsed.value == pytest.approx(number * UNITS[unit].value)


dimensions = st.builds(Dimension, st.tuples(*[st.integers(-3, 3)] * 6))


@given(dimensions, dimensions)
def test_dimensions_form_a_group(a: Dimension, b: Dimension) -> None:
    assert a * b == b * a
    assert (a * b) / b == a
    assert a * NONE == a
    assert (a / a).is_ratio
    assert a**3 == a * a * a


@pytest.mark.parametrize(("dimension", "text"), [
    (NONE, "Ratio"), (DATA, "Data"), (DATA / TIME, "Data / Time"), (NONE / TIME, "1 / Time"),
    (DATA**2 * TOKEN, "Data^2 * Token"),
])
def test_dimensions_have_names(dimension: Dimension, text: str) -> None:
    assert str(dimension) == text
