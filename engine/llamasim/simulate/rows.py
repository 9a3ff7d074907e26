"""Growing columns of tasks and iterations."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from llamasim.simulate.trace import Iterations, Tasks

#: Start, end, steps, prefill tokens, decoding sequences, cached tokens read, waiting requests.
IterationRow = tuple[float, float, int, int, int, float, int]


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


@attrs.define(eq=False)
class IterationRows:
    """Iterations in order of their start."""

    _rows: list[IterationRow] = attrs.Factory(list)

    def add(
        self, start: float, end: float, steps: int, prefill: int, decoding: int, kv: float,
        waiting: int,
    ) -> None:
        """Add a run of `steps` equal iterations."""
        self._rows.append((start, end, steps, prefill, decoding, kv, waiting))

    def __iter__(self) -> Iterator[IterationRow]:
        return iter(self._rows)

    def extend(self, other: IterationRows) -> None:
        """Add another server's rows."""
        self._rows += other._rows

    def build(self) -> Iterations:
        """Return the columns."""
        columns = list(zip(*sorted(self._rows), strict=True)) or [()] * 7
        start, end, steps, prefill, decoding, kv, waiting = columns
        return Iterations(
            np.array(start, dtype=np.float64), np.array(end, dtype=np.float64),
            np.array(steps, dtype=np.int32), np.array(prefill, dtype=np.int32),
            np.array(decoding, dtype=np.int32), np.array(kv, dtype=np.float64),
            np.array(waiting, dtype=np.int32),
        )
