"""Values of expressions."""

from __future__ import annotations

import pytest
from tests.language.helpers import HEAD, Names, expr_of, module_of, value_of

from llamasim.language import EvalError, Missing, Symbol, Value, evaluate, paths_read
from llamasim.language.ast import Function
from llamasim.units import DATA, TIME, TOKEN, Quantity


def number(value: float) -> Quantity:
    return Quantity(value)


@pytest.mark.parametrize(("text", "value"), [
    ("1 + 2 * 3", number(7)),
    ("-2 ^ 2", number(-4)),
    ("2 ^ -1", number(0.5)),
    ("(16 bit + 4 bit) / 128", Quantity(0.15625, DATA)),
    ("85 %", number(0.85)),
    ("floor(3.7) + ceil(3.2)", number(7)),
    ("mod(7, 4)", number(3)),
    ("log2(1024)", number(10)),
    ("min(3, 2, 5)", number(2)),
    ("max(1 GiB, 1 GB)", Quantity(8 * 2.0**30, DATA)),
    ("if 3 > 2 then 1 else 0", number(1)),
    ("32 divides 128", True),
    ("3 divides 128", False),
    ("0 divides 4", False),
    ("2 in {1, 2}", True),
    ("0.1 + 0.2 == 0.3", True),
    ("1 GB == 1e9 B", True),
    ("not (1 > 2) and true", True),
])
def test_expressions_have_the_value_of_a_hand_calculation(text: str, value: Value) -> None:
    assert value_of(text) == value


def test_a_unit_behind_a_slash_divides() -> None:
    speed = evaluate(expr_of("450 GB/s"), Names({"s": Symbol("s")}))
    assert speed == Quantity(450e9 * 8, DATA / TIME)


def test_a_parameter_called_like_a_unit_is_the_parameter() -> None:
    assert value_of("6 / s", s=number(2)) == number(3)


@pytest.mark.parametrize("text", [
    "1 / 0", "1 / (2 - 2)", "0 ^ -1", "10 ^ 1000", "1e30 ^ 11", "(-8) ^ 0.5", "log2(0)",
    "mod(1, 0)", "1 bit + 1 s", "1 bit < 1", "2 ^ (1 bit)", "(2 bit) ^ 0.5", "not 1", "true + 1",
    "1 == true", "1 and true", "if 1 then 2 else 3", "unknown(1)", "floor(1, 2)",
    "floor(1 bit)", "4 furlong",
])
def test_expressions_without_a_value_say_where(text: str) -> None:
    with pytest.raises(EvalError) as error:
        value_of(text)
    assert error.value.span.line == 3
    assert error.value.message


def test_what_an_element_lacks_is_missing_not_wrong() -> None:
    with pytest.raises(Missing):
        value_of("layer.index == 0")


def test_conditions_stop_at_the_first_answer() -> None:
    assert value_of("a or layer.index == 0", a=True) is True
    assert value_of("a and layer.index == 0", a=False) is False


def test_symbols_are_equal_by_name() -> None:
    names = {"workload.mode": Symbol("training"), "training": Symbol("training")}
    assert evaluate(expr_of("workload.mode == training"), Names(names)) is True


def test_functions_see_their_arguments_only_inside() -> None:
    module = module_of(
        f"{HEAD}fn expected(a: Ratio, n: Int): Real = "
        "if a == 1 then n + 1 else (1 - a ^ (n + 1)) / (1 - a)\n"
        "fn twice(n: Int): Real = expected(50 %, n) * 2\n"
    )
    functions = {i.name: i for i in module.items if isinstance(i, Function)}
    env = Names({}, functions)
    # 1 + 0.5 + 0.25 = 1.75 (Leviathan et al., equation 1)
    assert evaluate(expr_of("expected(50 %, 2)"), env) == number(1.75)
    assert evaluate(expr_of("twice(2)"), env) == number(3.5)
    with pytest.raises(Missing):
        evaluate(expr_of("twice(2) + n"), env)


def test_a_function_that_calls_itself_ends() -> None:
    module = module_of(f"{HEAD}fn f(x: Real): Real = f(x)\n")
    functions = {i.name: i for i in module.items if isinstance(i, Function)}
    with pytest.raises(EvalError):
        evaluate(expr_of("f(1)"), Names({}, functions))


def test_the_engine_answers_its_own_calls() -> None:
    env = Names({}, {}, {"axis_size": number(8), "sum": Quantity(4, TOKEN)})
    assert evaluate(expr_of("axis_size(dp) * 2"), env) == number(16)
    assert evaluate(expr_of("sum(weight.bytes)"), env) == Quantity(4, TOKEN)
    with pytest.raises(Missing):
        evaluate(expr_of("count(weight.bytes)"), env)


def test_paths_read_are_all_names_of_an_expression() -> None:
    expr = expr_of("if a.b > c then f(d) else -e in {g, 1}")
    assert paths_read(expr) == {"a.b", "c", "d", "e", "g"}
