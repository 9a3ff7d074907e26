"""The rows of a validation as an Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

_GROUPS = ("device", "source", "runtime", "workload", "model")


def table(rows: Sequence[Any]) -> pa.Table:
    """Return one row for each metric of each measurement; `error` is predicted / measured - 1."""
    columns: dict[str, list[Any]] = {
        name: [getattr(r, name) for r in rows]
        for name in ("row", "metric", "measured", "predicted", "error", "status", "reason")
    }
    columns |= {g: [r.groups.get(g, "") for r in rows] for g in _GROUPS}
    numbers = {"measured": pa.float64(), "predicted": pa.float64(), "error": pa.float64()}
    schema = pa.schema([(n, numbers.get(n, pa.string())) for n in columns])
    return pa.table(columns, schema=schema)


def write(rows: Sequence[Any], path: Path) -> None:
    """Write the table as an Arrow IPC file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = table(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, found.schema) as writer:
        writer.write_table(found)
