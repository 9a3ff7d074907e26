"""The value of an expression. Total: it ends, and every failure is an `EvalError` or `Missing`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from llamasim.diagnostics import Span
from llamasim.language.ast import (
    Among,
    Binary,
    Bool,
    Call,
    Cond,
    Expr,
    Function,
    Number,
    Path,
    Unary,
)
from llamasim.language.caps import MOST_POWER
from llamasim.language.values import Symbol, Value, show_value
from llamasim.units import NONE, UNITS, Quantity
from llamasim.units.many import close


class Env(Protocol):
    """What names and calls stand for."""

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        """Return the value of a dotted name; None where this element lacks the attribute."""

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        """Return the result of a function of the engine; None where it is not provided."""

    def function(self, name: str) -> Function | None:
        """Return a user's function, or None."""


class EvalError(Exception):
    """An expression without a value: division by zero, overflow, unequal dimensions."""

    def __init__(self, span: Span, message: str) -> None:
        super().__init__(message)
        self.span = span
        self.message = message


class Missing(Exception):  # noqa: N818 - not an error: a `where` that meets it does not match
    """An attribute that the element at hand lacks."""

    def __init__(self, span: Span, name: str) -> None:
        super().__init__(name)
        self.span = span
        self.name = name


def evaluate(expr: Expr, env: Env) -> Value:
    """Return the value of an expression.

    Raises:
        EvalError: it has no value, with the place and a sentence why.
        Missing: it reads an attribute that the element at hand lacks.

    """
    return _RULES[type(expr)](expr, env)


def _number(expr: Number, env: Env) -> Value:
    if expr.unit is None:
        return Quantity(expr.value)
    unit = UNITS.get(expr.unit)
    if unit is None:
        raise EvalError(expr.span, f"`{expr.unit}` is not a known unit")
    return Quantity(expr.value * unit.value, unit.dimension)


def _bool(expr: Bool, env: Env) -> Value:
    return expr.value


def _path(expr: Path, env: Env) -> Value:
    value = env.lookup(expr.parts)
    if value is None:
        raise Missing(expr.span, expr.text)
    return value


def _unary(expr: Unary, env: Env) -> Value:
    if expr.op == "not":
        return not _truth(expr.operand, env)
    value = _quantity(expr.operand, env)
    return Quantity(-value.value, value.dimension)


def _truth(expr: Expr, env: Env) -> bool:
    value = evaluate(expr, env)
    if not isinstance(value, bool):
        raise EvalError(expr.span, f"this is {show_value(value)}, and true or false is needed")
    return value


def _quantity(expr: Expr, env: Env) -> Quantity:
    value = evaluate(expr, env)
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Symbol) and value.name in UNITS:
        return UNITS[value.name]  # `450 GB/s` reads as `(450 GB)/s`
    raise EvalError(expr.span, f"this is {show_value(value)}, and a number is needed")


def ratio(expr: Expr, env: Env) -> float:
    """Return the value of an expression that must be a plain number.

    Raises:
        EvalError, Missing: as `evaluate`.

    """
    value = _quantity(expr, env)
    if value.dimension is not NONE and not value.dimension.is_ratio:
        raise EvalError(expr.span, f"this is {value.dimension}, and a plain number is needed")
    return value.value


def _binary(expr: Binary, env: Env) -> Value:
    return _OPERATORS[expr.op](expr, env)


def _and(expr: Binary, env: Env) -> Value:
    return _truth(expr.left, env) and _truth(expr.right, env)


def _or(expr: Binary, env: Env) -> Value:
    return _truth(expr.left, env) or _truth(expr.right, env)


def _pair(expr: Binary, env: Env) -> tuple[Quantity, Quantity]:
    left, right = _quantity(expr.left, env), _quantity(expr.right, env)
    if left.dimension is not right.dimension and left.dimension != right.dimension:
        raise EvalError(expr.span, f"{left.dimension} {expr.op} {right.dimension} has no meaning")
    return left, right


def _sum(sign: int) -> Callable[[Binary, Env], Value]:
    def rule(expr: Binary, env: Env) -> Value:
        left, right = _pair(expr, env)
        return _finite(expr.span, left.value + sign * right.value, left)

    return rule


