"""Accuracy: sourced intervals, and plain words where there is no evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamasim.report.layout import wrapped

Row = Mapping[str, Any]


def claim_lines(claims: Sequence[Row], ledger: Sequence[Row]) -> list[str]:
    """Return what is known about the accuracy that the techniques give up."""
    used = dict.fromkeys(r["technique"] for r in ledger)
    if not used:
        return []
    spoken = {c["technique"] for c in claims}
    lossy = [c for c in claims if (c["low"], c["high"]) != (0.0, 0.0)]
    exact = [t for t in used if t in spoken and not any(c["technique"] == t for c in lossy)]
    lines = ["", "Accuracy"]
    for c in lossy:
        scope = f" on {c['scope']}" if c["scope"] else ""
        lines += wrapped(f"{_short(c['technique'])}: {c['metric'].replace('_', ' ')} "
                         f"{_interval(c)}{scope}")
    if len({c["technique"] for c in lossy}) > 1:
        lines.append("  several of these together: interaction not measured")
    if exact:
        lines += wrapped("same results up to rounding: " + ", ".join(map(_short, exact)))
    unknown = [t for t in used if t not in spoken]
    if unknown:
        lines += wrapped("no evidence: " + ", ".join(map(_short, unknown)))
    return lines


def _short(technique: str) -> str:
    return technique.rsplit(".", 1)[-1]


def _interval(claim: Row) -> str:
    low, high = claim["low"], claim["high"]
    if claim["metric"].endswith(("_loss", "_increase")):
        return f"{low:.2%} to {high:.2%}"
    return f"{low:g} to {high:g}"
