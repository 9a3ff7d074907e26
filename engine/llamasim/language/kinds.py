"""What the checker knows of an expression before it has a value: kind, dimension, range."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span
from llamasim.language.ast import Expr
from llamasim.language.vocabulary import Attribute
from llamasim.units import NONE, Dimension

KindName: TypeAlias = Literal["number", "bool", "symbol", "model", "any"]


@attrs.frozen
class Kind:
    """What an expression is.

    Attributes:
        dimension: of a number.
        symbols: the words it can be, where they are known.
        word: the bare, undeclared word that it is; a symbol, or a mistyped name.
        low, high: between which values a number lies, in base units.
        certain: whether that range follows from parameters and literals alone.

    """

    name: KindName
    dimension: Dimension = NONE
    symbols: tuple[str, ...] | None = None
    word: str | None = None
    low: float = -math.inf
    high: float = math.inf
    certain: bool = False

    @property
    def text(self) -> str:
        """How messages call it."""
        if self.name == "number":
            return "a plain number" if self.dimension.is_ratio else str(self.dimension)
        return {"bool": "true or false", "symbol": "a word", "model": "a model"}.get(
            self.name, "anything"
        )

    @property
    def can_be_zero(self) -> bool:
        """Whether its range is known and holds 0."""
        return self.certain and self.low <= 0 <= self.high

    @property
    def range_text(self) -> str:
        """Its range, as messages show it."""
        low = "any" if math.isinf(self.low) else f"{self.low:g}"
        high = "any" if math.isinf(self.high) else f"{self.high:g}"
        return "any value" if low == high == "any" else f"{low}..{high}"


ANY = Kind("any")
BOOL = Kind("bool")


def number(dimension: Dimension = NONE, value: float | None = None) -> Kind:
    """Return the kind of a number, or of one number."""
    if value is None:
        return Kind("number", dimension)
    return Kind("number", dimension, low=value, high=value, certain=True)


@attrs.frozen
class Read:
    """One attribute that an expression reads, and where; `let` is where it does so by a let."""

    attribute: Attribute
    span: Span
    let: Span | None = None


@attrs.frozen
class Known:
    """A declared name: a parameter, let, constant, formal or second model."""

    what: str
    kind: Kind
    span: Span
    value: Expr | None = None
    reads: tuple[Read, ...] = ()


def add(a: Kind, b: Kind, sign: int) -> tuple[float, float]:
    """Return the range of a sum or difference."""
    if sign > 0:
        return _both(a.low + b.low, a.high + b.high)
    return _both(a.low - b.high, a.high - b.low)


def product(a: Kind, b: Kind) -> tuple[float, float]:
    """Return the range of a product."""
    ends = [_times(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(ends), max(ends)


def quotient(a: Kind, b: Kind) -> tuple[float, float]:
    """Return the range of a quotient; unbounded where the divisor's range holds 0."""
    if b.low <= 0 <= b.high:
        return -math.inf, math.inf
    inverse = attrs.evolve(b, low=1 / b.high, high=1 / b.low)
    return product(a, inverse)


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def _both(low: float, high: float) -> tuple[float, float]:
    return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)
