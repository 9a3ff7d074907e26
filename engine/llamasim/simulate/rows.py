"""Growing columns of tasks and iterations."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from llamasim.simulate.trace import Iterations, Tasks


@attrs.define(eq=False)
class TaskRows:
    """Tasks on the compute stream, in any order."""

    _rows: list[tuple[int, int, int, int, float, float]] = attrs.Factory(list)

    def add(
        self, rank: int, kind: int, chunk: int, micro_batch: int, start: float, end: float
    ) -> None:
        """Add one task."""
        self._rows.append((rank, kind, chunk, micro_batch, start, end))

    def build(self) -> Tasks:
        """Return the columns."""
        whole = np.array([r[:4] for r in self._rows], dtype=np.int32).reshape(-1, 4)
        times = np.array([r[4:] for r in self._rows], dtype=np.float64).reshape(-1, 2)
        stream = np.zeros(len(self._rows), dtype=np.int32)
        return Tasks(
            whole[:, 0], whole[:, 1], whole[:, 2], whole[:, 3], times[:, 0], times[:, 1], stream
        )


#: Start, end, steps, prefill tokens, decoding sequences, cached tokens, waiting and running
#: requests, blocks.
Row = tuple[float, float, int, int, int, float, int, int, int]
#: Rows that are kept as they come before they are packed.
PACKED = 4096


@attrs.define(eq=False)
class IterationRows:
    """Iterations in order of their start; a row may stand for a run of equal ones.

    Attributes:
        fresh: rows as they come; call `pack` now and then.
        columns: those packed, in the order of `Iterations`.

    """

    fresh: list[Row] = attrs.Factory(list)
    columns: tuple[array[Any], ...] = attrs.Factory(
        lambda: tuple(array(kind) for kind in "ddiiidiii")
    )

    def add(
        self, start: float, end: float, steps: int, prefill: int, decoding: int, kv: float,
        waiting: int, running: int | None = None, blocks: int = 0,
    ) -> None:
        """Add a run of `steps` equal iterations."""
        self.fresh.append((start, end, steps, prefill, decoding, kv, waiting,
                           decoding if running is None else running, blocks))

    def pack(self) -> None:
        """Move fresh rows to the columns."""
        for column, values in zip(self.columns, zip(*self.fresh, strict=True), strict=False):
            column.extend(values)
        self.fresh.clear()

    def build(self) -> Iterations:
        """Return the columns."""
        return joined([self])


def joined(parts: Sequence[IterationRows]) -> Iterations:
    """Return the iterations of several servers in order of their start, then end."""
    columns: list[Any] = []
    for part in parts:
        part.pack()
    for pieces in zip(*(p.columns for p in parts), strict=True):
        kind = np.float64 if pieces[0].typecode == "d" else np.int32
        arrays = [np.frombuffer(p, dtype=kind) for p in pieces if len(p)]
        columns.append(np.concatenate(arrays) if arrays else np.zeros(0, dtype=kind))
    if len(parts) > 1:
        order = np.lexsort((columns[1], columns[0]))
        columns = [c[order] for c in columns]
    else:
        columns = [c.copy() for c in columns]
    return Iterations(*columns)
