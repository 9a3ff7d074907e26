"""What the checker knows of an expression before it has a value: kind, dimension, range."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span
from llamasim.language import ranges
from llamasim.language.ast import Expr
from llamasim.language.ranges import Range
from llamasim.language.values import show_amount
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
        nonzero: whether it is never 0, although its range may hold 0.
        zero: whether some values of the parameters make it 0 whatever the scenario is.
        whole: whether it is a whole number, of a plain number that is known to be one.

    """

    name: KindName
    dimension: Dimension = NONE
    symbols: tuple[str, ...] | None = None
    word: str | None = None
    low: float = -math.inf
    high: float = math.inf
    certain: bool = False
    nonzero: bool = False
    zero: bool = False
    whole: bool = False

    @property
    def text(self) -> str:
        """How messages call it."""
        if self.name == "number":
            return "a plain number" if self.dimension.is_ratio else str(self.dimension)
        return {"bool": "true or false", "symbol": "a word", "model": "a model"}.get(
            self.name, "anything"
        )

    @property
    def range(self) -> Range:
        """Its range."""
        return self.low, self.high

    @property
    def can_be_zero(self) -> bool:
        """Whether it is known that it can be 0."""
        return not self.nonzero and (self.zero or (self.certain and self.low <= 0 <= self.high))

    @property
    def can_be_negative(self) -> bool:
        """Whether it is known that it can be below 0."""
        return self.certain and self.low < 0

    @property
    def range_text(self) -> str:
        """Its range, as messages show it: in a readable unit."""
        if self.low == -math.inf and self.high == math.inf:
            return "any value" if not (self.zero and not self.certain) else "values that hold 0"
        if self.low == self.high:
            return show_amount(self.low, self.dimension)
        low = "any" if self.low == -math.inf else show_amount(self.low, self.dimension)
        high = "any" if self.high == math.inf else show_amount(self.high, self.dimension)
        return f"{low}..{high}"


ANY = Kind("any")
BOOL = Kind("bool")


def number(dimension: Dimension = NONE, value: float | None = None) -> Kind:
    """Return the kind of a number, or of one number."""
    if value is None:
        return Kind("number", dimension)
    whole = math.isfinite(value) and value == int(value)
    return Kind("number", dimension, low=value, high=value, certain=True, nonzero=value != 0,
                whole=whole and dimension.is_ratio)


def ranged(like: Kind, within: Range, *, of: tuple[Kind, ...], whole: bool = False) -> Kind:
    """Return the kind of a number of the same dimension, computed from others."""
    low, high = within
    return Kind("number", like.dimension, low=low, high=high, certain=all(k.certain for k in of),
                nonzero=low > 0 or high < 0, whole=whole)


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


def add(a: Kind, b: Kind, sign: int) -> Kind:
    """Return the kind of a sum or difference of one dimension."""
    within = ranges.add(a.range, b.range) if sign > 0 else ranges.subtract(a.range, b.range)
    return ranged(a, within, of=(a, b), whole=a.whole and b.whole)


def negative(a: Kind) -> Kind:
    """Return the kind of the negative of a number."""
    return attrs.evolve(a, low=-a.high, high=-a.low)


def product(a: Kind, b: Kind) -> Kind:
    """Return the kind of a product."""
    low, high = ranges.times(a.range, b.range)
    return Kind(
        "number", a.dimension * b.dimension, low=low, high=high, certain=a.certain and b.certain,
        nonzero=a.nonzero and b.nonzero, zero=a.can_be_zero or b.can_be_zero,
        whole=a.whole and b.whole,
    )


def quotient(a: Kind, b: Kind) -> Kind:
    """Return the kind of a quotient."""
    low, high = ranges.over(a.range, b.range)
    return Kind(
        "number", a.dimension / b.dimension, low=low, high=high, certain=a.certain and b.certain,
        nonzero=a.nonzero, zero=a.can_be_zero,
    )


def either(a: Kind, b: Kind) -> Kind:
    """Return the kind of one of two numbers of one dimension, whichever."""
    low, high = ranges.hull(a.range, b.range)
    return Kind(
        "number", a.dimension, low=low, high=high, certain=a.certain and b.certain,
        nonzero=a.nonzero and b.nonzero, zero=a.can_be_zero or b.can_be_zero,
        whole=a.whole and b.whole,
    )
