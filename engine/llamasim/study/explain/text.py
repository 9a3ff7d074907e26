"""Amounts as people read them."""

from __future__ import annotations

from llamasim.language import Symbol, Value
from llamasim.language.values import show_value
from llamasim.study.explain.tree import Known
from llamasim.units import DATA, ENERGY, MONEY, NONE, TIME, TOKEN, WORK, Dimension, Quantity

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
#: Units by size, and what is below all of them with its count in a base unit.
_SCALES: dict[str, tuple[tuple[tuple[float, str], ...], str, float]] = {
    "FLOP": (((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")), "FLOP", 1.0),
    "s": (((1.0, "s"), (1e-3, "ms"), (1e-6, "us")), "ns", 1e9),
}
#: Bits up to which an amount of data is given in bits.
_FEW_BITS = 1024.0
_FEW_BYTES = 10_000.0

UNITS: dict[Dimension, str] = {
    NONE: "", DATA: "bit", TIME: "s", WORK: "FLOP", TOKEN: "tok", ENERGY: "J", MONEY: "USD",
}


def amount(value: Known, unit: str = "") -> str:
    """Return a value with its unit, rounded to four digits where it is large."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if unit == "bit" and abs(value) > _FEW_BITS:
        return _data(value / 8)
    if unit == "B":
        return _data(value)
    if unit in _SCALES:
        return _scaled(value, *_SCALES[unit])
    return f"{plain(value)} {unit}".rstrip()


def plain(value: float) -> str:
    """Return a number: whole ones with separators, others with six digits."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:.6g}"


def _data(size: float) -> str:
    if abs(size) < _FEW_BYTES:
        return f"{plain(size)} B"
    power = 0
    while abs(size) >= 1024 and power < len(_BINARY) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.4g} {_BINARY[power]}"


def _scaled(
    value: float, steps: tuple[tuple[float, str], ...], least: str, factor: float
) -> str:
    for size, name in steps:
        if abs(value) >= size:
            return f"{value / size:.4g} {name}"
    return f"{plain(value * factor)} {least}"


def shown(value: Value) -> str:
    """Return what an expression of a rule comes to."""
    if isinstance(value, Quantity) and value.dimension in UNITS:
        return amount(value.value, UNITS[value.dimension])
    return value.name if isinstance(value, Symbol) else show_value(value)
