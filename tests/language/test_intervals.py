"""What the checker knows of values before there are any: ranges, guards, and what has no value."""

from __future__ import annotations

import pytest
from tests.language.helpers import HEAD, codes, found_in

from llamasim.language.values import show_amount
from llamasim.units import DATA, NONE, TIME, TOKEN, WORK, Dimension

N = "param n: Int in 0..8 = 1\n"
PAIR = "param n: Int in 1..8 = 2\nparam k: Int in 1..8 = 1\n"


def scaled(value: str, params: str = N) -> list[str]:
    """Codes of what is wrong with a rule that scales by a value."""
    return codes(f"{params}on op {{ scale cost.flops by {value} }}")


@pytest.mark.parametrize("value", [
    "if n > 0 then 1 / n else 1",
    "if n == 0 then 1 else 1 / n",
    "if n >= 1 then 1 / n else 1",
    "if 0 < n then 1 / n else 1",
    "if not (n == 0) then 1 / n else 1",
    "if n != 0 and 1 / n < 0.5 then 1 / n else 1",
    "if n == 0 or 1 / n > 0.5 then 1 else 1 / n",
    "if n in {1, 2, 4} then 1 / n else 1",
    "if n in {0, 9} then 1 else 1 / n",
    "if n divides 64 then 1 / n else 1",
    "if n > 3 then 1 / (n - 2) else 1",

    "1 / max(n, 1)",
    "1 / (n + 1)",
    "1 / (n * n + 0.5)",
    "if n > 0 then log2(n) else 1",
    "log2(n + 1)",
    "if n > 0 then n ^ -1 else 1",
    "n ^ 0.5",
    "(n - 9) ^ 2",
    "mod(7, n + 1)",
    "1 / ceil(n + 0.5)",
    "n / model.experts",
])
def test_guarded_values_pass(value: str) -> None:
    """A condition narrows what it speaks of, on both of its branches."""
    assert scaled(value) == []


@pytest.mark.parametrize("value", [
    "1 / n",
    "if n < 3 then 1 / n else 1",
    "if n >= 0 then 1 / n else 1",
    "if n > 0 then 1 else 1 / n",
    "if n != 1 then 1 / n else 1",
    "if n in {0, 1} then 1 / n else 1",
    "if n == 0 and model.tied then 1 else 1 / n",
    "1 / (n * model.layers)",
    "1 / min(n, 4)",
    "1 / floor(n / 8)",
    "1 / (n - 4)",
    "log2(n)",
    "log2(n + 1 - 3)",
    "n ^ -1",
    "n ^ (2 - n)",
    "(n - 4) ^ 0.5",
    "mod(7, n)",
])
def test_values_that_are_not_always_there_are_refused(value: str) -> None:
    """Each has no value for some value that the parameter's domain allows."""
    assert scaled(value) == ["E0210"]


@pytest.mark.parametrize(("value", "expected"), [
    ("if n > k then 1 / (n - k) else 1", []),
    ("if k < n then 1 / (n - k) else 1", []),
    ("if n > k then 1 / (k - n) else 1", []),
    ("if n >= k then 1 / (n - k) else 1", ["E0210"]),
    ("if n == k then 1 else (n / (n - k)) ^ 2", []),
])
def test_comparisons_guard_differences(value: str, expected: list[str]) -> None:
    """`n > k` says that `n - k` is above 0."""
    assert scaled(value, PAIR) == expected


def test_where_guards_its_effects() -> None:
    assert codes(N + "on op where n > 0 { scale cost.flops by 1 / n }") == []
    assert codes(N + "on op where n < 8 { scale cost.flops by 1 / n }") == ["E0210"]


def test_lets_and_conditions_with_a_name_guard() -> None:
    """A named condition says what its expression says, and a named number what it stands for."""
    some = N + "let some = n > 0\nlet less = n - 1\n"
    assert codes(some + "on op where some { scale cost.flops by 1 / n + less * 0 + 1 }") == []
    rule = "on op { scale cost.flops by if less > 0 then 1 / (n - 1) + (if some then 0 else 1) "
    assert codes(some + rule + "else 1 }") == []


def test_requirements_guard_rules() -> None:
    """Rules run only where every `requires` holds, wherever it stands."""
    rule = "on op { scale cost.flops by 1 / n }\n"
    assert codes(N + rule + "requires n > 0") == []
    assert codes(N + "requires n >= 0\n" + rule) == ["E0210"]