def _finite(span: Span, value: float, like: Quantity) -> Quantity:
    if not -math.inf < value < math.inf:
        raise EvalError(span, "the result is too large")
    return Quantity(value, like.dimension)


def _times(expr: Binary, env: Env) -> Value:
    left, right = _quantity(expr.left, env), _quantity(expr.right, env)
    value = left.value * right.value
    if not -math.inf < value < math.inf:
        raise EvalError(expr.span, "the result is too large")
    return Quantity(value, left.dimension * right.dimension)


def _over(expr: Binary, env: Env) -> Value:
    left, right = _quantity(expr.left, env), _quantity(expr.right, env)
    if right.value == 0:
        raise EvalError(expr.right.span, "this is 0, and something is divided by it")
    value = left.value / right.value
    if not -math.inf < value < math.inf:
        raise EvalError(expr.span, "the result is too large")
    return Quantity(value, left.dimension / right.dimension)


def _power(expr: Binary, env: Env) -> Value:
    base, power = _quantity(expr.left, env), ratio(expr.right, env)
    dimension = base.dimension
    if not dimension.is_ratio:
        if power != int(power) or abs(power) > MOST_POWER:
            raise EvalError(expr.right.span, f"{dimension} takes a small whole exponent")
        dimension = dimension ** int(power)
    try:
        value = base.value**power
    except ZeroDivisionError:
        raise EvalError(expr.span, "0 has no negative power") from None
    except OverflowError:
        raise EvalError(expr.span, "the result is too large") from None
    if isinstance(value, complex):
        raise EvalError(expr.span, "a negative number has no fractional power")
    return _finite(expr.span, value, Quantity(0.0, dimension))


def _divides(expr: Binary, env: Env) -> Value:
    left, right = ratio(expr.left, env), ratio(expr.right, env)
    return left != 0 and right % left == 0


def _same(expr: Binary, env: Env) -> bool:
    left, right = evaluate(expr.left, env), evaluate(expr.right, env)
    if isinstance(left, Quantity) or isinstance(right, Quantity):
        return equal(*_pair(expr, env))
    if type(left) is not type(right):
        raise EvalError(expr.span, f"{show_value(left)} and {show_value(right)} cannot be compared")
    return left == right


def equal(a: Value, b: Value) -> bool:
    """Whether two values are the same; numbers up to rounding in the last places."""
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        return a.dimension == b.dimension and (
            a.value == b.value or close(a.value, b.value, 1e-12)
        )
    return type(a) is type(b) and a == b


def _order(compare: Callable[[float, float], bool]) -> Callable[[Binary, Env], Value]:
    def rule(expr: Binary, env: Env) -> Value:
        left, right = _pair(expr, env)
        return compare(left.value, right.value)

    return rule


_OPERATORS: Mapping[str, Callable[[Binary, Env], Value]] = {
    "and": _and,
    "or": _or,
    "+": _sum(1),
    "-": _sum(-1),
    "*": _times,
    "/": _over,
    "^": _power,
    "divides": _divides,
    "==": _same,
    "!=": lambda e, env: not _same(e, env),
    "<": _order(lambda a, b: a < b),
    ">": _order(lambda a, b: a > b),
    "<=": _order(lambda a, b: a <= b),
    ">=": _order(lambda a, b: a >= b),
}


def _among(expr: Among, env: Env) -> Value:
    item = evaluate(expr.item, env)
    return any(equal(item, evaluate(o, env)) for o in expr.options)


def _cond(expr: Cond, env: Env) -> Value:
    return evaluate(expr.then if _truth(expr.test, env) else expr.other, env)


def _call(expr: Call, env: Env) -> Value:
    # Calls are rare beside names and sums, and need names that only they use.
    from llamasim.language.calls import call

    return call(expr, env)


_RULES: Mapping[type, Callable[..., Value]] = {
    Number: _number,
    Bool: _bool,
    Path: _path,
    Unary: _unary,
    Binary: _binary,
    Among: _among,
    Cond: _cond,
    Call: _call,
}
