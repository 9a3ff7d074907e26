"""Files of measurements: rows of texts by column, and what a file is about."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from llamasim.diagnostics import Diagnostic

Kind = Literal["training", "inference", "collectives", "requests"]

#: Columns that a file of each kind must have.
REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "training": ("id", "layers", "hidden", "seq_len", "device", "runtime", "n_gpus",
                 "measured_step_time_s", "measured_tokens_per_s_per_gpu"),
    "inference": ("id", "workload", "model", "device", "runtime", "metric", "value"),
    "collectives": ("n_gpus", "nodes", "fabric", "op", "size_bytes", "time_us"),
    "requests": ("request", "arrived_at_s", "input_tokens", "output_tokens", "ttft_s"),
}
#: What was measured; a prediction never sees it.
MEASURED = ("measured_tflops_per_gpu", "measured_mfu", "measured_step_time_s",
            "measured_tokens_per_s_per_gpu", "measured_peak_mem_gb", "value", "time_us",
            "busbw_gb_s", "peak_mem_gb", "ttft_s", "latency_s", "queue_s")


@attrs.frozen
class Row:
    """One measurement.

    Attributes:
        texts: what the row says, by column, measured values and blanks left out.
        measured: what was measured, by column.

    """

    id: str
    texts: Mapping[str, str]
    measured: Mapping[str, float]

    def number(self, column: str) -> float | None:
        """Return a column's number, or None where it is blank or a word."""
        try:
            return float(self.texts[column])
        except (KeyError, ValueError):
            return None


@attrs.frozen
class File:
    """A file of measurements of one kind."""

    path: Path
    kind: Kind
    rows: tuple[Row, ...]


def read_rows(path: Path) -> tuple[File | None, list[Diagnostic]]:
    """Read a file; its kind is known by its columns."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = tuple(reader.fieldnames or ())
            kind = kind_of(columns)
            if kind is None:
                return None, [_unknown(path, columns)]
            rows = tuple(_row(number, texts) for number, texts in enumerate(reader))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return None, [Diagnostic("E0720", f"{path} cannot be read: {error}",
                                 help=("give a CSV file of measurements",))]
    return File(path, kind, rows), []


def kind_of(columns: tuple[str, ...]) -> Kind | None:
    """Return what a file with these columns is about."""
    for kind, wanted in REQUIRED.items():
        if set(wanted) <= set(columns):
            return kind
    return None


def _row(number: int, texts: Mapping[str, str | None]) -> Row:
    said = {k: v.strip() for k, v in texts.items() if k and v is not None and v.strip()}
    measured: dict[str, float] = {}
    for column in MEASURED:
        try:
            measured[column] = float(said.pop(column))
        except (KeyError, ValueError):
            continue
    return Row(said.get("id", str(number)), said, measured)


def _unknown(path: Path, columns: tuple[str, ...]) -> Diagnostic:
    near = min(REQUIRED, key=lambda k: len(set(REQUIRED[k]) - set(columns)))
    lacking = ", ".join(c for c in REQUIRED[near] if c not in columns)
    return Diagnostic(
        "E0721", f"{path} is no file of measurements that is known",
        why=f"for one of {near} it lacks the columns {lacking}",
        help=("the page docs/validation.md lists the columns of each kind",),
    )
