"""The answer of `capacity`: the highest load within the targets, and what was tried."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from llamasim.report.layout import columns, facts, money, number, seconds
from llamasim.report.measured import measured_rows
from llamasim.study.capacity import Capacity, Probe

_FIGURES = (
    "ttft_ms_p50", "ttft_ms_p99", "tpot_ms_p50", "tpot_ms_p99", "latency_s_p99", "output_tok_s",
    "usd_per_million_tokens", "joules_per_token", "running_mean", "kv_used_max", "preemptions",
    "rejected_requests",
)


def capacity_text(found: Capacity, head: str) -> str:
    """Return the answer, the figures there, and every load that was tried."""
    unit = "users" if found.users else "requests/s"
    lines = [f"{found.scenario.name}: {head}", ""]
    targets = f"{found.share:.1%} of requests within {_targets(found)}"
    best, over = found.best, found.over
    if best is None:
        first = found.probes[0]
        rows = [("capacity", f"none: at {number(first.rate)} {unit} already only "
                             f"{first.attained:.1%} are within"), ("targets", targets)]
        return "\n".join([*lines, *facts(rows), *_tried(found, unit)])
    more = f"; {number(over.rate)} are too many" if over is not None else "; no more were tried"
    rows = [("capacity", f"{number(best.rate)} {unit}{more}"), ("targets", targets)]
    s = best.summary
    rows.append(("output", f"{number(s['output_tok_s'])} tok/s"))
    rows.append(("time to first token", f"p50 {number(s['ttft_ms_p50'])} ms, "
                                        f"p99 {number(s['ttft_ms_p99'])} ms"))
    if s["tpot_ms_p50"] is not None:
        rows.append(("time per output token", f"p50 {number(s['tpot_ms_p50'])} ms, "
                                              f"p99 {number(s['tpot_ms_p99'])} ms"))
    if s["usd_per_million_tokens"] is not None:
        rows.append(("cost", f"{money(s['usd_per_million_tokens'])} per million output tokens"))
    if s["joules_per_token"] is not None:
        rows.append(("energy", f"{number(s['joules_per_token'])} J per token (devices only)"))
    rows += measured_rows([asdict(r) for r in found.measured])
    return "\n".join([*lines, *facts(rows), *_tried(found, unit)])


def _targets(found: Capacity) -> str:
    w = found.scenario.workload
    named = (("first token", w.slo_ttft_s), ("each further token", w.slo_tpot_s),
             ("whole request", w.slo_latency_s))
    return ", ".join(f"{name} {seconds(t)}" for name, t in named if t is not None)


def _tried(found: Capacity, unit: str) -> list[str]:
    rows: list[tuple[str, ...]] = [
        (unit, "within", "TTFT p99 ms", "TPOT p99 ms", "output tok/s", "running", ""),
        *(_row(p) for p in found.probes),
    ]
    return ["", "Tried", *columns(rows, right="012345").splitlines()]


def _row(p: Probe) -> tuple[str, ...]:
    keys = ("ttft_ms_p99", "tpot_ms_p99", "output_tok_s", "running_mean")
    shown = ["-" if p.summary[k] is None else number(p.summary[k]) for k in keys]
    return (number(p.rate), f"{p.attained:.1%}", *shown, "" if p.met else "missed")


def capacity_json(found: Capacity) -> dict[str, Any]:
    """Return the answer as plain values."""

    def plain(p: Probe | None) -> dict[str, Any] | None:
        if p is None:
            return None
        return {"rate": p.rate, "attained": p.attained, "met": p.met,
                **{k: p.summary[k] for k in _FIGURES}}

    return {
        "scenario": found.scenario.name, "unit": "users" if found.users else "requests/s",
        "share": found.share, "capacity": None if found.best is None else found.best.rate,
        "best": plain(found.best), "over": plain(found.over),
        "tried": [plain(p) for p in found.probes],
        "measured": [asdict(r) for r in found.measured],
    }
