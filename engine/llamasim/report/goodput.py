"""A training run with its failures, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamasim.report.layout import bar, columns, facts, money, seconds

_CAUSES = {
    "useful": "training that counts", "checkpoints": "saving checkpoints",
    "lost_work": "steps done again", "detection": "noticing failures",
    "restart": "starting again", "waiting": "waiting for repairs",
    "planned": "planned interruptions", "stragglers": "waiting for slow devices",
}
_DAY = 86400.0


def goodput_lines(tables: Mapping[str, Any]) -> list[str]:
    """Return what failures make of a training run; nothing where the scenario names none."""
    if "reliability" not in tables:
        return []
    summary: Mapping[str, Any] = tables["summary"].to_pylist()[0]
    row: Mapping[str, Any] = tables["reliability"].to_pylist()[0]
    trials = tables["goodput"].num_rows
    if not trials:
        return ["", "Over the token budget, with failures", *facts([
            ("goodput", "below 1%: hardly a checkpoint is reached before the job fails again, "
                        f"every {seconds(row['mtbf_s'])}"),
            _saving(row)])]
    times = causes_of(tables)
    whole = sum(times.values())
    lines = [
        "",
        f"Over the token budget, with failures: {trials:,} runs drawn; p95 is what 95 of 100 keep",
        *facts([*_answers(summary, row), _failures(tables, row), _saving(row)]), "",
        f"Time: {seconds(whole)}, mean of those runs",
    ]
    rows = [
        (_CAUSES[cause], seconds(time), _percent(time / whole), bar(time / whole))
        for cause, time in sorted(times.items(), key=lambda item: -item[1]) if time > 0
    ]
    return [*lines, *columns(rows, right="12").splitlines()]


def causes_of(tables: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean seconds of a run by cause; they add up to its time."""
    draws = tables["goodput"]
    if not draws.num_rows:
        return {}
    return {cause: float(draws[f"{cause}_s"].to_numpy().mean()) for cause in _CAUSES}


def goodput_object(tables: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what programs get; None where the scenario names no failures."""
    if "reliability" not in tables:
        return None
    row: dict[str, Any] = tables["reliability"].to_pylist()[0]
    return {**row, "trials": tables["goodput"].num_rows, "seconds_by_cause": causes_of(tables)}


def _answers(s: Mapping[str, Any], row: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        ("goodput", f"{s['goodput_p50']:.1%} (p50), {s['goodput_p95']:.1%} (p95); "
                    f"{row['goodput_expected']:.1%} in closed form"),
        ("time", f"{seconds(s['days_p50'] * _DAY)} (p50), {seconds(s['days_p95'] * _DAY)} (p95); "
                 f"{seconds(s['days_to_token_budget'] * _DAY)} without interruptions"),
    ]
    if s["usd_p50"] is not None:
        rows.append(("cost", f"{money(s['usd_p50'])} (p50), {money(s['usd_p95'])} (p95); "
                             f"{money(s['usd_to_token_budget'])} without interruptions"))
    return rows


def _failures(tables: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, str]:
    text = f"{_count(row['failures_expected'])} expected, one in {seconds(row['mtbf_s'])}"
    planned = float(tables["goodput"]["planned_stops"].to_numpy().mean())
    return "failures", text + (f"; {_count(planned)} planned interruptions" if planned else "")


def _saving(row: Mapping[str, Any]) -> tuple[str, str]:
    chosen, best = seconds(row["interval_s"]), seconds(row["best_interval_s"])
    which = "the best interval" if row["interval_s"] == row["best_interval_s"] else (
        f"{best} would be best")
    write = f", written {seconds(row['write_s'])} later" if row["write_s"] else ""
    return "checkpoints", (
        f"every {chosen} of training ({which}; Young {seconds(row['young_s'])}, Daly "
        f"{seconds(row['daly_s'])}): {_size(row['checkpoint_bytes'])}, "
        f"{seconds(row['pause_s'])} pause{write}, loaded in {seconds(row['load_s'])}")


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else f"{share:.1g}"


def _size(size: float) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1e6:.3g} MB"
