"""What was measured of runtimes and devices: the runs that predictions were held against.

No measured value is kept, only how many runs there were, of what, and how far predictions of them
are off. `python -m benchmarks.measured FOLDER` writes it anew from a folder of measurements.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import attrs

#: Least and most.
Span = tuple[float, float]


@attrs.frozen
class Measured:
    """Runs of one runtime on one device, of one kind of job.

    Attributes:
        job: `prompts`, `generation`, `serving` or `training`.
        runs: how many there are; `held_out` those of them that no fitted figure has seen.
        error, held_out_error: median of |predicted / measured - 1|; None where there is no run.
        bits: of a weight, whole ones, of inference; `math` arithmetic of matrix products.
        params: of the model; `context` tokens of a sequence; `sequences` at a time, of a batch;
            `devices` that work together.

    """

    runtime: str
    device: str
    job: str
    runs: int
    held_out: int
    error: float
    held_out_error: float | None
    bits: tuple[int, ...]
    math: tuple[str, ...]
    params: Span
    context: Span
    sequences: Span
    devices: Span


@cache
def everything() -> tuple[Measured, ...]:
    """Return all that was measured."""
    path = Path(__file__).parent / "data" / "measured.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Measured(**_tuples(row)) for row in rows)


def _tuples(row: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}


def measured(job: str, runtime: str = "", device: str = "") -> tuple[Measured, ...]:
    """Return what was measured of a job, of one runtime or device where they are named."""
    return tuple(m for m in everything() if m.job == job
                 and runtime in ("", m.runtime) and device in ("", m.device))
