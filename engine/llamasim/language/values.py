"""What an expression can be worth."""

from __future__ import annotations

import math
from typing import TypeAlias

import attrs

from llamasim.units import DATA, ENERGY, MONEY, TIME, TOKEN, WORK, Dimension, Quantity


@attrs.frozen
class Symbol:
    """A bare word with a meaning of its own: `fp8`, `inference`, `matmul`."""

    name: str


Value: TypeAlias = bool | Symbol | Quantity


def show_value(value: Value) -> str:
    """Return a value as a user would write it, in the unit that says it shortest."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Symbol):
        return value.name
    return show_amount(value.value, value.dimension, 12)


def show_amount(value: float, dimension: Dimension, digits: int = 4) -> str:
    """Return a number in base units with a readable unit; `digits` is how many are shown.

    Data of less than a kibibit is shown in bits, as rules write it; more than that in bytes.
    """
    units = _UNITS.get(dimension)
    if dimension.is_ratio or units is None:
        unit = "" if dimension.is_ratio else f" {dimension}"
        return f"{_digits(value, digits)}{unit}"
    if not 0 < abs(value) < math.inf:
        return f"{value:g} {dict(units)[1.0]}"
    small = dimension == DATA and abs(value) < _KIBIBIT
    fitting = [u for u in units if abs(value) >= u[0] and (small or u[1] != "bit")] or units[:1]
    if small:
        fitting = fitting[:1]
    size, unit = min(reversed(fitting), key=lambda u: len(_digits(value / u[0], digits)))
    return f"{_digits(value / size, digits)} {unit}"


def _digits(value: float, digits: int) -> str:
    whole = math.isfinite(value) and value == int(value) and abs(value) < _PLAIN
    return str(int(value)) if whole else f"{value:.{digits}g}"


_PLAIN = 1e7
_KIBIBIT = 1024.0
_BYTE = 8.0
_DATA = ((1.0, "bit"), (_BYTE, "B"), (_BYTE * 1e3, "kB"), (_BYTE * 2**10, "KiB"),
         (_BYTE * 1e6, "MB"), (_BYTE * 2**20, "MiB"), (_BYTE * 1e9, "GB"),
         (_BYTE * 2**30, "GiB"), (_BYTE * 1e12, "TB"))
#: Units of a dimension by size in base units, the smallest first.
_UNITS: dict[Dimension, tuple[tuple[float, str], ...]] = {
    DATA: _DATA,
    TIME: ((1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s")),
    WORK: ((1.0, "FLOP"), (1e9, "GFLOP"), (1e12, "TFLOP"), (1e15, "PFLOP")),
    TOKEN: ((1.0, "tok"),),
    ENERGY: ((1.0, "J"),),
    MONEY: ((1.0, "USD"),),
    DATA / TIME: tuple((size, f"{unit}/s") for size, unit in _DATA),
    WORK / TIME: ((1.0, "FLOPS"), (1e9, "GFLOPS"), (1e12, "TFLOPS"), (1e15, "PFLOPS")),
}
