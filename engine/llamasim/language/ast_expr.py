"""Expressions of the syntax tree. Other rooms take these names from `ast`."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span


@attrs.frozen
class Number:
    """A plain number, a percentage (`unit="%"`) or a number with a unit (`16 bit`)."""

    span: Span = attrs.field(eq=False, repr=False)
    value: float
    unit: str | None = None


@attrs.frozen
class Bool:
    """`true` or `false`."""

    span: Span = attrs.field(eq=False, repr=False)
    value: bool


@attrs.frozen
class Path:
    """A name, dotted: a parameter, a let, a constant, an attribute (`layer.index`) or a symbol."""

    span: Span = attrs.field(eq=False, repr=False)
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """The path as written."""
        return ".".join(self.parts)


@attrs.frozen
class Unary:
    """`-x` or `not x`."""

    span: Span = attrs.field(eq=False, repr=False)
    op: Literal["-", "not"]
    operand: Expr


@attrs.frozen
class Binary:
    """Arithmetic, comparison, logic, or `a divides b`."""

    span: Span = attrs.field(eq=False, repr=False)
    op: Literal["+", "-", "*", "/", "^", "==", "!=", "<=", ">=", "<", ">", "and", "or", "divides"]
    left: Expr
    right: Expr


@attrs.frozen
class Among:
    """`x in {a, b}`."""

    span: Span = attrs.field(eq=False, repr=False)
    item: Expr
    options: tuple[Expr, ...]


@attrs.frozen
class Cond:
    """`if a then b else c`."""

    span: Span = attrs.field(eq=False, repr=False)
    test: Expr
    then: Expr
    other: Expr


@attrs.frozen
class Call:
    """A call of a built-in or of an earlier function; arguments may be a glob for aggregates."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    args: tuple[Expr, ...]


Expr: TypeAlias = Number | Bool | Path | Unary | Binary | Among | Cond | Call


@attrs.frozen
class RangeDomain:
    """`1..16`, both ends included."""

    span: Span = attrs.field(eq=False, repr=False)
    low: Expr
    high: Expr


@attrs.frozen
class SetDomain:
    """`{32, 64, 128}`."""

    span: Span = attrs.field(eq=False, repr=False)
    options: tuple[Expr, ...]


Domain: TypeAlias = RangeDomain | SetDomain


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly inside an expression."""
    if isinstance(expr, Unary):
        return (expr.operand,)
    if isinstance(expr, Binary):
        return (expr.left, expr.right)
    if isinstance(expr, Among):
        return (expr.item, *expr.options)
    if isinstance(expr, Cond):
        return (expr.test, expr.then, expr.other)
    return expr.args if isinstance(expr, Call) else ()


def paths_read(expr: Expr) -> frozenset[str]:
    """Return every dotted name that an expression reads."""
    if isinstance(expr, Path):
        return frozenset((expr.text,))
    found: frozenset[str] = frozenset()
    return found.union(*(paths_read(c) for c in children(expr)))
