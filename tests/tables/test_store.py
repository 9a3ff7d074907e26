"""Results on disk: whole or not at all, and the same bytes for the same run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from llamasim.tables import is_results, read, store, write

TABLES = {
    "summary": pa.table({"x": [1.5]}),
    "ops": pa.table({"op": ["a", "b"], "start_s": [0.0, 1.0]}),
}
OTHER = {"summary": pa.table({"x": [2.5]})}


def test_ipc_is_read_by_plain_pyarrow(tmp_path: Path) -> None:
    """Nothing of this program is needed to read its results."""
    write(TABLES, tmp_path / "run")
    with pa.memory_map(str(tmp_path / "run" / "ops.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
        assert table.to_pylist() == TABLES["ops"].to_pylist()


def test_parquet_is_read_by_duckdb(tmp_path: Path) -> None:
    """DuckDB opens Parquet files itself."""
    write(TABLES, tmp_path / "run", "parquet")
    found = duckdb.sql(f"select op from '{tmp_path}/run/ops.parquet' order by start_s").fetchall()
    assert found == [("a",), ("b",)]


@pytest.mark.parametrize("kind", ["ipc", "parquet"])
def test_what_is_written_is_read(tmp_path: Path, kind: store.Format) -> None:
    write(TABLES, tmp_path / "run", kind)
    assert is_results(tmp_path / "run")
    found = read(tmp_path / "run")
    assert {k: t.to_pylist() for k, t in found.items()} == {
        k: t.to_pylist() for k, t in TABLES.items()
    }


def test_a_later_run_replaces_an_earlier_one(tmp_path: Path) -> None:
    """No table of the earlier run is left to be mistaken for the later one's."""
    write(TABLES, tmp_path / "run", "parquet")
    write(OTHER, tmp_path / "run")
    found = read(tmp_path / "run")
    assert list(found) == ["summary"]
    assert found["summary"].to_pylist() == [{"x": 2.5}]


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_earlier_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    """Whether the disk is full or the user interrupts, half a result never shows."""
    write(TABLES, tmp_path / "run")
    whole = store._write_one

    def fail(table: pa.Table, path: Path, kind: store.Format) -> None:
        if path.stem == "ops":
            path.write_bytes(b"half")
            raise failure
        whole(table, path, kind)

    monkeypatch.setattr(store, "_write_one", fail)
    with pytest.raises(type(failure)):
        write({"summary": OTHER["summary"], "ops": TABLES["ops"]}, tmp_path / "run")
    assert read(tmp_path / "run")["summary"].to_pylist() == [{"x": 1.5}]
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_first_write_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(table: pa.Table, path: Path, kind: store.Format) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write_one", fail)
    with pytest.raises(OSError, match="No space"):
        write(TABLES, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    """`--out` beside one's own files must not delete them."""
    precious = tmp_path / "run" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("three years of work")
    with pytest.raises(OSError, match="no results"):
        write(TABLES, tmp_path / "run")
    assert precious.read_text() == "three years of work"


def test_files_beside_the_tables_stay(tmp_path: Path) -> None:
    """Notes kept in a results folder survive the next run."""
    write(TABLES, tmp_path / "run")
    (tmp_path / "run" / "notes.md").write_text("fast enough")
    write(OTHER, tmp_path / "run")
    assert (tmp_path / "run" / "notes.md").read_text() == "fast enough"


def test_an_empty_folder_holds_no_results(tmp_path: Path) -> None:
    assert not is_results(tmp_path)
