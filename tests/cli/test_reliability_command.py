"""`llamasim run` of a training run with failures: text, JSON, tables, mistakes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.cli.command_line import call

RUN = """\
edition: 2026
model: llama-3.2-1b
cluster: {device: h100-sxm, devices_per_node: 8, price: 20 USD/h per node}
runtime: megatron-core
workload: {mode: training, sequence: 4096 tok, global_batch: 64, token_budget: 1e12 tok}
use:
  parallelism.data.data_parallel: {}
  precision.mixed.bf16_mixed: {}
reliability: {device_mtbf: 2000 h, trials: 50}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a scenario, in which commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.yaml").write_text(RUN)
    return tmp_path


def test_a_report_has_goodput_days_and_dollars(folder: Path) -> None:
    said = call("run", "long.yaml")
    assert said.code == 0, said.err
    for words in ("50 runs drawn", "goodput", "failures", "the best interval", "one in 10.4 days",
                  "reliability.spares: always one at hand, at no price"):
        assert words in said.out, words
    with pa.ipc.open_file(folder / "results" / "long" / "goodput.arrow") as file:
        assert file.read_all().num_rows == 50


def test_programs_get_the_same(folder: Path) -> None:
    """Causes add up to the mean of the days in the table."""
    said = call("run", "long.yaml", "--json").json
    causes = said["reliability"]["seconds_by_cause"]
    with pa.ipc.open_file(folder / "results" / "long" / "goodput.arrow") as file:
        days = file.read_all()["days"].to_numpy()
    assert sum(causes.values()) == pytest.approx(days.mean() * 86400)
    assert 0 < said["summary"]["goodput_p95"] <= said["summary"]["goodput_p50"] <= 1
    assert said["summary"]["days_p50"] <= said["summary"]["days_p95"]
    assert said["reliability"]["checkpoint_bytes"] == said["summary"]["params"] * 14


def test_a_later_run_without_the_section_leaves_no_old_tables(folder: Path) -> None:
    call("run", "long.yaml")
    (folder / "long.yaml").write_text(RUN.rpartition("reliability:")[0])
    assert "reliability" not in call("run", "long.yaml", "--json").json
    assert not (folder / "results" / "long" / "goodput.arrow").exists()


def test_a_mistake_ends_with_2_and_says_how_to_mend_it() -> None:
    said = call("run", "long.yaml", "--set", "reliability.detection=5")
    assert said.code == 2
    assert "E0508" in said.err and "5 min" in said.err
    said = call("run", "laptop", "--set", "reliability.detection=5 min")
    assert said.code == 2
    assert "E0512" in said.err and "training only" in said.err


def test_the_same_seed_writes_the_same_bytes(folder: Path) -> None:
    call("run", "long.yaml", "--out", "a")
    call("run", "long.yaml", "--out", "b")
    call("run", "long.yaml", "--out", "c", "--set", "seed=1")
    one, two, three = ((folder / o / "long" / "goodput.arrow").read_bytes() for o in "abc")
    assert one == two
    assert one != three
