"""Training rows as scenarios, and their predicted step time, throughput and memory."""

from __future__ import annotations

from collections.abc import Mapping as Map
from typing import Any

import attrs

from llamasim import catalog
from llamasim.catalog.specs import Device, Fabric, Model
from llamasim.diagnostics import Source, Span
from llamasim.scenario.spec import Cluster, Scenario, Use, Workload
from llamasim.validate.files import Row
from llamasim.validate.mapping import Mapped, Mapping

#: Names that rows give runtimes whose catalog ids have other letters.
_RUNTIMES = {"optimum-habana+deepspeed": "optimum-habana-deepspeed"}

#: Devices in the NVLink domain of an NVL72 rack.
RACK = 72

_DIMS = ("layers", "hidden", "ffn", "heads", "kv_heads", "vocab")


class UnsupportedError(Exception):
    """A row that cannot be expressed; the message says why."""


def training_scenario(row: Row, mapping: Mapping) -> Scenario:
    """Return the scenario of a row.

    Raises:
        UnsupportedError: a device, a runtime or a technique of the row is not known.

    """
    mapped = mapping.apply(_with_implied(row))
    if mapped.refused:
        raise UnsupportedError(mapped.refused)
    columns = mapped.columns
    runtime = catalog.get_runtime(_RUNTIMES.get(columns["runtime"], columns["runtime"]))
    if runtime is None:
        raise UnsupportedError(f"no runtime `{columns['runtime']}` in the catalog")
    cluster = _cluster(columns)
    span = Span(Source(row.id, ""), 1, 1, 1, 1)
    return Scenario(
        name=row.id, edition=2026, model=model_of(columns), cluster=cluster, runtime=runtime,
        workload=_workload(columns), mesh_order=("pp", "dp", "cp", "tp"),
        use=_uses(mapped, span), prefer={},
    )


#: What sources call the memory that they report, as `simulate.memory.measures` does.
_MEASURES = {"active": "allocated"}


def memory_measure(row: Row, mapping: Mapping) -> str:
    """Return what a row's peak memory is: `allocated`, `reserved` or `device` (as drivers show)."""
    said = mapping.apply(_with_implied(row)).columns.get("memory_is", "allocated").lower()
    return _MEASURES.get(said, said)


def _with_implied(row: Row) -> Row:
    """Return the row with what other columns imply: how many devices hold the same weights, and
    whether several query heads share keys and values.
    """
    split = (row.number("tp") or 1) * (row.number("pp") or 1)
    stages = row.number("pp") or 1
    before = (row.number("layers") or 0) * (stages - 1) / stages
    grouped = (row.number("kv_heads") or 0) < (row.number("heads") or 0)
    return attrs.evolve(row, texts={
        **row.texts, "replicas": f"{(row.number('n_gpus') or 1) / split:g}",
        "layers_before_last_stage": f"{before:g}",
        "grouped": "1" if grouped and row.texts.get("kv_heads") else "0",
    })


def _uses(mapped: Mapped, span: Span) -> tuple[Use, ...]:
    return tuple(Use(name.rsplit(".", 1)[-1], name, args, span)
                 for name, args in mapped.uses.items())


def model_of(columns: Map[str, str]) -> Model:
    """Return the model that a row's dims describe, on the catalog's record of it where there is
    one.
    """
    known = catalog.get_model(columns.get("model", ""))
    given = {k: int(float(columns[k])) for k in _DIMS if columns.get(k)}
    if known is not None and all(getattr(known, k) == v for k, v in given.items()):
        return known
    heads, hidden = given.get("heads", 1), given["hidden"]
    head_dim = hidden // heads
    named = columns.get("model", "row")
    plain = known or Model(
        id=named, name=named, layers=0, hidden=hidden, ffn=4 * hidden, heads=heads, kv_heads=heads,
        head_dim=head_dim, vocab=50257, context=int(float(columns["seq_len"])),
        gated=columns.get("mlp") == "swiglu",
    )
    tp = int(float(columns.get("tp") or 1))
    if "vocab" in given and given["vocab"] % tp:
        # Split over devices, a vocabulary is padded as Megatron does.
        given["vocab"] += -given["vocab"] % (128 * tp)
    changes: dict[str, Any] = {"head_dim": head_dim, **given}
    plain = attrs.evolve(plain, **changes)
    if known is not None:
        return plain
    if columns.get("mlp") != "gelu":
        return plain
    # GPT as Megatron builds it.
    return attrs.evolve(plain, norm="layernorm", positions="learned", bias=True, tied=True,
                        dropout=True)


def _cluster(columns: Map[str, str]) -> Cluster:
    device = catalog.get_device(columns["device"])
    if device is None:
        raise UnsupportedError(f"no device `{columns['device']}` in the catalog")
    devices = int(float(columns["n_gpus"]))
    per_node = _joined(device, devices, min(devices, int(float(columns["gpus_per_node"]))))
    nodes = -(-devices // per_node)
    link = catalog.get_fabric(columns.get("host_link") or device.host_link or "pcie4-x16")
    host = catalog.get_host(_host_of(device))
    if link is None or host is None:
        raise UnsupportedError(f"no host or host link is known for `{device.id}`")
    inner = catalog.get_fabric(device.peer) if device.peer else link
    if inner is None or inner.kind == "host":
        inner = link  # through the host
    outer = _outer(columns, device, per_node) if nodes > 1 else None
    return Cluster(device, nodes, per_node, inner, outer, host, link)


def _joined(device: Device, devices: int, per_node: int) -> int:
    """Return how many devices one fast fabric joins: a node's, or most of a rack's where NVLink
    joins 72, as many as divide the job.
    """
    if not device.id.startswith(("gb200", "gb300")):
        return per_node
    return max(d for d in range(1, RACK + 1) if devices % d == 0)


def _host_of(device: Device) -> str:
    hosts = catalog.ids("hosts")
    return next((h for h in hosts if device.id.split("-")[0] in h), hosts[0])


def _outer(columns: Map[str, str], device: Device, per_node: int) -> Fabric:
    given = columns.get("inter_node_gbps_per_node")
    fabric = catalog.get_fabric("ib-ndr400")
    if fabric is None:
        raise UnsupportedError("no link between nodes is known")
    if not given:
        return fabric if not device.id.startswith("a100") else attrs.evolve(
            fabric, bandwidth=25e9)
    return attrs.evolve(fabric, bandwidth=float(given) * 1e9 / 8 / per_node)


def _workload(columns: Map[str, str]) -> Workload:
    micro = int(float(columns["micro_batch"]))
    shared = (int(float(columns["tp"])) * int(float(columns["pp"])) * int(float(columns["cp"])))
    replicas = max(1, int(float(columns["n_gpus"])) // shared)
    batch = int(float(columns.get("global_batch_seqs") or micro * replicas))
    return Workload(
        mode="training", dtype="fp16" if columns.get("precision") == "fp16" else "bf16",
        sequence=int(float(columns["seq_len"])), global_batch=batch, micro_batch=micro,
    )
