"""Quantities: a value in base units with its dimension, parsed from and printed as text.

Base units are the bit, second, FLOP, token, joule and US dollar. Decimal (`GB`) and binary (`GiB`)
prefixes are distinct units, so nothing is ever mixed silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from llamasim.units.dimension import (
    DATA,
    ENERGY,
    MONEY,
    NONE,
    TIME,
    TOKEN,
    WORK,
    Dimension,
)


@attrs.frozen
class Quantity:
    """A value in base units (bit, s, FLOP, tok, J, USD) and its dimension."""

    value: float
    dimension: Dimension = NONE

    @property
    def bytes(self) -> float:
        """The value as bytes; meaningful for Data (and Data/Time) only."""
        return self.value / 8


def _decimal(symbol: str, base: float, dimension: Dimension) -> dict[str, Quantity]:
    prefixes = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
    return {p + symbol: Quantity(base * f, dimension) for p, f in prefixes.items()}


def _binary(symbol: str, base: float, dimension: Dimension) -> dict[str, Quantity]:
    prefixes = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}
    return {p + symbol: Quantity(base * f, dimension) for p, f in prefixes.items()}


_PER_SECOND = NONE / TIME
_POWER = ENERGY / TIME

#: Every unit name, with its value in base units.
UNITS: Mapping[str, Quantity] = MappingProxyType(
    {
        **_decimal("B", 8.0, DATA),
        **_binary("B", 8.0, DATA),
        **_decimal("bit", 1.0, DATA),
        **_decimal("b", 1.0, DATA),
        "s": Quantity(1.0, TIME),
        "ms": Quantity(1e-3, TIME),
        "us": Quantity(1e-6, TIME),
        "ns": Quantity(1e-9, TIME),
        "min": Quantity(60.0, TIME),
        "h": Quantity(3600.0, TIME),
        "day": Quantity(86400.0, TIME),
        **_decimal("FLOP", 1.0, WORK),
        **_decimal("FLOPS", 1.0, WORK / TIME),
        **_decimal("OPS", 1.0, WORK / TIME),
        "tok": Quantity(1.0, TOKEN),
        "token": Quantity(1.0, TOKEN),
        "tokens": Quantity(1.0, TOKEN),
        "ktok": Quantity(1e3, TOKEN),
        "Mtok": Quantity(1e6, TOKEN),
        **_decimal("J", 1.0, ENERGY),
        "kWh": Quantity(3.6e6, ENERGY),
        **_decimal("W", 1.0, _POWER),
        "USD": Quantity(1.0, MONEY),
        "Hz": Quantity(1.0, _PER_SECOND),
        "MHz": Quantity(1e6, _PER_SECOND),
        "GHz": Quantity(1e9, _PER_SECOND),
        "req": Quantity(1.0, NONE),
        "%": Quantity(0.01, NONE),
    }
)

_NUMBER = re.compile(r"\s*([+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*")
_UNIT = re.compile(r"\s*([A-Za-z%]+)\s*")


class QuantityError(ValueError):
    """A text that is not a quantity; `unit` names the unknown unit where that is why."""

    def __init__(self, message: str, unit: str | None = None) -> None:
        super().__init__(message)
        self.unit = unit


def parse_quantity(text: str) -> Quantity:
    """Parse `"450 GB/s"`, `"80 GiB"`, `"8192 tok"` or `"1e-6"`.

    Raises:
        QuantityError: the text is not a number followed by known units joined by `/` or `*`.

    """
    match = _NUMBER.match(text)
    if not match:
        raise QuantityError(f"`{text.strip()}` does not start with a number")
    result = Quantity(float(match.group(1).replace("_", "")))
    rest, operator = text[match.end() :], "*"
    while rest.strip():
        unit = _UNIT.match(rest)
        if not unit:
            raise QuantityError(f"`{rest.strip()}` is not a unit")
        known = UNITS.get(unit.group(1))
        if known is None:
            raise QuantityError(f"`{unit.group(1)}` is not a known unit", unit.group(1))
        result = _apply(result, operator, known)
        rest = rest[unit.end() :]
        if rest and rest[0] in "*/":
            operator, rest = rest[0], rest[1:]
            if not rest.strip():
                raise QuantityError(f"`{text.strip()}` ends in `{operator}`")
        elif rest.strip():
            raise QuantityError(f"`{rest.strip()}` follows the unit without `/` or `*`")
    return result


def _apply(left: Quantity, operator: str, right: Quantity) -> Quantity:
    if operator == "*":
        return Quantity(left.value * right.value, left.dimension * right.dimension)
    return Quantity(left.value / right.value, left.dimension / right.dimension)
