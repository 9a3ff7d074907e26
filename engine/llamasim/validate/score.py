"""Errors of predictions: row by row, by metric and by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal

import attrs

Status = Literal["scored", "infeasible", "unsupported"]


@attrs.frozen
class Scored:
    """One metric of one row.

    Attributes:
        error: predicted / measured - 1; 1 for what ran in reality and is predicted not to fit.
        reason: why a row is infeasible or unsupported.
        groups: what the row belongs to: its device, source, runtime, workload and model.

    """

    row: str
    metric: str
    measured: float
    predicted: float | None
    error: float | None
    status: Status
    reason: str
    groups: Mapping[str, str]


def scored(
    row: str, metric: str, measured: float, predicted: float, groups: Mapping[str, str],
    infeasible: str = "",
) -> Scored:
    """Return the error of a prediction; a row that is predicted not to fit has an error of one."""
    if infeasible:
        return Scored(row, metric, measured, predicted, 1.0, "infeasible", infeasible, groups)
    return Scored(row, metric, measured, predicted, predicted / measured - 1, "scored", "", groups)


@attrs.frozen
class Errors:
    """Errors of one metric over some rows, as fractions."""

    n: int
    mape: float
    median_ape: float
    bias: float
    max_ape: float

    @staticmethod
    def of(errors: Sequence[float]) -> Errors:
        """Return the figures of some errors."""
        sizes = [abs(e) for e in errors]
        return Errors(len(errors), fmean(sizes), median(sizes), fmean(errors), max(sizes))


def by_metric(rows: Iterable[Scored]) -> dict[str, Errors]:
    """Return the errors of each metric, infeasible rows with an error of one."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row.error is not None:
            found.setdefault(row.metric, []).append(row.error)
    return {metric: Errors.of(errors) for metric, errors in sorted(found.items())}


def by_group(rows: Iterable[Scored], group: str) -> dict[tuple[str, str], Errors]:
    """Return the errors by metric and by what a group calls each row."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.error is not None:
            found.setdefault((row.metric, row.groups.get(group, "")), []).append(row.error)
    return {key: Errors.of(errors) for key, errors in sorted(found.items())}


def summary(rows: Sequence[Scored]) -> dict[str, Any]:
    """Return the summary of a validation: how many rows there were, and the errors by metric."""
    status: dict[str, Status] = {}
    for row in rows:
        if status.get(row.row) != "infeasible":
            status[row.row] = row.status
    count = {s: sum(v == s for v in status.values()) for s in ("unsupported", "infeasible")}
    total = len(status)
    kept = total - count["unsupported"]
    return {
        "rows": total, "scored": kept, **count,
        "coverage": (kept - count["infeasible"]) / total if total else 0.0,
        "metrics": {m: attrs.asdict(e) for m, e in by_metric(rows).items()},
    }


def worst(rows: Iterable[Scored], count: int) -> list[Scored]:
    """Return the rows with the largest errors."""
    known = [r for r in rows if r.error is not None]
    return sorted(known, key=lambda r: (-abs(r.error or 0.0), r.row, r.metric))[:count]
