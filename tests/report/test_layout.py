"""Numbers and columns as people read them."""

from __future__ import annotations

import pytest

from llamasim.report.layout import columns, facts, gib, money, number, seconds


@pytest.mark.parametrize(("value", "text"), [
    (0.0, "0 s"), (2.5e-6, "2.5 us"), (0.0123, "12.3 ms"), (6.587, "6.59 s"), (599.0, "599 s"),
    (3600.0, "60 min"), (10000.0, "2.8 h"), (86400 * 70.9, "70.9 days"),
])
def test_durations_have_a_fitting_unit(value: float, text: str) -> None:
    """From microseconds to days."""
    assert seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [
    (0.00042, "$0.00042"), (1.5, "$1.50"), (100843.5, "$100,843.50"), (171568945.0, "$171.57 M")])
def test_money_is_readable_from_cents_to_millions(value: float, text: str) -> None:
    """A price per token is not rounded to zero."""
    assert money(value) == text


def test_sizes_and_numbers() -> None:
    """Binary units for memory; thousands separated."""
    assert gib(2**31) == "2.00 GiB"
    assert gib(2**41) == "2.00 TiB"
    assert number(1234567.0) == "1,234,567"
    assert number(0.12345) == "0.1235"


def test_columns_are_aligned() -> None:
    """Numbers to the right where asked."""
    assert columns([("a", "1"), ("long", "100")], right="1") == "  a       1\n  long  100"


def test_long_facts_go_on_below_themselves() -> None:
    """Nothing is cut at the edge of the page."""
    words = " ".join(f"word{i}" for i in range(40))
    lines = facts([("key", words), ("other", "short")])
    assert max(map(len, lines)) <= 100
    assert " ".join(" ".join(lines).split()) == f"key {words} other short"
    assert lines[1].startswith(" " * 9 + "word")
