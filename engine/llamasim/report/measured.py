"""What stands behind the figures of a run, and where they reach beyond it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llamasim.report.layout import facts

Row = Mapping[str, Any]

#: Kinds of figures in words.
_JOBS = {"prompts": "prompts", "generation": "generation", "serving": "servers",
         "training": "training steps"}


def measured_rows(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return labels and values of the evidence behind a run: the rows of the table `measured`."""
    behind = "; ".join(_behind(r) for r in rows) if any(r["runs"] for r in rows) else "nothing"
    found = [("measured", behind)]
    beyond = list(dict.fromkeys(b for r in rows for b in r["beyond"]))
    if beyond:
        found.append(("beyond that", "; ".join(beyond)))
    return found


def measured_lines(rows: Sequence[Row]) -> list[str]:
    """Return the evidence behind a run as lines."""
    return facts(measured_rows(rows)) if rows else []


def _behind(row: Row) -> str:
    job, runs = _JOBS[row["job"]], row["runs"]
    if not runs:
        return f"{job}: nothing"
    here = "" if row["of_device"] == runs else f", {row['of_device']:,} of this device"
    unseen = row["held_out_error"]
    held = "" if unseen is None else f" ({unseen:.0%} where no fit saw them)"
    count = f"{runs:,} {'run' if runs == 1 else 'runs'}"
    return f"{job}: {count}{here}; median error {row['error']:.0%}{held}"
