"""Figures that were fitted to measurements: which there are, and records with others in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import attrs

from llamasim.catalog.describe import source_of
from llamasim.catalog.load import get, ids
from llamasim.catalog.specs import Device, Fabric, Runtime

Fitted = TypeVar("Fitted", Device, Fabric, Runtime)

_KINDS = ("devices", "fabrics", "runtimes")


@attrs.frozen
class Fit:
    """A fitted figure.

    Attributes:
        kind: of record: `devices`, `fabrics` or `runtimes`.
        owner: id of the record; of devices the family, which shares its fits.
        path: where it stands there: `sustained`, `formats.fp8`, `on.hopper.matmul_efficiency`.
        value, low, high: in engine units, and the least and the most that it could become.
        source: the rows that it was fitted on.

    """

    kind: str
    owner: str
    path: str
    value: float
    low: float
    high: float
    source: str


def fits() -> Iterator[Fit]:
    """Yield the fitted figures of the catalog, each once."""
    told: set[tuple[str, str, str]] = set()
    for kind in _KINDS:
        for name in ids(kind):
            record = get(kind, name)
            assert isinstance(record, Device | Fabric | Runtime)
            owner = owner_of(record)
            for path, (low, high) in record.bounds.items():
                if (kind, owner, path) not in told:
                    told.add((kind, owner, path))
                    yield Fit(kind, owner, path, figure(record, path), low, high,
                              source_of(record, path))


def owner_of(record: Device | Fabric | Runtime) -> str:
    """Return the name under which a record's fits are kept."""
    return (record.family if isinstance(record, Device) else "") or record.id


def figure(record: Device | Fabric | Runtime, path: str) -> float:
    """Return a figure of a record by its path; on a family of devices, the general one where the
    family has none of its own.
    """
    table, _, rest = path.partition(".")
    if table == "on":
        own: Mapping[str, float] = getattr(record, "on", {})
        return own[rest] if rest in own else figure(record, rest.partition(".")[2])
    found = getattr(record, table)
    return float(found[rest] if rest else found)


def with_figure(record: Fitted, path: str, value: float) -> Fitted:
    """Return a record with another value of a figure."""
    table, _, rest = path.partition(".")
    change: dict[str, Any] = {table: {**getattr(record, table), rest: value} if rest else value}
    return attrs.evolve(record, **change)
