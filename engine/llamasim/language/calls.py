"""Calls in expressions: the language's functions, the engine's, and those of a rule file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from llamasim.language.ast import Call, Expr, Function
from llamasim.language.evaluate import Env, EvalError, Missing, evaluate, ratio
from llamasim.language.values import Value, show_value
from llamasim.units import DATA, WORK, Dimension, Quantity

#: Functions that the engine provides where they have a meaning.
PROVIDED = ("axis_size", "global", "sum", "min", "max", "count")
#: What only the tests of rule files can ask of a plan, each with the dimension of its answer.
ASKED: Mapping[str, Dimension] = {"cached": DATA, "moved": DATA, "flops": WORK}
#: Functions of plain numbers, each with how many it takes.
SCALARS: Mapping[str, int] = {"floor": 1, "ceil": 1, "log2": 1, "mod": 2}
_SCALARS: Mapping[str, Callable[..., float]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "log2": math.log2,
    "mod": lambda a, b: a % b,
}
_MOST_CALLS = 32


def call(expr: Call, env: Env) -> Value:
    """Return the value of a call.

    Raises:
        EvalError, Missing: as `evaluate`.

    """
    if expr.name in SCALARS:
        return _scalar(expr, env)
    value = env.call(expr.name, expr.args)
    if value is not None:
        return value
    if expr.name in ("min", "max") and expr.args:
        return _extreme(expr, env)
    function = env.function(expr.name)
    if function is not None:
        return _apply(expr, function, env)
    if expr.name in (*PROVIDED, *ASKED):
        raise Missing(expr.span, expr.name)
    raise EvalError(expr.span, f"there is no function `{expr.name}`")


def _scalar(expr: Call, env: Env) -> Value:
    arity = SCALARS[expr.name]
    if len(expr.args) != arity:
        raise EvalError(expr.span, f"`{expr.name}` takes {arity} argument{'s' * (arity > 1)}")
    try:
        return Quantity(float(_SCALARS[expr.name](*(ratio(a, env) for a in expr.args))))
    except (ValueError, ZeroDivisionError):
        raise EvalError(expr.span, f"`{expr.name}` has no value here") from None


def _extreme(expr: Call, env: Env) -> Value:
    values = [_quantity(a, env) for a in expr.args]
    if any(v.dimension != values[0].dimension for v in values):
        raise EvalError(expr.span, f"the arguments of `{expr.name}` have different dimensions")
    pick = min if expr.name == "min" else max
    return Quantity(pick(v.value for v in values), values[0].dimension)


def _quantity(expr: Expr, env: Env) -> Quantity:
    value = evaluate(expr, env)
    if not isinstance(value, Quantity):
        raise EvalError(expr.span, f"this is {show_value(value)}, and a number is needed")
    return value


@attrs.frozen
class _Inside:
    """Names inside a function's body: its formals, then what its file declares."""

    formals: Mapping[str, Value]
    outer: Env
    depth: int

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        found = self.formals.get(path[0]) if len(path) == 1 else None
        return self.outer.lookup(path) if found is None else found

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        return self.outer.call(name, args)

    def function(self, name: str) -> Function | None:
        return self.outer.function(name)


def _apply(expr: Call, function: Function, env: Env) -> Value:
    depth = env.depth + 1 if isinstance(env, _Inside) else 1
    if depth > _MOST_CALLS:
        raise EvalError(expr.span, f"`{expr.name}` calls itself")
    if len(expr.args) != len(function.formals):
        raise EvalError(expr.span, f"`{expr.name}` takes {len(function.formals)} arguments")
    given = {
        name: evaluate(arg, env)
        for (name, _), arg in zip(function.formals, expr.args, strict=True)
    }
    outer = env.outer if isinstance(env, _Inside) else env
    return evaluate(function.body, _Inside(given, outer, depth))
