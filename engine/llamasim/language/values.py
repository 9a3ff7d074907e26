"""What an expression can be worth."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from llamasim.units import Quantity


@attrs.frozen
class Symbol:
    """A bare word with a meaning of its own: `fp8`, `inference`, `matmul`."""

    name: str


Value: TypeAlias = bool | Symbol | Quantity


def show_value(value: Value) -> str:
    """Return a value as a user would write it, in base units where it has a dimension."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Symbol):
        return value.name
    number = f"{value.value:.12g}"
    unit = _BASE_UNITS.get(str(value.dimension), str(value.dimension))
    return number if value.dimension.is_ratio else f"{number} {unit}"


_BASE_UNITS = {
    "Data": "bit", "Time": "s", "Work": "FLOP", "Token": "tok", "Energy": "J", "Money": "USD",
    "Data / Time": "bit/s", "Work / Time": "FLOPS",
}
