"""The `reliability:` section: what a long training job suffers, and what is done about it."""

from __future__ import annotations

from typing import Any

from llamasim.diagnostics import Span
from llamasim.scenario import problems
from llamasim.scenario.fields import FIELDS, children
from llamasim.scenario.nodes import Mapping, Node, Scalar
from llamasim.scenario.reliability import Checkpointing, Reliability, Stragglers
from llamasim.scenario.spec import Cluster, Workload
from llamasim.scenario.values import Reading, read_keys, read_number, what_is

_PATH = "reliability"
#: Meta's storage sustains 2 TB/s for the 2,048 nodes of a job (arXiv:2407.21783, section 3.3.1).
_NODE_STORAGE = 1e9
_NODE_STORAGE_WHY = "1 GB/s, as Meta's storage sustains for each of 2,048 nodes (arXiv:2407.21783)"


def read_reliability(
    reading: Reading, node: Node, at: Span, cluster: Cluster | None, workload: Workload | None
) -> Reliability | None:
    """Read the section; None once what is wrong has been noted."""
    before = len(reading.found)
    values = _section(reading, _PATH, node, at)
    checkpoint = _checkpoint(reading, values.get("checkpoint"), at)
    slow = _below(reading, "stragglers", values.get("stragglers"), at)
    _check_job(reading, workload, at)
    if len(reading.found) > before or cluster is None or workload is None:
        return None
    device = _device_mtbf(reading, values, cluster, at)
    if len(reading.found) > before:
        return None
    keys = ("planned", "detection", "restart", "repair", "node_mtbf")
    times = {f"{k}_s": values[k] for k in keys if k in values}
    plain = {k: values[k] for k in ("repair_share", "spares", "trials") if k in values}
    if "spares" not in values:
        reading.inferred[f"{_PATH}.spares"] = "always one at hand, at no price"
    return Reliability(
        device_mtbf_s=device, shape=values.get("failure_shape", 1.0), checkpoint=checkpoint,
        stragglers=Stragglers(**slow), **times, **plain,
    )


def _section(reading: Reading, path: str, node: Node, at: Span) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        ways = (f"write `{path.rpartition('.')[2]}: {FIELDS[path].example}`",)
        reading.add(problems.wrong_kind(path, "a mapping", what_is(node), at, ways))
        return {}
    return read_keys(reading, path, node, children(path), at)


def _below(reading: Reading, key: str, node: Node | None, at: Span) -> dict[str, Any]:
    path = f"{_PATH}.{key}"
    return {} if node is None else _section(reading, path, node, reading.spans.get(path, at))


def _checkpoint(reading: Reading, node: Node | None, at: Span) -> Checkpointing:
    values = _below(reading, "checkpoint", node, at)
    limits = {k: values.get(k) for k in ("storage", "node_storage")}
    if not any(limits.values()):
        limits["node_storage"] = _NODE_STORAGE
        reading.inferred[f"{_PATH}.checkpoint.node_storage"] = _NODE_STORAGE_WHY
    interval = _interval(reading, node) if "interval" in values else None
    usual = Checkpointing()
    return Checkpointing(
        interval, values.get("asynchronous", usual.asynchronous),
        pause_s=values.get("pause", usual.pause_s), **limits,
    )


def _interval(reading: Reading, node: Node | None) -> float | None:
    entry = node.get("interval") if isinstance(node, Mapping) else None
    if entry is None or not isinstance(entry.value, Scalar) or entry.value.text.strip() == "auto":
        return None
    path = f"{_PATH}.checkpoint.interval"
    return read_number(reading, FIELDS[path], path, entry.value)


def _check_job(reading: Reading, workload: Workload | None, at: Span) -> None:
    if workload is None:
        return
    if workload.mode != "training":
        reading.add(problems.error(
            "E0512", "`reliability` has no meaning in inference", at, "for training only",
            help=("delete `reliability`, or set `workload.mode: training`",)))
    elif workload.token_budget is None:
        reading.add(problems.error(
            "E0506", "`workload.token_budget` is missing", at, "needs a length of the run",
            why="failures and checkpoints are drawn over a whole training run",
            help=(f"add `token_budget: {FIELDS['workload.token_budget'].example}` to `workload`",)))


def _device_mtbf(
    reading: Reading, values: dict[str, Any], cluster: Cluster, at: Span
) -> float | None:
    given: float | None = values.get("device_mtbf")
    if given is not None or "node_mtbf" in values:
        return given
    device = cluster.device
    if device.mtbf_s > 0:
        hours = f"{device.mtbf_s / 3600:,.0f} h, from device {device.id}"
        reading.inferred[f"{_PATH}.device_mtbf"] = hours
        return device.mtbf_s
    reading.add(problems.error(
        "E0506", f"nobody has published how often `{device.id}` fails", at,
        "needs `device_mtbf` or `node_mtbf`",
        help=(f"add `device_mtbf: {FIELDS['reliability.device_mtbf'].example}`, which an H100 has "
              "in a large cluster",)))
    return None
