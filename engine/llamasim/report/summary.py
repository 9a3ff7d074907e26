"""The report of one run: the answer first, then where memory and time go, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamasim.report.claims import claim_lines
from llamasim.report.goodput import goodput_lines
from llamasim.report.layout import bar, columns, facts, money, number, seconds, wrapped
from llamasim.report.measured import measured_rows
from llamasim.report.memory import memory_lines
from llamasim.report.serving import served

Row = Mapping[str, Any]


def report_text(
    tables: Mapping[str, Any],
    name: str,
    head: str,
    ways: Sequence[str] = (),
    assumed: Mapping[str, str] | None = None,
) -> str:
    """Return the terminal report of a run from its tables.

    Args:
        tables: Arrow tables by name.
        name: of the scenario.
        head: one line about model and hardware.
        ways: changes that would make it fit, where it does not.
        assumed: what the scenario leaves open, and what was taken.

    """
    summary: Row = tables["summary"].to_pylist()[0]
    parts = [
        f"{name}: {head}",
        "",
        *_answer(summary, _first_reason(tables), tables["measured"].to_pylist()),
        "",
        *memory_lines(tables["fits"].to_pylist(), ways),
        "",
        *_time(tables, summary),
        *_economy(summary),
        *goodput_lines(tables),
        *claim_lines(tables["claims"].to_pylist(), tables["ledger"].to_pylist()),
        "",
        *_techniques(tables["ledger"].to_pylist()),
        *_assumed(assumed or {}),
    ]
    return "\n".join(parts)


def _first_reason(tables: Mapping[str, Any]) -> str:
    """Return why the first rejected request was; empty where none was."""
    rejected = tables.get("rejected")
    return "" if rejected is None or not rejected.num_rows else str(rejected["reason"][0])


def _answer(s: Row, rejection: str, evidence: Sequence[Row]) -> list[str]:
    rows: list[tuple[str, str]] = []
    if s["step_time_s"] is not None:
        rows.append(("step time", seconds(s["step_time_s"])))
        rows.append(("tokens/s", f"{number(s['tokens_per_s'])} in all, "
                                 f"{number(s['tokens_per_s_per_gpu'])} a device"))
    if s["model_tflops_per_gpu"] is not None and s["step_time_s"] is not None:
        rows.append(("useful work", f"{s['model_tflops_per_gpu']:.3g} TFLOP/s a device, "
                                    f"MFU {s['mfu']:.1%}; counted as {s['flops_convention']}"))
    rows += _inference(s)
    if rejection:
        count = s["rejected_requests"]
        rows.append(("rejected", f"{count:,} requests that can never be served; the first one, "
                                 f"because {rejection}"))
    rows += _waits(s)
    rows.append(("memory", f"{s['peak_memory_gib']:.1f} of {s['capacity_gib']:.1f} GiB: "
                           + _fits_words(s)))
    return facts([*rows, *measured_rows(evidence)])


def _fits_words(s: Row) -> str:
    if s["fits"]:
        return "fits"
    return "DOES NOT FIT; times are as if it did" if s["tokens_per_s"] else "DOES NOT FIT"


def _waits(s: Row) -> list[tuple[str, str]]:
    parts = []
    if s["devices"] > 1 and s["makespan_s"]:
        share = s["exposed_communication_s"] / s["makespan_s"]
        parts.append(f"{share:.1%} of the time for communication")
    if s["bubble_fraction"]:
        parts.append(f"{s['bubble_fraction']:.1%} for other pipeline stages")
    return [("waiting", ", ".join(parts))] if parts else []


def _inference(s: Row) -> list[tuple[str, str]]:
    rows = []
    for key, label in (("decode_tok_s", "decode"), ("prefill_tok_s", "prefill"),
                       ("output_tok_s", "output"), ("total_tok_s", "total")):
        if s[key] is not None:
            rows.append((label, f"{number(s[key])} tok/s"))
    if s["requests_per_s"] is None:
        for key, label in (("ttft_ms_mean", "time to first token"),
                           ("tpot_ms_mean", "time per output token")):
            if s[key] is not None:
                rows.append((label, f"{number(s[key])} ms"))
        if s["slo_attained"] is not None:
            rows.append(("within the slo", "yes" if s["slo_attained"] else "NO"))
        return rows
    return rows + served(s)


def _time(tables: Mapping[str, Any], s: Row) -> list[str]:
    if not s["makespan_s"]:
        return []
    costs = [c for c in tables["costs"].to_pylist() if c["share"] > 5e-5]
    lines = [f"Time: {seconds(s['makespan_s'])}, mean over devices"]
    rows = [
        (cause_name(c["cause"]), seconds(c["seconds"]), f"{c['share']:.1%}", bar(c["share"]))
        for c in sorted(costs, key=lambda c: -c["seconds"])
    ]
    lines += columns(rows, right="12").splitlines()
    return [*lines, *_ops(tables["ops"]), ""]


_CAUSES = {"bubble": "pipeline bubble", "reduce": "waiting for gradient reductions",
           "gather": "waiting for weight gathers", "send": "waiting for stage boundaries",
           "host": "waiting for the host", "copy": "waiting for host copies",
           "compute": "computing", "idle": "idle (no request)"}


def cause_name(cause: str) -> str:
    """Return in words what a device did or waited for."""
    if cause.startswith("collective:"):
        return f"waiting for collectives over {cause.removeprefix('collective:')}"
    return _CAUSES.get(cause, cause)


def _ops(ops: Any) -> list[str]:
    """Where computing goes on the first stage: by phase, by op, and by what bounds it."""
    if ops.num_rows == 0:
        return []
    import numpy as np

    spent = ops["end_s"].to_numpy() - ops["start_s"].to_numpy()
    spent = np.where(ops["rank_class"].to_numpy() == 0, spent, 0.0)
    stream = ops["stream"].combine_chunks()
    computing = stream.indices.to_numpy() == stream.dictionary.to_pylist().index("compute")
    spent = np.where(computing, spent, 0.0)
    rows = []
    for key, label in (("phase", "phases"), ("bound", "bound by"), ("op", "longest ops")):
        column = ops[key].combine_chunks()
        words = column.dictionary.to_pylist()
        sums = np.bincount(column.indices.to_numpy(), weights=spent, minlength=len(words))
        ranked = sorted(zip(sums.tolist(), words, strict=True), key=lambda p: (-p[0], p[1]))
        total = float(sums.sum()) or 1.0
        shares = [f"{word} {part / total:.0%}" for part, word in ranked if part / total >= 0.005]
        rows.append((label, ", ".join(shares[:6])))
    return ["", "Computing on the first stage", *facts(rows)]


def _economy(s: Row) -> list[str]:
    rows = []
    if s["usd_per_million_tokens"] is not None:
        kind = "tokens" if s["step_time_s"] is not None else "output tokens"
        rows.append(("cost", f"{money(s['usd_per_million_tokens'])} per million {kind} "
                             f"({_hourly(s)})"))
    else:
        rows.append(("cost", "no price given (`cluster.price`)"))
    if s["joules_per_token"] is not None:
        joules = s["joules_per_token"]
        rows.append(("energy", f"{number(joules)} J per token, {number(joules / 3.6)} kWh per "
                               "million (devices only)"))
    if s["days_to_token_budget"] is not None:
        dollars = s["usd_to_token_budget"]
        text = f"{seconds(s['days_to_token_budget'] * 86400)} without interruptions"
        text += "" if s["goodput_expected"] else " (`reliability` adds them)"
        rows.append(("token budget", text + (f", {money(dollars)}" if dollars else "")))
    return facts(rows)


def _hourly(s: Row) -> str:
    """Say what an hour costs; where replicas come and go, what it cost on average."""
    whole, paid = s["usd_per_hour"], (s["output_tok_s"] or 0.0) * 3600e-6 * (
        s["usd_per_million_tokens"])
    if s["replicas_mean"] is None or paid > 0.999 * whole:
        return f"{money(whole)}/h"
    return f"{money(paid)}/h for the replicas that were there, of {money(whole)}/h"


def _techniques(ledger: Sequence[Row]) -> list[str]:
    if not ledger:
        return ["Techniques: none in use"]
    rows = []
    for name in dict.fromkeys(r["technique"] for r in ledger):
        mine = [r for r in ledger if r["technique"] == name]
        rows.append((name, ", ".join(dict.fromkeys(r["cell"] or r["verb"] for r in mine))))
    return ["Techniques and what they write (`llamasim plan` shows the values)", *facts(rows)]


def _assumed(assumed: Mapping[str, str]) -> list[str]:
    """What the scenario leaves open; a reader should see what was taken for it."""
    if not assumed:
        return []
    lines = ["", "Taken, because the scenario does not say"]
    for key, value in assumed.items():
        lines += wrapped(f"{key}: {value}")
    return lines


def compare_text(rows: Sequence[Row]) -> str:
    """Return several runs side by side."""
    fields = [
        ("step_time_s", "step time s"), ("tokens_per_s", "tokens/s"),
        ("decode_tok_s", "decode tok/s"), ("prefill_tok_s", "prefill tok/s"),
        ("output_tok_s", "output tok/s"), ("ttft_ms_p50", "TTFT p50 ms"),
        ("tpot_ms_p50", "TPOT p50 ms"), ("mfu", "MFU"), ("peak_memory_gib", "memory GiB"),
        ("fits", "fits"), ("usd_per_million_tokens", "$ / M tokens"),
        ("joules_per_token", "J / token"),
    ]
    lines: list[Sequence[str]] = [("", *(str(r["scenario"])[:18] for r in rows))]
    for key, label in fields:
        if any(r[key] is not None for r in rows):
            lines.append((label, *(_cell(r[key]) for r in rows)))
    return columns(lines, right="".join(str(i) for i in range(1, min(10, len(rows) + 1))))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return number(value) if isinstance(value, float | int) else str(value)


