"""Recorded requests: when they came, how long they were, which beginnings they share.

A file is CSV (with a line of column names) or JSON lines, as it is or compressed (`.gz`, `.xz`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from llamasim.catalog import files
from llamasim.catalog.files import fold

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Seconds in the units that a column of times may be in.
UNITS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
#: Most bytes of a file, unpacked.
MOST_BYTES = 1 << 30


class RecordingError(Exception):
    """A file that holds no requests: `words` says what is wrong, `known` what columns there are."""

    def __init__(self, words: str, known: Sequence[str] = ()) -> None:
        super().__init__(words)
        self.words, self.known = words, tuple(known)


@attrs.frozen
class Columns:
    """Which column holds what; empty where none does.

    Attributes:
        arrived: times, or dates with times.
        prompt, output: tokens.
        blocks: lists of numbers (JSON lines only), each standing for a beginning of a prompt up to
            the end of that block of `block` tokens; equal numbers are equal beginnings.
        unit: of the times: `s`, `ms`, `us` or `ns`.
        variant: names of the variants of the model that requests ask for.

    """

    arrived: str = ""
    prompt: str = ""
    output: str = ""
    blocks: str = ""
    block: int = 512
    unit: str = "s"
    variant: str = ""


@attrs.frozen(eq=False)
class Recording:
    """Requests in order of arrival; a column that the file lacks is None.

    Attributes:
        name: of the file or catalog entry.
        digest: of its content and of what was read from it.
        arrived: seconds since the first request.
        blocks: numbers of the blocks of all prompts, one request after another; request i has
            those from `starts[i]` to `starts[i + 1]`, each of `block` tokens.
        variant: numbers of the variants, in the order in which their names occur in the file; -1
            where none is named.

    """

    name: str
    digest: str
    count: int
    arrived: npt.NDArray[np.float64] | None
    prompt: npt.NDArray[np.int32] | None
    output: npt.NDArray[np.int32] | None
    blocks: npt.NDArray[np.int64] | None = None
    starts: npt.NDArray[np.int64] | None = None
    block: int = 512
    variant: npt.NDArray[np.int32] | None = None
    licence: str = ""
    source: str = ""


def recording_ids() -> tuple[str, ...]:
    """Return the ids of the shipped recordings."""
    return tuple(files.index("traces").values())


def find_recording(name: str) -> str | None:
    """Return the id that a name stands for; case, `_`, `.` and `-` do not matter."""
    return files.index("traces").get(fold(name))


def shipped(name: str) -> Recording:
    """Return a shipped recording by its id."""
    entry = files.entry("traces", name)
    columns = Columns(
        entry["arrived"], entry["prompt"], entry["output"], entry.get("blocks", ""),
        entry.get("block", 512), entry.get("unit", "s"),
    )
    found = read_recording(files.DATA / "traces" / entry["file"], columns)
    return attrs.evolve(found, name=name, licence=entry["licence"], source=entry["source"])


def read_recording(path: Path, columns: Columns) -> Recording:
    """Read a file of requests.

    Raises:
        RecordingError: it holds something else.
        OSError: it cannot be read.

    """
    data = _unpacked(path)
    digest = hashlib.sha256(data + repr(columns).encode()).hexdigest()[:16]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"byte {error.start} is no text in UTF-8") from error
    lines = ".jsonl" in path.suffixes or ".ndjson" in path.suffixes
    rows = _json_lines(text, columns) if lines else _csv(text, columns)
    return _recording(path.name, digest, rows, columns)


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".xz":
        import lzma

        return _bounded(lambda: lzma.open(path))
    if path.suffix == ".gz":
        import gzip

        return _bounded(lambda: gzip.open(path))
    return _bounded(lambda: path.open("rb"))


def _bounded(opened: Any) -> bytes:
    import lzma
    import zlib

    try:
        with opened() as file:
            data: bytes = file.read(MOST_BYTES + 1)
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise RecordingError(f"it cannot be unpacked: {error}") from error
    if len(data) > MOST_BYTES:
        raise RecordingError("it is larger than 1 GiB")
    return data


def _wanted(columns: Columns) -> list[str]:
    picked = (columns.arrived, columns.prompt, columns.output, columns.blocks, columns.variant)
    return list(dict.fromkeys(filter(None, picked)))


def _csv(text: str, columns: Columns) -> dict[str, list[Any]]:
    reader = csv.reader(io.StringIO(text))
    names = next(reader, [])
    wanted = _wanted(columns)
    _known(wanted, names)
    places = [names.index(n) for n in wanted]
    picked: list[list[str]] = [[] for _ in wanted]
    for number, row in enumerate(reader, 2):
        if not row:
            continue
        if len(row) < len(names):
            raise RecordingError(f"line {number} has {len(row)} of {len(names)} columns")
        for values, at in zip(picked, places, strict=True):
            values.append(row[at])
    return dict(zip(wanted, picked, strict=True))


def _json_lines(text: str, columns: Columns) -> dict[str, list[Any]]:
    wanted = _wanted(columns)
    picked: dict[str, list[Any]] = {n: [] for n in wanted}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise RecordingError(f"line {number} is no JSON") from error
        if not isinstance(row, dict):
            raise RecordingError(f"line {number} is no JSON object")
        _known(wanted, list(row))
        for name in wanted:
            picked[name].append(row[name])
    return picked


def _known(wanted: Iterable[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            raise RecordingError(f"it has no column `{name}`", names)


def _recording(
    name: str, digest: str, rows: Mapping[str, list[Any]], columns: Columns
) -> Recording:
    import numpy as np

    count = len(next(iter(rows.values()), []))
    if not count:
        raise RecordingError("there is none in it")
    arrived = _times(rows[columns.arrived], columns) if columns.arrived else None
    prompt, output = (
        _tokens(rows[c], c) if c else None for c in (columns.prompt, columns.output)
    )
    order = np.argsort(arrived, kind="stable") if arrived is not None else np.arange(count)
    blocks, starts = None, None
    if columns.blocks:
        blocks, starts = _blocks([rows[columns.blocks][i] for i in order], columns.blocks)
    return Recording(
        name, digest, count, None if arrived is None else arrived[order] - arrived[order[0]],
        None if prompt is None else prompt[order], None if output is None else output[order],
        blocks, starts, columns.block,
        _numbered(rows[columns.variant])[order] if columns.variant else None,
    )


def _numbered(names: list[Any]) -> npt.NDArray[np.int32]:
    """Return a number for each name, as they first occur; -1 for no name."""
    import numpy as np

    known: dict[str, int] = {}
    words = ("" if name is None else str(name).strip() for name in names)
    numbers = (known.setdefault(word, len(known)) if word else -1 for word in words)
    return np.fromiter(numbers, dtype=np.int32, count=len(names))


def _times(values: list[Any], columns: Columns) -> npt.NDArray[np.float64]:
    import numpy as np

    try:
        times = np.array(values, dtype=np.float64) * UNITS[columns.unit]
    except (ValueError, TypeError):
        try:
            dates = np.array(values, dtype="datetime64[ns]")
        except (ValueError, TypeError) as error:
            raise RecordingError(
                f"column `{columns.arrived}` holds neither numbers nor dates", ()
            ) from error
        times = (dates - dates.min()).astype(np.int64) * 1e-9
    if not np.isfinite(times).all():
        raise RecordingError(f"column `{columns.arrived}` holds times that are not finite")
    return times


def _tokens(values: list[Any], column: str) -> npt.NDArray[np.int32]:
    import numpy as np

    try:
        numbers = np.array(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise RecordingError(f"column `{column}` holds something else than numbers") from error
    wrong = np.flatnonzero(~((numbers >= 0) & (numbers < 1e8) & (numbers == np.rint(numbers))))
    if len(wrong):
        raise RecordingError(
            f"column `{column}` holds {values[wrong[0]]!r} at request {wrong[0] + 1}, which is no "
            "number of tokens"
        )
    # A request of no tokens would never end; servers count at least one.
    return np.maximum(1, numbers).astype(np.int32)


def _blocks(
    lists: list[Any], column: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    import numpy as np

    try:
        starts = np.cumsum([0, *(len(x) for x in lists)])
        return np.array([i for x in lists for i in x], dtype=np.int64), starts
    except (ValueError, TypeError, OverflowError) as error:
        raise RecordingError(f"column `{column}` holds no lists of whole numbers") from error
