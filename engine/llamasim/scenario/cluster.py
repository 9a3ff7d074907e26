"""The `cluster:` section: devices, links, host and price, given or inferred."""

from __future__ import annotations

import re
from typing import Any, Literal

import attrs

from llamasim import catalog
from llamasim.catalog.specs import Device, Fabric, Host, Instance
from llamasim.diagnostics import Span
from llamasim.scenario import problems
from llamasim.scenario.fields import FIELDS, children
from llamasim.scenario.nodes import Mapping, Node, Scalar
from llamasim.scenario.records import find, look_up, read_record
from llamasim.scenario.spec import Cluster
from llamasim.scenario.values import Reading, place, read_keys, read_quantity, what_is

#: The host of a device that the catalog pairs with none.
_ANY_HOST = "workstation"
_PER = re.compile(r"\s+per\s+(node|device|gpu|instance|machine)\s*$")


def read_cluster(reading: Reading, node: Node, at: Span) -> Cluster | None:
    """Read the section; None once what is wrong has been noted."""
    if not isinstance(node, Mapping):
        ways = ("write `cluster: {device: h100-sxm, nodes: 1, devices_per_node: 8}`",)
        reading.add(problems.wrong_kind("cluster", "a mapping", what_is(node), at, ways))
        return None
    before = len(reading.found)
    values = read_keys(reading, "cluster", node, children("cluster"), at)
    instance = _instance(reading, values, node)
    device = _device(reading, values, node, instance, at)
    per_node = values.get("devices_per_node") or (instance.devices if instance else 1)
    nodes = values.get("nodes", 1)
    links = {key: _given(reading, values, node, key, "fabrics")
             for key in ("inner", "outer", "host_link")}
    host = _given(reading, values, node, "host", "hosts")
    price = _price(reading, node, per_node)
    if len(reading.found) > before or device is None:
        return None
    _check_count(reading, node, instance, per_node)
    host_link = links["host_link"] or _host_link(reading, device, at)
    host = host or _host(reading, device)
    if host_link is None:
        return None
    inner = _inner(reading, links["inner"], device, per_node, host_link, node)
    outer = _outer(reading, links["outer"], nodes, instance, node, at)
    if len(reading.found) > before:
        return None
    paid, source = _paid(price, instance)
    return Cluster(device, nodes, per_node, inner, outer, host, host_link, paid, source)


def _span_of(node: Mapping, key: str, otherwise: Span) -> Span:
    entry = node.get(key)
    return place(entry.value, entry.key) if entry else otherwise


def _instance(reading: Reading, values: dict[str, Any], node: Mapping) -> Instance | None:
    name = values.get("instance")
    found: Instance | None = None
    if name is not None:
        found = find(reading, "instances", name, _span_of(node, "instance", node.span))
    return found


def _device(
    reading: Reading, values: dict[str, Any], node: Mapping, instance: Instance | None, at: Span
) -> Device | None:
    given: Device | None = None
    if "device" in values:
        given = _given(reading, values, node, "device", "devices")
    elif instance is not None:
        given = look_up("devices", instance.device)
        reading.inferred["cluster.device"] = f"{instance.device}, from instance {instance.id}"
        if given is None:
            reading.add(problems.error(
                "E0511", f"instance `{instance.id}` has `{instance.device}`, which the catalog "
                "does not know", _span_of(node, "instance", at), "needs a device",
                help=("add `device: ID` beside it",)))
    elif node.get("device") is None and node.get("instance") is None:
        reading.add(problems.missing("cluster.device", at, FIELDS["cluster.device"].doc,
                                     FIELDS["cluster.device"].example))
    written = values.get("device")
    if given and instance and isinstance(written, Scalar) and given.id != instance.device:
        reading.add(problems.error(
            "E0512", f"instance `{instance.id}` has devices `{instance.device}`, not `{given.id}`",
            _span_of(node, "device", at), "another device",
            also=((_span_of(node, "instance", at), "from this instance"),),
            help=("delete `device`, or name another instance",)))
    return given


def _given(
    reading: Reading, values: dict[str, Any], node: Mapping, key: str, kind: str
) -> Any:
    if key not in values:
        return None
    return read_record(reading, f"cluster.{key}", kind, values[key], _span_of(node, key, node.span))


def _check_count(
    reading: Reading, node: Mapping, instance: Instance | None, per_node: int
) -> None:
    if instance is not None and per_node > instance.devices:
        reading.add(problems.error(
            "E0512", f"instance `{instance.id}` has {instance.devices} devices, not {per_node}",
            _span_of(node, "devices_per_node", node.span), "too many",
            also=((_span_of(node, "instance", node.span), f"{instance.devices} devices"),),
            help=("delete `devices_per_node`, or use more `nodes`",)))


