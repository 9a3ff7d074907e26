"""What users of a server waited for, and what it had to do, from its summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamasim.report.layout import number

_SPREADS = (
    ("ttft_ms", "time to first token", "ms"), ("tpot_ms", "time per output token", "ms"),
    ("itl_ms", "between tokens", "ms"), ("latency_s", "whole request", "s"),
)


def served(s: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return labels and values of a run that finished requests."""
    rows: list[tuple[str, str]] = []
    for key, label, unit in _SPREADS:
        if s[f"{key}_mean"] is not None:
            each = ("p50", "p90", "p95", "p99")
            parts = ", ".join(f"{p} {number(s[f'{key}_{p}'])}" for p in each)
            rows.append((label, f"{number(s[f'{key}_mean'])} {unit} mean ({parts})"))
    rows.append(("requests", f"{number(s['requests_per_s'])} /s, "
                             f"{s['preemptions']:,} preemptions"))
    if s["running_mean"] is not None:
        rows.append(("under way", f"{number(s['running_mean'])} sequences a server on average, "
                                  f"{s['running_max']:,.0f} at most; "
                                  f"{number(s['waiting_mean'])} waiting"))
    if s["kv_used_mean"] is not None:
        rows.append(("cache in use", f"{s['kv_used_mean']:.1%} on average, "
                                     f"{s['kv_used_max']:.1%} at most"))
    if s["swapped_blocks"]:
        rows.append(("swapped", f"{s['swapped_blocks']:,} blocks between device and host"))
    if s["handover_ms_mean"]:
        rows.append(("between pools", f"{number(s['handover_ms_mean'])} ms for a prompt's cache on "
                                      "average, its wait for the link included"))
    if s["replicas_mean"] is not None and s["replicas_mean"] % 1:
        rows.append(("replicas", f"{number(s['replicas_mean'])} on average"))
    if s["cached_prompt"]:
        rows.append(("found in the cache", f"{s['cached_prompt']:.1%} of prompt tokens"))
    if s["slo_attained"] is not None:
        rows.append(("within the slo", f"{s['slo_attained']:.1%} of requests, "
                                       f"{number(s['goodput_per_s'])} /s"))
    return rows
