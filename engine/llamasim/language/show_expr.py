"""Expressions as text, with parentheses only where the grammar needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llamasim.language.ast import (
    Among,
    Binary,
    Bool,
    Call,
    Cond,
    Expr,
    Number,
    Path,
    Unary,
)

#: How a number was written, where that is known.
Written = Callable[[Number], str | None]

_COND, _OR, _AND, _NOT, _COMPARE, _SUM, _TERM, _UNARY, _POWER, _ATOM = range(10)
#: Operator -> its own level, and the least levels of its two sides.
_LEVELS: Mapping[str, tuple[int, int, int]] = {
    "or": (_OR, _OR, _AND),
    "and": (_AND, _AND, _NOT),
    "+": (_SUM, _SUM, _TERM),
    "-": (_SUM, _SUM, _TERM),
    "*": (_TERM, _TERM, _UNARY),
    "/": (_TERM, _TERM, _UNARY),
    "^": (_POWER, _ATOM, _UNARY),
}
_COMPARISON = (_COMPARE, _SUM, _SUM)


def show_expr(expr: Expr, written: Written = lambda _: None, least: int = _COND) -> str:
    """Return an expression as text; `least` is the loosest binding that needs no parentheses."""
    text, level = _show(expr, written)
    return text if level >= least else f"({text})"


def _show(expr: Expr, written: Written) -> tuple[str, int]:
    if isinstance(expr, Number):
        return written(expr) or _number(expr), _ATOM
    if isinstance(expr, Bool):
        return "true" if expr.value else "false", _ATOM
    if isinstance(expr, Path):
        return expr.text, _ATOM
    if isinstance(expr, Call):
        return f"{expr.name}({', '.join(show_expr(a, written) for a in expr.args)})", _ATOM
    if isinstance(expr, Unary):
        if expr.op == "not":
            return f"not {show_expr(expr.operand, written, _NOT)}", _NOT
        return f"-{show_expr(expr.operand, written, _UNARY)}", _UNARY
    if isinstance(expr, Binary):
        level, left, right = _LEVELS.get(expr.op, _COMPARISON)
        sides = show_expr(expr.left, written, left), show_expr(expr.right, written, right)
        return f"{sides[0]} {expr.op} {sides[1]}", level
    if isinstance(expr, Among):
        options = ", ".join(show_expr(o, written) for o in expr.options)
        return f"{show_expr(expr.item, written, _SUM)} in {{{options}}}", _COMPARE
    return _cond(expr, written), _COND


def _cond(expr: Cond, written: Written) -> str:
    test, then, other = (show_expr(e, written) for e in (expr.test, expr.then, expr.other))
    return f"if {test} then {then} else {other}"


def _number(expr: Number) -> str:
    whole = expr.value == int(expr.value) and abs(expr.value) < _PLAIN
    text = str(int(expr.value)) if whole else repr(expr.value)
    return text if expr.unit is None else f"{text} {expr.unit}"


_PLAIN = 1e15

