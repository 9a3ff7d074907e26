"""Collectives as rows: which links they ran over, and how long the model says they take."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from collections.abc import Mapping as Map
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from llamasim import catalog
from llamasim.assets import rules_dir
from llamasim.catalog.specs import Fabric
from llamasim.cost import Machine
from llamasim.cost.collectives import collective_seconds
from llamasim.plan.spec import Group
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.files import Row
from llamasim.validate.mapping import matches
from llamasim.validate.score import Scored, scored

METRIC = "time_us"


#: What is done to a link's record before it is used.
Change = Callable[[Fabric], Fabric]


def predict_collective(row: Row, change: Change | None = None) -> Scored:
    """Return the error of one measured collective."""
    texts = row.texts
    groups = {"device": texts.get("device", ""), "source": texts.get("source", "").split("@")[0],
              "runtime": texts["fabric"].split(" ")[0], "workload": texts["op"]}
    value = row.measured.get(METRIC)
    try:
        if not value:
            raise UnsupportedError("no time is given")
        seconds = seconds_of(row, change)
    except UnsupportedError as error:
        return Scored(row.id, METRIC, value or 0.0, None, None, "unsupported", str(error), groups)
    return scored(row.id, METRIC, value, seconds * 1e6, groups)


def links_of(row: Row) -> Map[str, Any] | None:
    """Return which links join the devices of a row, as the mapping has it; None where unknown."""
    return next((e for e in _links() if matches(e["when"], row.texts)), None)


def seconds_of(row: Row, change: Change | None = None) -> float:
    """Return the predicted seconds of a row.

    Raises:
        UnsupportedError: its links are not known, or its figures are none.

    """
    links = links_of(row)
    if links is None:
        raise UnsupportedError(f"no link is known for `{row.texts['fabric']}`")
    size, count, nodes = (row.number(c) for c in ("size_bytes", "n_gpus", "nodes"))
    if size is None or not count or not nodes:
        raise UnsupportedError("size_bytes, n_gpus and nodes must be numbers")
    joined = int(links.get("pair", count // nodes))
    group = Group("row", int(count), max(1, joined))
    kind = _kinds().get(row.texts["op"], row.texts["op"])
    machine = _machine(
        links["inner"], links.get("outer", ""), int(links.get("per_node", group.per_node)))
    if change is not None:
        between = machine.outer and change(machine.outer)
        within = machine.inner and change(machine.inner)
        machine = attrs.evolve(machine, inner=within, outer=between)
    return collective_seconds(kind, size, group, machine)


@cache
def _machine(inner: str, outer: str, per_node: int) -> Machine:
    """Return a machine whose devices these links join; its device does not matter here."""
    device, host = catalog.get_device("h100-sxm"), catalog.get_host("dgx-h100")
    runtime, link = catalog.get_runtime("megatron-core"), catalog.get_fabric("pcie5-x16")
    within, between = catalog.get_fabric(inner), catalog.get_fabric(outer) if outer else None
    if not (device and host and runtime and link and within):
        raise UnsupportedError(f"no fabric `{inner}` in the catalog")
    return Machine(device, host, runtime, within, between, link, per_node)


@cache
def _tables() -> Map[str, Any]:
    path = Path(rules_dir()) / "validation" / "collectives.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _links() -> list[Map[str, Any]]:
    found: list[Map[str, Any]] = _tables()["links"]
    return found


def _kinds() -> Map[str, str]:
    found: Map[str, str] = _tables()["kinds"]
    return found
