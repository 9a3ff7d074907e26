"""Where memory goes on the fullest device, and what would make it fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamasim.report.layout import bar, columns, gib, wrapped

Row = Mapping[str, Any]

#: What to try first when a category is the largest.
_REMEDIES = {
    "weights": "shard the weights over more devices (tensor or pipeline split), store them in "
               "fewer bits, or place layers on the host",
    "gradients": "shard gradients over the replicas, or accumulate them in fewer bits",
    "optimizer": "shard optimizer state over the replicas, or keep it in fewer bits",
    "activations": "recompute activations in the backward pass, use a smaller micro-batch, or "
                   "split the sequence over devices",
    "kv_cache": "a shorter sequence or a smaller batch, a cache in fewer bits, or more devices",
    "transient": "a smaller micro-batch, or fewer prompt tokens in one step",
}


def memory_lines(fits: Sequence[Row], ways: Sequence[str] = ()) -> list[str]:
    """Return memory by category on the fullest rank class; `ways` are changes that would fit."""
    totals = [r for r in fits if r["category"] == "total"]
    worst = max(totals, key=lambda r: r["peak_bytes"] / max(1.0, r["capacity_bytes"]))
    rank, capacity = worst["rank_class"], worst["capacity_bytes"]
    parts = [r for r in fits if r["rank_class"] == rank and r["category"] not in ("total", "host")]
    parts = [p for p in parts if p["peak_bytes"] > 0]
    stages = len(totals)
    where = f" (stage {rank} of 0 to {stages - 1})" if stages > 1 else ""
    lines = [f"Memory on the fullest device{where}: {gib(worst['peak_bytes'])} "
             f"of {gib(capacity)}"]
    rows = [
        (p["category"].replace("_", " "), gib(p["peak_bytes"]),
         f"{p['peak_bytes'] / capacity:.1%}", bar(p["peak_bytes"] / capacity))
        for p in sorted(parts, key=lambda p: -p["peak_bytes"])
    ]
    lines += columns(rows, right="12").splitlines()
    hosts = [r for r in fits if r["category"] == "host" and r["peak_bytes"] > 0]
    if hosts:
        host = max(hosts, key=lambda r: r["peak_bytes"])
        lines.append(f"  on the host: {gib(host['peak_bytes'])} of {gib(host['capacity_bytes'])}")
    return lines + _missing(worst, parts, hosts) + _ways(ways)


def _missing(worst: Row, parts: Sequence[Row], hosts: Sequence[Row]) -> list[str]:
    lines = []
    excess = worst["peak_bytes"] - worst["capacity_bytes"]
    if excess > 0:
        largest = max(parts, key=lambda p: p["peak_bytes"])
        remedy = _REMEDIES.get(largest["category"], "use devices with more memory")
        lines.append(f"  OUT OF MEMORY by {gib(excess)} on stage {worst['rank_class']}; "
                     f"{largest['category'].replace('_', ' ')} take most")
        lines += wrapped(f"what helps in general: {remedy}")
    for host in hosts:
        if host["peak_bytes"] > host["capacity_bytes"]:
            over = gib(host["peak_bytes"] - host["capacity_bytes"])
            lines.append(f"  OUT OF HOST MEMORY by {over}; keep more layers on the device")
            break
    return lines


def _ways(ways: Sequence[str]) -> list[str]:
    if not ways:
        return []
    lines = ["  it would fit with one of"]
    for way in ways:
        lines += wrapped(f"- {way}", 4)
    return lines
