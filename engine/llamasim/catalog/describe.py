"""Records as text: every figure with its unit, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from llamasim.catalog.fields import (
    BANDWIDTH,
    FREQUENCY,
    POWER,
    PRICE,
    RATE,
    Field,
    Record,
    fields,
    plural,
)
from llamasim.units import DATA, TIME

#: Engine unit by dimension, for machines that read the figures.
ENGINE_UNITS = {
    DATA: "B",
    BANDWIDTH: "B/s",
    TIME: "s",
    RATE: "FLOP/s",
    FREQUENCY: "Hz",
    POWER: "W",
    PRICE: "USD/h",
}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"))


@attrs.frozen
class Figure:
    """One figure of a record, as shown: key, value with unit, source."""

    key: str
    text: str
    source: str


def describe(kind: str, record: Record) -> Iterator[Figure]:
    """Yield the figures of a record in reading order; `notes` and ids are left to the caller."""
    for field in fields(kind).values():
        if field.key in ("id", "name", "notes"):
            continue
        value = getattr(record, field.attribute)
        if value is None or value == "":
            continue
        if isinstance(value, Mapping):
            for name, each in value.items():
                key = f"{field.key}.{name}"
                yield Figure(key, figure_text(field, each, name), source_of(record, key))
        else:
            measured = field.type in (int, float) and field.key != "year"
            source = source_of(record, field.attribute) if measured else ""
            yield Figure(field.key, figure_text(field, value), source)


def source_of(record: Record, attribute: str) -> str:
    """Return where a figure comes from: its own source, its table's, or the record's."""
    table = attribute.partition(".")[0]
    sources = record.sources
    if table == "on" and attribute not in sources and table not in sources:
        return source_of(record, attribute.rpartition(".")[2])
    return sources.get(attribute) or sources.get(table) or sources.get("*", "")


def figure_text(field: Field, value: Any, name: str = "") -> str:
    """Return a value with its unit, to at most seven digits."""
    if field.type is bool:
        return "yes" if value else "no"
    if field.dimension is None:
        return str(value)
    if field.dimension == DATA:
        return size_text(value)
    if field.dimension == TIME:
        return f"{value * 1e6:.4g} us" if value < 1e-3 else f"{value * 1e3:.4g} ms"
    if field.dimension in (PRICE, POWER):
        return f"{value:.7g} {ENGINE_UNITS[field.dimension]}"
    if field.dimension == RATE:
        return scaled(value, "OPS" if name.startswith("int") else "FLOPS", "T")
    if field.dimension == BANDWIDTH:
        return scaled(value, "B/s", "G")
    if field.dimension == FREQUENCY:
        return scaled(value, "Hz", "G")
    return f"{value:.4g}"


def size_text(value: float) -> str:
    """Return a size in TiB, GiB or MiB where it is a whole number of MiB, else in GB or MB."""
    if value < 2**20 or value % 2**20:
        return scaled(value, "B", "G")
    whole = next((u, s) for u, s in _BINARY if value % u == 0)
    unit, symbol = whole if whole[0] != 2**20 or value < 2**30 else (2**30, "GiB")
    return f"{value / unit:.5g} {symbol}"


def scaled(value: float, unit: str, largest: str) -> str:
    """Return a value with a decimal prefix, none above `largest`."""
    order = [symbol for _, symbol in _PREFIXES]
    usable = _PREFIXES[order.index(largest) :]
    factor, symbol = next(((f, s) for f, s in usable if abs(value) >= f), usable[-1])
    return f"{value / factor:.6g} {symbol}{unit}"


def as_json(kind: str, record: Record) -> dict[str, Any]:
    """Return a record as plain values in engine units, with the units and sources beside them."""
    kind = plural(kind)
    found = {f.attribute: getattr(record, f.attribute) for f in fields(kind).values()}
    units = {
        f.attribute: ENGINE_UNITS[f.dimension]
        for f in fields(kind).values()
        if f.dimension in ENGINE_UNITS
    }
    plain = {k: dict(v) if isinstance(v, Mapping) else v for k, v in found.items()}
    return {"kind": kind.removesuffix("s"), **plain, "units": units,
            "sources": dict(record.sources)}
