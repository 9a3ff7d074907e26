"""A validation as text: errors by metric, by group, and the worst rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llamasim.report.layout import columns

if TYPE_CHECKING:
    from llamasim.validate.score import Scored
    from llamasim.validate.sensitivity import Effect


def text(rows: Sequence[Scored], by: str, count: int) -> str:
    """Return the report of a validation."""
    from llamasim.validate.score import by_group, by_metric, summary, worst

    told = summary(rows)
    lines = [
        f"{told['rows']:,} rows: {told['unsupported']} unsupported, {told['infeasible']} predicted "
        f"not to fit; coverage {told['coverage']:.1%}", "",
    ]
    table: list[tuple[str, ...]] = [("metric", by, "rows", "mean", "median", "bias", "worst")]
    table += [(m, "all", *_figures(e)) for m, e in by_metric(rows).items()]
    table += [(m, g, *_figures(e)) for (m, g), e in by_group(rows, by).items()]
    lines += [columns(table, right="23456"), "", "Worst rows"]
    bad: list[tuple[str, ...]] = [("row", "metric", "measured", "predicted", "error", "why")]
    bad += [
        (r.row, r.metric, f"{r.measured:,.4g}", f"{r.predicted or 0:,.4g}", f"{r.error or 0:+.1%}",
         r.reason)
        for r in worst(rows, count)
    ]
    lines.append(columns(bad, right="234"))
    reasons = sorted({r.reason for r in rows if r.status == "unsupported"})
    if reasons:
        lines += ["", "Unsupported", *(f"  {r}" for r in reasons)]
    return "\n".join(lines)


def _figures(errors: Any) -> tuple[str, ...]:
    return (str(errors.n), f"{errors.mape:.1%}", f"{errors.median_ape:.1%}", f"{errors.bias:+.1%}",
            f"{errors.max_ape:.1%}")


def told_effects(effects: Sequence[Effect]) -> str:
    """Return what fitted figures do to the errors of a sample of the rows that they move."""
    table: list[tuple[str, ...]] = [
        ("record", "figure", "rows", "10 % less", "now", "10 % more", "moves")]
    table += [
        (e.fit.owner, e.fit.path, str(e.rows), f"{e.less:.1%}", f"{e.now:.1%}", f"{e.more:.1%}",
         f"{e.change:.1%}") for e in effects
    ]
    return "\n".join(["", "Mean absolute error with another value of each fitted figure",
                      columns(table, right="23456")])
