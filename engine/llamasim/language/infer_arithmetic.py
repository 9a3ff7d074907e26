"""Kinds of sums, products and powers, and what has no value for some values of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamasim.language import kinds, ranges
from llamasim.language.ast import Binary, Expr, Number, paths_read
from llamasim.language.bounds import Bounds
from llamasim.language.caps import MOST_POWER
from llamasim.language.kinds import ANY, BOOL, Kind, ranged
from llamasim.units import DATA, TIME, TOKEN, WORK, Dimension

if TYPE_CHECKING:
    from llamasim.language.infer import Infer

_EVERY = "a rule has a value for every value its parameters allow"


def arithmetic(infer: Infer, expr: Binary) -> Kind:
    """Return what a sum, product, power or comparison of numbers is."""
    if expr.op == "^":
        return _power(infer, expr)
    if expr.op in ("*", "/"):
        return _product(infer, expr)
    left, right = infer.number(expr.left), infer.number(expr.right)
    if not same_dimension(infer, expr, left, right):
        return ANY
    if expr.op in ("<", ">", "<=", ">="):
        return BOOL
    if "any" in (left.name, right.name):
        return ANY
    return kinds.add(left, right, 1 if expr.op == "+" else -1)


def same_dimension(infer: Infer, expr: Binary, left: Kind, right: Kind) -> bool:
    """Whether two sides have one dimension; if not, that is noted."""
    if "any" in (left.name, right.name) or left.dimension == right.dimension:
        return True
    verb = {"+": "added", "-": "subtracted"}.get(expr.op, "compared")
    sides = [(expr.left, left, right), (expr.right, right, left)]
    ways = []
    for side in tuple(sides):
        way = _with_unit(infer, side[0], side[2])
        if way:
            ways.append(way)
            sides.sort(key=lambda s: s is not side)  # what is to be changed is underlined first
    infer.report(
        "E0201", f"{left.text} and {right.text} cannot be {verb}",
        [(e.span, k.text) for e, k, _ in sides],
        help=ways or ("bring both to one dimension, by a product or a quotient",))
    return False


def _with_unit(infer: Infer, expr: Expr, wanted: Kind) -> str | None:
    """Return how a literal reads with the unit that it lacks."""
    if not isinstance(expr, Number):
        return None
    if expr.unit is None:
        return f"write `{expr.span.text} {unit_of(wanted.dimension)}` or so"
    if infer.look(expr).dimension / TIME == wanted.dimension:
        return f"write `{expr.span.text} / s`"
    return None


def unit_of(dimension: Dimension, bits: bool = False) -> str:
    """Return a unit of a dimension, as an example; `bits` asks for the small one of Data."""
    if bits and dimension == DATA:
        return "bit"
    examples = {DATA: "GB", TIME: "us", WORK: "FLOP", TOKEN: "tok", DATA / TIME: "GB / s"}
    return examples.get(dimension, f"({dimension})")


def _product(infer: Infer, expr: Binary) -> Kind:
    left, right = infer.number(expr.left), infer.number(expr.right, unit=True)
    if "any" in (left.name, right.name):
        return ANY
    if expr.op == "*":
        return kinds.product(left, right)
    not_zero(infer, expr.right, right, "this divides by something that can be 0")
    return kinds.quotient(left, right)


def _power(infer: Infer, expr: Binary) -> Kind:
    base, power = infer.number(expr.left), infer.ratio(expr.right, "an exponent")
    if "any" in (base.name, power.name):
        return ANY
    if not base.dimension.is_ratio:
        return _power_of_quantity(infer, expr, base)
    if power.can_be_negative:
        not_zero(infer, expr.left, base,
                 f"this can be 0, and its exponent can be below 0 ({power.range_text})")
    if base.can_be_negative and not power.whole:
        refused(infer, expr.left, base,
                 "this can be below 0, and its exponent is not always a whole number",
                 "raise `max(x, 0)`, or begin the parameter's range at 0")
    within = ranges.power(base.range, power.range, power.whole)
    return ranged(base, within, of=(base, power), whole=base.whole and power.whole
                  and power.low >= 0)


def _power_of_quantity(infer: Infer, expr: Binary, base: Kind) -> Kind:
    power = expr.right
    if not isinstance(power, Number) or power.value != int(power.value):
        return infer.report("E0201", f"{base.dimension} takes a whole number as exponent",
                            [(power.span, "the exponent")], help=("write `^ 2` or so",))
    if power.value > MOST_POWER:
        return infer.report("E0201", f"{base.dimension} takes an exponent of at most "
                            f"{MOST_POWER}", [(power.span, "the exponent")],
                            help=("no quantity needs a larger one",))
    low, high = ranges.power(base.range, (power.value, power.value), whole=True)
    return Kind("number", base.dimension ** int(power.value), low=low, high=high,
                certain=base.certain, nonzero=base.nonzero, zero=base.can_be_zero)


def not_zero(infer: Infer, expr: Expr, kind: Kind, message: str) -> None:
    """Note what can be 0 and must not be, unless a condition around it excludes that."""
    if kind.name == "number" and kind.can_be_zero:
        refused(infer, expr, kind, message,
                 "begin the parameter's range at 1, or guard it: `if x == 0 then ... else ...`")


def positive(infer: Infer, expr: Expr, kind: Kind, message: str) -> None:
    """Note what can be 0 or less and must not be."""
    if kind.name == "number" and kind.certain and (kind.low < 0 or kind.can_be_zero):
        refused(infer, expr, kind, message,
                 "begin the parameter's range above 0, or guard it: `if x > 0 then ... else ...`")


def within(infer: Infer, expr: Expr, kind: Kind, bounds: Bounds, what: str) -> None:
    """Note a number that parameters can put outside what something takes."""
    if kind.name != "number" or not bounds.can_fail(kind):
        return
    taken = bounds.text(kind.dimension)
    if kind.low == kind.high:
        infer.report("E0210", f"this is {kind.range_text}, and {what} takes {taken}",
                     [(expr.span, "outside")],
                     help=(_smaller(expr, kind, bounds) or f"write an amount that is {taken}",))
        return
    if bounds.high == 1 and kind.dimension.is_ratio and 1 < kind.high <= _HUNDRED:
        way = "count it in `%`: `in 0 %..100 %`" if kind.whole else None
        refused(infer, expr, kind, f"{what} takes {taken}, and this can lie outside",
                way or _NARROW, also=("divide it by 100",) if kind.whole else ())
        return
    refused(infer, expr, kind, f"{what} takes {taken}, and this can lie outside",
            _NARROW)


_NARROW = "narrow the parameter's range, or bound it here: `max(x, LOW)`, `min(x, HIGH)`"
_HUNDRED = 100.0


def _smaller(expr: Expr, kind: Kind, bounds: Bounds) -> str | None:
    """Return the number in the unit that was probably meant: per cent, or bits for bytes."""
    if not isinstance(expr, Number):
        return None
    if expr.unit is None and kind.dimension.is_ratio and bounds.hold(kind.low / 100):
        return f"write `{expr.span.text} %`" if bounds.high == 1 else None
    if expr.unit == "B" and bounds.hold(kind.low / 8):
        return f"write `{expr.value:g} bit`"
    return None


def refused(
    infer: Infer, expr: Expr, kind: Kind, message: str, way: str, also: tuple[str, ...] = ()
) -> None:
    """Note a number that parameters can make wrong, with their ranges."""
    params = [(n, infer.names[n]) for n in sorted(paths_read(expr))
              if n in infer.names and infer.names[n].what == "param"]
    declared = [(k.span, f"{n} in {k.kind.range_text}") for n, k in params]
    free = next((n for n, k in params if k.kind.range == ranges.ALL), None)
    ways = (way, *also) if free is None else (f"give `{free}` a range: `in LOW..HIGH`",)
    infer.report("E0210", message, [(expr.span, f"lies in {kind.range_text}"), *declared],
                 why=_EVERY if declared else "", help=ways)
