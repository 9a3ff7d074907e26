"""Whether a condition holds for all values that the parameters allow, or for none."""

from __future__ import annotations

from collections.abc import Callable

from llamasim.language.ast import Among, Binary, Bool, Expr, Unary
from llamasim.language.kinds import Kind

Look = Callable[[Expr], Kind]


def truth_of(test: Expr, look: Look) -> bool | None:
    """Return True or False where a condition is always so, None where that is not known.

    Args:
        test: the condition.
        look: says what kind an expression is.

    """
    if isinstance(test, Bool):
        return test.value
    if isinstance(test, Unary) and test.op == "not":
        holds = truth_of(test.operand, look)
        return None if holds is None else not holds
    if isinstance(test, Among):
        return _any([_compared("==", look(test.item), look(o)) for o in test.options])
    if not isinstance(test, Binary):
        return None
    if test.op in ("and", "or"):
        sides = [truth_of(s, look) for s in (test.left, test.right)]
        if test.op == "or":
            return _any(sides)
        return None if None in sides and False not in sides else all(s is not False for s in sides)
    if test.left == test.right:
        return {"==": True, "<=": True, ">=": True, "!=": False, "<": False, ">": False}.get(
            test.op)
    return _compared(test.op, look(test.left), look(test.right))


def _any(sides: list[bool | None]) -> bool | None:
    if True in sides:
        return True
    return None if None in sides else False


def _compared(op: str, a: Kind, b: Kind) -> bool | None:
    if (a.name, b.name) != ("number", "number") or a.dimension != b.dimension:
        return None
    if op in ("<", ">="):
        holds = True if a.high < b.low else False if a.low >= b.high else None
        return holds if op == "<" or holds is None else not holds
    if op in (">", "<="):
        holds = True if a.low > b.high else False if a.high <= b.low else None
        return holds if op == ">" or holds is None else not holds
    if op not in ("==", "!="):
        return None
    apart = a.high < b.low or a.low > b.high
    same = a.low == a.high == b.low == b.high
    holds = False if apart else True if same else None
    return holds if op == "==" or holds is None else not holds
