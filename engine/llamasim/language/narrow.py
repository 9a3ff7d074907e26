"""What a condition says about the numbers in it, for the expressions that it guards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import attrs

from llamasim.language import ranges
from llamasim.language.ast import Among, Binary, Expr, Number, Path, Unary
from llamasim.language.kinds import Kind, Known
from llamasim.language.ranges import ALL, Range


@attrs.frozen
class Fact:
    """What holds of a number: its range, and whether it is never 0."""

    range: Range = ALL
    nonzero: bool = False

    def of(self, kind: Kind) -> Kind:
        """Return a number's kind where this holds of it."""
        low, high = ranges.both(kind.range, self.range)
        # Where this is never the case, what is guarded is never worked out.
        if kind.high < self.range[0]:
            low = high = self.range[0]
        elif kind.low > self.range[1]:
            low = high = self.range[1]
        nonzero = kind.nonzero or self.nonzero or low > 0 or high < 0
        return attrs.evolve(kind, low=low, high=high, nonzero=nonzero,
                            zero=kind.zero and not nonzero)

    def also(self, other: Fact) -> Fact:
        """Return what holds where both hold."""
        return Fact(ranges.both(self.range, other.range), self.nonzero or other.nonzero)


#: What holds of expressions; the same expression written twice is one.
Facts: TypeAlias = Mapping[Expr, Fact]
NO_FACTS: Facts = MappingProxyType({})
#: Says what kind an expression is, without a finding.
Look = Callable[[Expr], Kind]

_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


def facts_of(test: Expr, holds: bool, names: Mapping[str, Known], look: Look) -> Facts:
    """Return what follows for numbers from a condition that holds, or that does not.

    Args:
        test: the condition.
        holds: whether it holds.
        names: declared names; conditions and numbers with a name are looked into.
        look: says what kind an expression is.

    """
    if isinstance(test, Unary) and test.op == "not":
        return facts_of(test.operand, not holds, names, look)
    if isinstance(test, Among):
        return _among(test, holds, look)
    if isinstance(test, Path):
        known = names.get(test.text)
        if known is None or known.value is None or known.kind.name != "bool":
            return {}
        return facts_of(known.value, holds, names, look)
    if not isinstance(test, Binary):
        return {}
    if test.op in ("and", "or"):
        sides = [facts_of(s, holds, names, look) for s in (test.left, test.right)]
        return every(*sides) if (test.op == "and") == holds else _any(*sides)
    if test.op == "divides":
        return {test.left: Fact(nonzero=True)} if holds else {}
    if test.op in _OPPOSITE:
        op = test.op if holds else _OPPOSITE[test.op]
        return _named(_compared(op, test.left, test.right, look), names)
    return {}


def every(a: Facts, b: Facts) -> Facts:
    """Return what holds where both hold."""
    return {**a, **{e: a[e].also(f) if e in a else f for e, f in b.items()}}


def _any(a: Facts, b: Facts) -> Facts:
    return {e: Fact(ranges.hull(a[e].range, b[e].range), a[e].nonzero and b[e].nonzero)
            for e in a if e in b}


def _among(test: Among, holds: bool, look: Look) -> Facts:
    options = [look(o) for o in test.options]
    if any(k.name != "number" for k in options):
        return {}
    if not holds:
        return {test.item: Fact(nonzero=any(k.range == (0, 0) for k in options))}
    low, high = min(k.low for k in options), max(k.high for k in options)
    return {test.item: Fact((low, high), all(k.nonzero for k in options))}


def _compared(op: str, left: Expr, right: Expr, look: Look) -> Facts:
    a, b = look(left), look(right)
    if (a.name, b.name) != ("number", "number"):
        return {}
    strict = op in ("<", ">", "!=")
    sides = {left: _side(op, b), right: _side(_MIRROR[op], a)}
    return every(
        {e: f for e, f in sides.items() if not isinstance(e, Number)},
        # Guards of differences are written as comparisons: `if n > k then x / (n - k)`.
        {Binary(left.span, "-", left, right): _difference(op, strict),
         Binary(left.span, "-", right, left): _difference(_MIRROR[op], strict)},
    )


def _side(op: str, other: Kind) -> Fact:
    """Return what holds of x where `x op other`."""
    if op == "==":
        return Fact(other.range, other.nonzero)
    if op == "!=":
        return Fact(nonzero=other.range == (0, 0))
    if op in (">", ">="):
        above = other.low > 0 or (other.low >= 0 and (op == ">" or other.nonzero))
        return Fact((other.low, math.inf), above)
    below = other.high < 0 or (other.high <= 0 and (op == "<" or other.nonzero))
    return Fact((-math.inf, other.high), below)


def _difference(op: str, strict: bool) -> Fact:
    within = {"==": (0.0, 0.0), "!=": ALL, ">": (0.0, math.inf), ">=": (0.0, math.inf)}
    return Fact(within.get(op, (-math.inf, 0.0)), strict)


def _named(facts: Facts, names: Mapping[str, Known]) -> Facts:
    """Return facts about lets with those about the expressions that they name."""
    found = dict(facts)
    for expr, fact in facts.items():
        known = names.get(expr.text) if isinstance(expr, Path) else None
        if known is not None and known.what == "let" and known.value is not None:
            found[known.value] = fact
    return found
