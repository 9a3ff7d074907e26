"""Iterations on their way out of memory: those that are over, in order, in pieces on disk.

Servers keep their rows until all of them have gone past a moment; what began before it is then put
in order and written. So a long run holds no more than a piece, and what is written stays as it is.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs
import numpy as np

from llamasim.simulate.rows import KINDS, IterationRows
from llamasim.simulate.trace import Iterations

#: Rows in memory at which those that can go to disk do.
PIECE = 1 << 18


class Keeps(Protocol):
    """What has iterations."""

    rows: IterationRows

    def since(self) -> float:
        """Return a moment before which no further iteration begins."""


class Damaged(Exception):  # noqa: N818 it says what the file is
    """What was written is not there any more."""


@attrs.define(eq=False, repr=False)
class Spool:
    """Pieces of a run's iterations.

    Attributes:
        sizes: rows of each piece that is in the file of this `name`.
        check: of the file's bytes (CRC-32).

    """

    sizes: list[int] = attrs.Factory(list)
    name: str = ""
    check: int = 0

    def note(self, servers: Sequence[Keeps], folder: Path | None) -> None:
        """Write what is over to a file in a folder, once it is much.

        Raises:
            OSError: it cannot be written.

        """
        if folder is None or sum(len(s.rows) for s in servers) < PIECE:
            return
        over = ordered([s.rows for s in servers], min(s.since() for s in servers))
        for piece in over:
            self._write(piece, folder)

    def _write(self, piece: Iterations, folder: Path) -> None:
        data = b"".join(c.tobytes() for c in columns(piece)).ljust(_bytes(len(piece.start)), b"\0")
        if not self.name:
            folder.mkdir(parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(".rows", "iterations-", folder)
            os.close(handle)
            self.name = Path(path).name
        with (folder / self.name).open("ab") as file:
            file.write(data)
        self.check = zlib.crc32(data, self.check)
        self.sizes.append(len(piece.start))

    def again(self, folder: Path | None) -> None:
        """Go on after the last piece; what a run that was killed wrote later goes.

        Raises:
            Damaged: pieces are missing or changed.

        """
        if not self.sizes:
            return
        if folder is None or not (folder / self.name).is_file():
            raise Damaged
        check = 0
        with (folder / self.name).open("r+b") as file:
            for size in self.sizes:
                check = zlib.crc32(file.read(_bytes(size)), check)
            file.truncate()
        if check != self.check:
            raise Damaged

    def pieces(self, servers: Sequence[Keeps], folder: Path | None) -> tuple[Iterations, ...]:
        """Return all iterations in order: views of the file, and what is still in memory.

        Raises:
            OSError: the file cannot be read.

        """
        rest = ordered([s.rows for s in servers], np.inf)
        if folder is None or not self.sizes:
            return rest
        whole = np.memmap(folder / self.name, dtype=np.uint8, mode="r")
        return (*self._views(whole), *rest)

    def _views(self, whole: Any) -> Iterator[Iterations]:
        at = 0
        for size in self.sizes:
            found, place = [], at
            for kind in KINDS:
                end = place + size * np.dtype(_TYPES[kind]).itemsize
                found.append(whole[place:end].view(_TYPES[kind]))
                place = end
            yield Iterations(*found)
            at += _bytes(size)


_TYPES = {"d": np.float64, "i": np.int32}


def _bytes(rows: int) -> int:
    """Return the size of a piece; the next one begins at a multiple of eight bytes."""
    size = rows * sum(np.dtype(_TYPES[k]).itemsize for k in KINDS)
    return -(-size // 8) * 8


def columns(piece: Iterations) -> tuple[Any, ...]:
    """Return the columns of a piece in the order of its attributes."""
    return tuple(getattr(piece, f.name) for f in attrs.fields(Iterations))


def ordered(rows: Sequence[IterationRows], until: float) -> tuple[Iterations, ...]:
    """Take the iterations that began before a moment from servers, in order of start, then end.

    Returns one piece, or none where there are no such iterations.
    """
    parts = [part.take(until) for part in rows]
    counts = [len(part[0]) for part in parts]
    if not sum(counts):
        return ()
    joined: list[Any] = [
        np.concatenate([np.frombuffer(p, dtype=_TYPES[p.typecode]) for p in pieces if len(p)])
        for pieces in zip(*parts, strict=True)
    ]
    joined.append(np.repeat(np.arange(len(parts), dtype=np.int32), counts))
    if len(parts) > 1:
        order = np.lexsort((joined[1], joined[0]))
        joined = [c[order] for c in joined]
    return (Iterations(*joined),)