def _host_link(reading: Reading, device: Device, at: Span) -> Fabric | None:
    if device.host_link is None:
        reading.add(problems.error(
            "E0513", f"the link from `{device.id}` to its host is not known", at,
            "needs `host_link`", help=("add `host_link: pcie5-x16`",)))
        return None
    found: Fabric | None = find(reading, "fabrics", device.host_link, at)
    reading.inferred["cluster.host_link"] = f"{device.host_link}, from device {device.id}"
    return found


def _host(reading: Reading, device: Device) -> Host:
    name = device.host or _ANY_HOST
    host = look_up("hosts", name) or look_up("hosts", _ANY_HOST)
    assert isinstance(host, Host)
    why = f"which usually surrounds {device.id}" if device.host else "as no host was named"
    reading.inferred["cluster.host"] = f"{host.id}, {why}"
    return host


def _inner(
    reading: Reading, given: Fabric | None, device: Device, per_node: int, host_link: Fabric,
    node: Mapping,
) -> Fabric | None:
    if given is not None:
        if given.kind == "inter-node":
            reading.add(_wrong_side("inner", given, "intra-node", node))
        return given
    if per_node == 1:
        return None
    if device.peer is not None:
        span = _span_of(node, "devices_per_node", node.span)
        peer: Fabric | None = find(reading, "fabrics", device.peer, span)
        reading.inferred["cluster.inner"] = f"{device.peer}, from device {device.id}"
        return peer
    reading.inferred["cluster.inner"] = (
        f"{host_link.id}: device {device.id} has no link of its own to its peers"
    )
    return host_link


def _outer(
    reading: Reading, given: Fabric | None, nodes: int, instance: Instance | None, node: Mapping,
    at: Span,
) -> Fabric | None:
    if given is not None:
        if given.kind != "inter-node":
            reading.add(_wrong_side("outer", given, "inter-node", node))
        return given
    if nodes == 1:
        return None
    found = look_up("fabrics", instance.network) if instance and instance.network else None
    if isinstance(found, Fabric) and instance is not None:
        reading.inferred["cluster.outer"] = f"{found.id}, from instance {instance.id}"
        return found
    reading.add(problems.error(
        "E0513", f"{nodes} nodes need a link between them", _span_of(node, "nodes", at),
        f"{nodes} nodes", why="nothing is assumed here: this link decides how the job scales",
        help=("add `outer: ib-ndr400`", f"known: {', '.join(_of_kind('inter-node'))}")))
    return None


def _of_kind(kind: str) -> list[str]:
    return [i for i in catalog.ids("fabrics") if look_up("fabrics", i).kind == kind]


def _wrong_side(key: Literal["inner", "outer"], fabric: Fabric, wanted: str, node: Mapping) -> Any:
    joins = {"host": "links a device to its host", "intra-node": "links devices inside a node",
             "inter-node": "links nodes"}
    return problems.error(
        "E0513", f"`{fabric.id}` {joins[fabric.kind]}, and `{key}` needs an {wanted} link",
        _span_of(node, key, node.span), fabric.kind,
        help=(f"{wanted} links: {', '.join(_of_kind(wanted))}",))


def _price(reading: Reading, node: Mapping, per_node: int) -> float | None:
    """Return the price given, in USD per hour of a node."""
    entry = node.get("price")
    if entry is None or not isinstance(entry.value, Scalar) or entry.value.null:
        return None
    field = FIELDS["cluster.price"]
    text = entry.value.text
    per = _PER.search(text)
    bare = attrs.evolve(entry.value, text=text[: per.start()] if per else text)
    quantity = read_quantity(reading, field, "cluster.price", bare)
    if quantity is None:
        return None
    if not 0 <= quantity.value < 1e9:
        reading.add(problems.error("E0509", "`cluster.price` is out of range", entry.value.span,
                                   "not a price", help=(f"write `price: {field.example}`",)))
        return None
    count = per_node if per and per.group(1) in ("device", "gpu") else 1
    return quantity.value * 3600 * count


def _paid(price: float | None, instance: Instance | None) -> tuple[float | None, str]:
    if price is not None:
        return price, "the scenario"
    if instance is None or instance.usd_per_hour is None:
        return None, ""
    where = f"{instance.provider} {instance.id}, {instance.region}, {instance.price_date}"
    return instance.usd_per_hour, where
