"""Results on disk: Arrow IPC or Parquet, written whole or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pyarrow as pa

from llamasim.tables.schemas import SCHEMAS

#: Rows of a batch at most.
BATCH = 1 << 18
Format = Literal["ipc", "parquet"]
_ENDINGS: Mapping[str, str] = {"ipc": "arrow", "parquet": "parquet"}


def write(tables: Mapping[str, pa.Table], folder: Path, kind: Format = "ipc") -> None:
    """Write tables into a folder in place of the tables it held; its other files stay.

    They are written beside it first; a run that is killed leaves the earlier results or none.

    Raises:
        OSError: the folder cannot be written, or it holds something else than results.

    """
    if folder.is_dir() and any(folder.iterdir()) and not is_results(folder):
        raise FileExistsError(errno.EEXIST, "it holds files, but no results", str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, table in tables.items():
            _write_one(table, fresh / f"{name}.{_ENDINGS[kind]}", kind)
        fresh.chmod(0o755)
        if folder.exists():
            _keep_others(folder, fresh)
            old = fresh.with_name(fresh.name + "-old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    finally:
        if fresh.exists():
            shutil.rmtree(fresh, ignore_errors=True)


def _keep_others(folder: Path, fresh: Path) -> None:
    """Copy what a results folder holds beside the tables of a run."""
    for path in folder.iterdir():
        if path.stem in SCHEMAS and path.suffix in (".arrow", ".parquet"):
            continue
        if path.is_dir():
            shutil.copytree(path, fresh / path.name, symlinks=True)
        else:
            shutil.copy2(path, fresh / path.name, follow_symlinks=False)


def _write_one(table: pa.Table, path: Path, kind: Format) -> None:
    if kind == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, path)
        return
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH)


def is_results(folder: Path) -> bool:
    """Whether a folder holds the results of a run, or of a search alone."""
    tables = ("summary", "candidates")
    return any((folder / f"{t}.{e}").is_file() for t in tables for e in _ENDINGS.values())


def read(folder: Path) -> dict[str, pa.Table]:
    """Return the tables of a folder by name.

    Raises:
        OSError, pa.ArrowInvalid: a file cannot be read.

    """
    tables = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".arrow":
            with pa.memory_map(str(path)) as source:
                tables[path.stem] = pa.ipc.open_file(source).read_all()
        elif path.suffix == ".parquet":
            import pyarrow.parquet as pq

            tables[path.stem] = pq.read_table(path)
    return tables