def test_a_function_is_checked_with_what_it_is_given() -> None:
    """`f(n)` divides by 0 where n can be 0, and is told at the call."""
    function = "fn f(x: Real): Real = 1 / x\nfn g(x: Real): Real = f(x + 1) * 2\n"

    def with_value(value: str) -> list[str]:
        return codes(f"{N}on op {{ scale cost.flops by {value} }}", function)

    assert with_value("f(n)") == ["E0210"]
    assert with_value("f(n + 1)") == []
    assert with_value("g(n)") == []
    assert with_value("g(n - 1)") == ["E0210"]
    assert with_value("if n > 0 then f(n) else 1") == []
    assert with_value("1 / (f(n + 1) + 1)") == []


def test_faults_of_a_function_are_told_once() -> None:
    found = found_in(f"{HEAD}fn f(x: Real): Real = x / 0\n"
                     "technique t { on op { scale cost.flops by f(2) + f(3) } }\n")
    assert [d.code for d in found] == ["E0210"]


def test_constants_have_a_value_of_their_type() -> None:
    """Their value is worked out at once."""
    assert codes("", "const x: Int = 2.5") == ["E0214"]
    assert codes("", "const x: Real = 1e20 ^ 20") == ["E0214"]
    assert codes("", "const x: Real = 1 / (2 - 2)") == ["E0210"]
    assert codes("on op { scale cost.flops by 1 / x }", "const x: Int = 2 * 3") == []
    assert codes("on op { scale cost.flops by 1 / x }", "const x: Int = 3 - 3") == ["E0210"]


@pytest.mark.parametrize(("value", "dimension", "shown"), [
    (-8e11, DATA, "-100 GB"), (4.0, DATA, "4 bit"), (16.0, DATA, "16 bit"), (8192.0, DATA, "1 KiB"),
    (80 * 2.0**33, DATA, "80 GiB"), (2.5e-5, TIME, "25 us"), (0.0, TIME, "0 s"),
    (12345.0, TOKEN, "12345 tok"), (2e12, WORK, "2 TFLOP"), (0.85, NONE, "0.85"),
    (3.6e12, DATA / TIME, "450 GB/s"), (3.0, DATA * WORK, "3 Data * Work"),
])
def test_amounts_are_shown_in_readable_units(
    value: float, dimension: Dimension, shown: str
) -> None:
    assert show_amount(value, dimension) == shown


def test_ranges_are_shown_in_readable_units() -> None:
    """The label says between which amounts the value lies."""
    (found,) = found_in(f"{HEAD}technique t {{\n  param room: Data in 0 B..100 GB = 1 GB\n"
                        "  on step { add 1 us * (room / (room - 100 GB)) to cost.host }\n}\n")
    assert found.labels[0].text == "lies in -100 GB..0 bit"
    assert found.labels[1].text == "room in 0 bit..100 GB"


@pytest.mark.parametrize(("params", "rule", "expected"), [
    ("param b: Data in 1 bit..16 bit = 4 bit", "on weight { set numerics.bits = b }", []),
    ("param b: Data = 4 bit", "on weight { set numerics.bits = b }", []),  # told when it runs
    ("param b: Data in 0 bit..16 bit = 4 bit", "on weight { set numerics.bits = b }", ["E0210"]),
    ("param b: Data in 0 bit..16 bit = 4 bit",
     "on weight where b > 0 bit { set numerics.bits = b }", []),
    ("param b: Data in 0 bit..16 bit = 4 bit", "on optimizer { set numerics.master_bits = b }", []),
    ("param e: Ratio in 0 %..100 % = 90 %", "on op { cap cost.efficiency at e }", ["E0210"]),
    ("param e: Ratio in 1 %..100 % = 90 %", "on op { cap cost.efficiency at e }", []),
    ("param e: Ratio in 0 %..100 % = 90 %", "on weight { gather over dp  overlap gather with "
     "compute up to e }", []),
    ("param e: Ratio in -1..1 = 1", "on weight { overlap gather with compute up to e }", ["E0210"]),
    ("param n: Int in 1..8 = 1", "axis ep size n", []),
    ("param n: Int in 1..8 = 1", "axis ep size n / 2", ["E0210"]),
    ("param n: Int in 0..8 = 1", "on op { scale cost.flops by n }", []),
    ("param n: Int in 0..8 = 1", "on op { scale op.rows by -n - 1 }", ["E0210"]),
    ("param n: Int in 0..8 = 1", "on step { set schedule.prefetch = n }", []),
    ("param n: Int in 0..8 = 1", "on step { set layout.chunks = n }", ["E0210"]),
    ("param n: Int in 0..8 = 1", "on step { set layout.chunks = max(n, 1) }", []),
    ("param n: Int in 0..8 = 1", "on kv_cache { cap kv.tokens at n * 1 tok }", ["E0210"]),
])
def test_cells_take_what_they_can_hold(params: str, rule: str, expected: list[str]) -> None:
    """What the parameters alone can put outside is refused; the rest is looked at when it runs."""
    assert codes(f"{params}\n{rule}") == expected
