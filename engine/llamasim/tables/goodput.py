"""A training run with its failures, as tables: one row a draw, and one row of what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from llamasim.simulate.trace import CAUSES, Trace

if TYPE_CHECKING:
    from llamasim.simulate.goodput import Goodput

_DAY = 86400.0

#: What becomes of each second of a run.
MEANINGS: Mapping[str, str] = {
    "useful": "of steps that count, as if nothing went wrong",
    "checkpoints": "standing still while the state is saved",
    "lost_work": "steps done again, because no checkpoint held them",
    "detection": "from a failure until the job is stopped to start again",
    "restart": "starting again and loading the checkpoint",
    "waiting": "for a failed node's repair, where no other one stands by",
    "planned": "planned interruptions, with their checkpoints and restarts",
    "stragglers": "waiting for the slowest device",
}


def _field(name: str, unit: str, doc: str = "") -> pa.Field:
    metadata = {k: v for k, v in (("unit", unit), ("doc", doc)) if v}
    return pa.field(name, pa.float64(), metadata=metadata or None)


GOODPUT = pa.schema([
    pa.field("trial", pa.int64()),
    _field("goodput", "", "useful share of the run's time"),
    _field("days", "day", "of the whole run"),
    _field("usd", "USD", "of all nodes, spare ones included; null without a price"),
    _field("failures", ""),
    _field("planned_stops", ""),
    *(_field(f"{cause}_s", "s", MEANINGS[cause]) for cause in CAUSES),
])

RELIABILITY = pa.schema([
    _field("mtbf_s", "s", "of the whole job"),
    _field("goodput_expected", "", "in closed form"),
    _field("failures_expected", ""),
    _field("checkpoint_bytes", "byte", "each element of the state once"),
    _field("pause_s", "s", "of training at a checkpoint"),
    _field("write_s", "s", "from then until the checkpoint can be used"),
    _field("load_s", "s", "of a checkpoint"),
    _field("interval_s", "s", "training time between checkpoints, as run"),
    _field("best_interval_s", "s", "of the largest expected goodput"),
    _field("young_s", "s", "Young's interval"),
    _field("daly_s", "s", "Daly's interval"),
    _field("straggler_factor", "", "mean step time over that without slow devices"),
])

#: Fields of the summary; percentiles are such that 50 or 95 of 100 runs do at least as well.
SUMMARY: Mapping[str, tuple[str, str]] = {
    "goodput_expected": ("", "useful share of a training run's time, in closed form"),
    "goodput_p50": ("", "useful share that half of the drawn runs reach"),
    "goodput_p95": ("", "useful share that 95 of 100 drawn runs reach"),
    "days_p50": ("day", "for the token budget, interruptions included"),
    "days_p95": ("day", ""),
    "usd_p50": ("USD", "for the token budget, interruptions and spare nodes included"),
    "usd_p95": ("USD", ""),
}


def hourly_usd(trace: Trace) -> float | None:
    """Return the price of an hour of all nodes, those that stand by included."""
    price = trace.scenario.cluster.usd_per_hour
    reliability = trace.scenario.reliability
    if price is None:
        return None
    spares = 0 if reliability is None else reliability.spares or 0
    return price * (trace.scenario.cluster.nodes + spares)


def goodput_tables(trace: Trace, found: Goodput) -> dict[str, pa.Table]:
    """Return the draws and what is expected; no draws where the run hardly gets anywhere."""
    job, saving = found.job, found.job.saving
    row = [
        job.mtbf_s, found.expected, _finite(found.failures), saving.bytes, saving.pause_s,
        saving.write_s, saving.load_s, found.interval_s, found.best_s, found.young_s,
        found.daly_s, job.paces.mean,
    ]
    tables = {"reliability": pa.table([[v] for v in row], schema=RELIABILITY)}
    draws = found.draws
    if draws is None:
        return {**tables, "goodput": GOODPUT.empty_table()}
    days = draws.total / _DAY
    hourly = hourly_usd(trace)
    count = len(days)
    usd = pa.nulls(count, pa.float64()) if hourly is None else pa.array(days * 24 * hourly)
    columns = [
        np.arange(count), draws.goodput, days, usd, draws.failures, draws.planned,
        *(draws.seconds[cause] for cause in CAUSES),
    ]
    return {**tables, "goodput": pa.table(columns, schema=GOODPUT)}


def goodput_summary(tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Return the summary's fields from the tables of a run; none where it has none."""
    if "goodput" not in tables:
        return {}
    row: dict[str, Any] = {
        "goodput_expected": tables["reliability"]["goodput_expected"][0].as_py(),
    }
    draws = tables["goodput"]
    if not draws.num_rows:
        return row
    for name, key, tail in (("goodput", "goodput", 5), ("days", "days", 95), ("usd", "usd", 95)):
        values = draws[key].to_numpy()
        if not np.isnan(values).any():
            p50, p95 = np.percentile(values, [50, tail])
            row |= {f"{name}_p50": float(p50), f"{name}_p95": float(p95)}
    return row


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
