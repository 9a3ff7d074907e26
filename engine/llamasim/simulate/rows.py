"""Growing columns of tasks and iterations."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Any

import attrs
import numpy as np

from llamasim.simulate.trace import Tasks


@attrs.define(eq=False, repr=False)
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


#: Start, end, cached tokens, steps, prefill tokens, decoding sequences, waiting and running
#: requests, blocks.
Row = tuple[float, float, float, int, int, int, int, int, int]
#: The types of columns: those of a row, and the server's number.
KINDS = "dddiiiiiii"
#: Rows that are kept as they come before they are packed.
PACKED = 4096


@attrs.define(eq=False, repr=False)
class IterationRows:
    """One server's iterations in order of their start; a row may stand for a run of equal ones.

    Attributes:
        fresh: rows as they come; call `pack` now and then.
        columns: those packed, in the order of `Iterations`.

    """

    fresh: list[Row] = attrs.Factory(list)
    columns: tuple[array[Any], ...] = attrs.Factory(
        lambda: tuple(array(kind) for kind in KINDS[:-1])
    )

    def __len__(self) -> int:
        """Return the number of rows that are here."""
        return len(self.columns[0]) + len(self.fresh)

    def add(
        self, start: float, end: float, steps: int, prefill: int, decoding: int, kv: float,
    ) -> None:
        """Add a run of `steps` equal iterations, of a batch that nothing waits for."""
        self.fresh.append((start, end, kv, steps, prefill, decoding, 0, decoding, 0))

    def pack(self) -> None:
        """Move fresh rows to the columns."""
        for column, values in zip(self.columns, zip(*self.fresh, strict=True), strict=False):
            column.extend(values)
        self.fresh.clear()

    def take(self, until: float) -> list[array[Any]]:
        """Return the columns of all that began before a moment; they are not here any more."""
        self.pack()
        count = bisect_left(self.columns[0], until)
        taken = [column[:count] for column in self.columns]
        for column in self.columns:
            del column[:count]
        return taken
