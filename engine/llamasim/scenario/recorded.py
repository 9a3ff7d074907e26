"""Recorded requests that a scenario names: shipped ones, or a file beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamasim.catalog.recordings import (
    Columns,
    Recording,
    RecordingError,
    find_recording,
    read_recording,
    recording_ids,
    shipped,
)
from llamasim.diagnostics import Span
from llamasim.scenario import problems
from llamasim.scenario.nodes import Mapping
from llamasim.scenario.values import Reading, place, shorten

if TYPE_CHECKING:
    from pathlib import Path


def named(reading: Reading, node: Mapping, path: str, at: Span, columns: Columns) -> (
    Recording | None
):
    """Return what `trace:` or `file:` of a mapping names, or None with what is wrong.

    Errors: neither or both (E0506, E0512); no such trace (E0511) or file (E0515); a file that holds
    no requests (E0522).
    """
    trace, file = node.get("trace"), node.get("file")
    if trace is None and file is None:
        reading.add(problems.error(
            "E0506", f"`{path}` needs `trace` or `file`", at, "neither is here",
            why="recorded requests come from the catalog or from a file beside the scenario",
            help=(f"write `trace: {recording_ids()[0]}`", "or `file: requests.csv`")))
        return None
    if trace is not None and file is not None:
        reading.add(problems.error(
            "E0512", f"`{path}` has both `trace` and `file`", file.key.span, "a second source",
            also=((trace.key.span, "the first"),), help=("delete one of them",)))
        return None
    entry = trace or file
    assert entry is not None
    name, span = getattr(entry.value, "text", ""), place(entry.value, entry.key)
    if trace is None:
        return _from_file(reading, reading.folder / name, name, span, columns)
    found = find_recording(name)
    if found is None:
        reading.add(problems.error(
            "E0511", f"the catalog has no trace `{shorten(name)}`", span, "unknown",
            help=problems.did_you_mean(name, recording_ids(), "traces")))
        return None
    return shipped(found)


def _from_file(
    reading: Reading, path: Path, name: str, span: Span, columns: Columns
) -> Recording | None:
    try:
        return read_recording(path, columns)
    except RecordingError as error:
        close = problems.did_you_mean(_quoted(error.words), error.known, "columns")
        reading.add(problems.error(
            "E0522", f"`{shorten(name)}` holds no requests: {error.words}", span, "read here",
            help=close or ("write one request a line, below a line of column names",)))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        reading.add(problems.error(
            "E0515", f"the file `{shorten(name)}` cannot be read", span, why.lower(),
            why="the path is relative to the scenario's folder", help=("check the path",)))
    return None


def _quoted(words: str) -> str:
    parts = words.split("`")
    return parts[1] if len(parts) > 1 else words


def columns_known(path: Path) -> tuple[str, ...]:
    """Return the names of a file's columns; none where they cannot be told."""
    try:
        read_recording(path, Columns("\0"))
    except RecordingError as error:
        return error.known
    except (OSError, ValueError):
        pass
    return ()
