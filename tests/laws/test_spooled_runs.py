"""A run whose iterations go to disk piece by piece is the run that keeps them in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.test_simulation_serving import runs
from tests.laws.test_unfinished_runs import Stopped, Watch, tables
from tests.simulate.hand_plans import plan, serving

from llamasim.simulate import spool, unfinished
from llamasim.simulate.serving import serve
from llamasim.simulate.unfinished import Unfit


class Folder(Watch):
    """A watch that gives iterations a folder."""

    def __init__(self, folder: Path, looks: int = 0, state: bytes | None = None) -> None:
        super().__init__(looks, state)
        self._folder = folder

    def folder(self) -> Path:
        return self._folder


@settings(max_examples=60, deadline=None)
@given(runs(), st.integers(1, 40), st.integers(1, 30), st.integers(1, 12))
def test_pieces_are_the_whole(
    run: tuple[Any, Any], events: int, rows: int, looks: int
) -> None:
    """In order, and through a stop at any moment."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished, "_EVENTS", events)
        patch.setattr(spool, "PIECE", rows)
        watch = Folder(Path(folder), looks)
        try:
            found = serve(*run, watch=watch)
        except Stopped:
            found = serve(*run, watch=Folder(Path(folder), 0, watch.state))
        assert all(len(p.start) for p in found.iterations)
        assert tables(found) == tables(serve(*run, watch=Folder(Path(folder))))
        compare(tables(found), tables(serve(*run)))


def compare(found: dict[str, Any], whole: dict[str, Any]) -> None:
    """Sums over pieces may differ from those of the whole in their last bits; nothing else may."""
    for name, table in whole.items():
        if name not in ("summary", "costs"):
            assert found[name] == table, name
            continue
        for column, values in table.items():
            for one, other in zip(found[name][column], values, strict=True):
                loose = pytest.approx(other, rel=1e-9) if isinstance(other, float) else other
                assert one == loose, column


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, bytes]:
    """A plan, a load, and the state of their run, some of whose iterations are on disk."""
    monkeypatch.setattr(unfinished, "_EVENTS", 4)
    monkeypatch.setattr(spool, "PIECE", 4)
    made = plan(mode="inference", schedule={"routing": "least_outstanding"}, replicas=2)
    load = serving("poisson", 60, prompt=100.0, output=20.0, rate=1000.0)
    watch = Folder(tmp_path, 20)
    with pytest.raises(Stopped):
        serve(made, load, watch=watch)
    assert watch.state is not None
    assert [p.suffix for p in tmp_path.iterdir()] == [".rows"]
    return made, load, watch.state


@pytest.mark.parametrize("harm", ["gone", "changed", "short"])
def test_what_was_written_must_still_be_there(
    stopped: tuple[Any, Any, bytes], tmp_path: Path, harm: str
) -> None:
    made, load, state = stopped
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(data if harm == "changed" else path.read_bytes()[:-8])
    with pytest.raises(Unfit, match="are missing"):
        serve(made, load, watch=Folder(tmp_path, 0, state))


def test_what_a_killed_run_wrote_after_its_state_goes(
    stopped: tuple[Any, Any, bytes], tmp_path: Path
) -> None:
    made, load, state = stopped
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"more of it")
    assert tables(serve(made, load, watch=Folder(tmp_path, 0, state))) == tables(serve(made, load))
