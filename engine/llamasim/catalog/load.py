"""Records by name. Each call opens only the file that it needs; a record is read once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from llamasim.catalog import files
from llamasim.catalog.construct import construct
from llamasim.catalog.fields import Field, Record, engine_value, fields, plural
from llamasim.catalog.files import fold
from llamasim.catalog.specs import Device, Fabric, Host, Instance, Model, Runtime
from llamasim.units import parse_quantity

#: Keys of a table that tell of its figures.
_ABOUT = ("source", "sources", "bounds")


def ids(kind: str) -> tuple[str, ...]:
    """Return the ids of a kind: devices, fabrics, hosts, instances, models or runtimes."""
    return tuple(files.index(plural(kind)).values())


def find(kind: str, name: str) -> str | None:
    """Return the id that a name stands for; case, `_`, `.` and `-` do not matter."""
    kind, key = plural(kind), fold(name)
    return files.index(kind).get(key) or files.aliases(kind).get(key)


def get(kind: str, name: str) -> Record | None:
    """Return a record by id or short name, or None where there is no such record."""
    found = find(kind, name)
    return _load(plural(kind), found) if found else None


def get_device(name: str) -> Device | None:
    """Return a device."""
    return cast("Device | None", get("devices", name))


def get_fabric(name: str) -> Fabric | None:
    """Return a fabric."""
    return cast("Fabric | None", get("fabrics", name))


def get_host(name: str) -> Host | None:
    """Return a host."""
    return cast("Host | None", get("hosts", name))


def get_instance(name: str) -> Instance | None:
    """Return a cloud instance."""
    return cast("Instance | None", get("instances", name))


def get_model(name: str) -> Model | None:
    """Return a model."""
    return cast("Model | None", get("models", name))


def get_runtime(name: str) -> Runtime | None:
    """Return a runtime."""
    return cast("Runtime | None", get("runtimes", name))


@cache
def _load(kind: str, name: str) -> Record:
    entry = files.entry(kind, name)
    told: Mapping[str, str] = entry.pop("sources", {})
    sources = {_path(kind, k)[0] if k.startswith("on.") else k: s for k, s in told.items()}
    if "source" in entry:
        sources["*"] = str(entry.pop("source"))
    bounds = decode_bounds(kind, entry.pop("bounds", {}))
    values = decode(kind, entry)
    for table in _fitted(kind, name, entry.get("family", "")):
        values |= decode(kind, {k: v for k, v in table.items() if k not in _ABOUT})
        sources |= _fitted_sources(table)
        bounds |= decode_bounds(kind, table.get("bounds", {}))
    return construct(kind, {**values, "id": name, "bounds": bounds}, sources)


def _fitted(kind: str, name: str, family: str) -> Iterator[Mapping[str, Any]]:
    """Yield what was fitted, the particular after the general."""
    fits = files.fitted()
    if kind == "devices":
        yield fits.get("device_families", {}).get(family, {})
    for key, table in fits.get(kind, {}).items():
        if fold(key) == fold(name):
            yield table


def _fitted_sources(table: Mapping[str, Any]) -> dict[str, str]:
    given: Mapping[str, str] = table.get("sources", {})
    general = table.get("source", "fitted to published measurements")
    keys = [k for k in table if k not in _ABOUT]
    return {k: given.get(k, general) for k in keys}


def decode(kind: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's values by attribute, texts with units turned into engine values.

    Raises:
        ValueError: a key is unknown or a unit does not fit it; the catalog's own files are tested
            against this, so it is a mistake in the program, not a user's.

    """
    by_name = {f.key: f for f in fields(kind).values()}
    by_name |= {f.attribute: f for f in fields(kind).values()}
    values = {}
    for key, raw in entry.items():
        if key not in by_name:
            raise ValueError(f"{kind}: unknown key `{key}`")
        field = by_name[key]
        if raw != "" or field.type is str:
            values[field.attribute] = _decode(field, raw)
    return values


def decode_bounds(kind: str, entry: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the bounds of fitted figures by path (`formats.fp8`, `on.apple.graph_launch_s`)."""
    found = {}
    for key, (low, high) in entry.items():
        path, field = _path(kind, key)
        found[path] = _number(field, low), _number(field, high)
    return found


def _path(kind: str, key: str) -> tuple[str, Field]:
    """Return where a figure stands in a record, and its field."""
    by_name = {f.key: f for f in fields(kind).values()}
    table, _, name = key.rpartition(".")
    if table and not table.startswith("on."):
        return key, by_name[table]
    field = by_name[name]
    return f"{table}.{field.attribute}" if table else field.attribute, field


def _decode(field: Field, raw: Any) -> Any:
    if field.type is dict and field.dimension is None:
        return {
            f"{family}.{attribute}": value
            for family, table in raw.items()
            for attribute, value in decode("runtimes", table).items()
        }
    if field.type is dict:
        return {k: _number(field, v) for k, v in raw.items()}
    if field.dimension is not None:
        return _number(field, raw)
    return field.type(raw)


def _number(field: Field, raw: Any) -> float:
    if not isinstance(raw, str):
        return float(raw)
    quantity = parse_quantity(raw)
    if quantity.dimension != field.dimension:
        raise ValueError(f"`{field.key}` is in {field.dimension}, not {quantity.dimension}")
    return engine_value(quantity)
