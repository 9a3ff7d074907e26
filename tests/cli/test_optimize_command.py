"""`llamasim optimize` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from llamasim.cli import cli

SCENARIO = """edition: 2026
model: llama-3.1-8b
cluster: {device: rtx-4090}
runtime: llama.cpp
workload: {mode: inference, dtype: fp16, prompt: 128 tok, output: 32 tok}
choices:
  weights:
    16 bit: {}
    4 bit: {quantization.int4.int4_weights: {}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which the command runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chat.yaml").write_text(SCENARIO)
    return tmp_path


def _run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["optimize", *args])


@pytest.mark.usefixtures("folder")
def test_one_scenario_is_answered_in_full() -> None:
    result = _run("chat.yaml")
    assert result.exit_code == 0, result.output
    assert "choices       weights=4 bit" in result.output
    for title in ("Best", "Pareto front", "Runners-up", "Each alternative at its best"):
        assert title in result.output
    assert all(len(line) <= 100 for line in result.output.splitlines())


@pytest.mark.usefixtures("folder")
def test_json_holds_every_candidate() -> None:
    found = json.loads(_run("chat.yaml", "--json").output)
    assert found["feasible"] is True
    assert found["best"]["choices"] == {"weights": "4 bit"}
    assert [c["number"] for c in found["candidates"]] == [1, 2]
    assert found["ranking"] == [2, 1]
    assert found["candidates"][0]["against_best"].endswith("more")
    assert found["candidates"][0]["summary"]["decode_tok_s"] > 0


def test_candidates_are_written_beside_what_the_results_folder_holds(folder: Path) -> None:
    kept = folder / "results" / "chat" / "summary.arrow"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"earlier")
    assert _run("chat.yaml").exit_code == 0
    assert kept.read_bytes() == b"earlier"
    with pa.memory_map(str(kept.with_name("candidates.arrow"))) as source:
        table = pa.ipc.open_file(source).read_all()
    assert table["rank"].to_pylist() == [2, 1]
    assert table["choices"].to_pylist() == ["weights=16 bit", "weights=4 bit"]
    assert table.schema.field("decode_tok_s").metadata[b"unit"] == b"tok/s"
    assert table.schema.metadata[b"scenario"] == b"chat"


def test_the_same_search_writes_the_same_bytes(folder: Path) -> None:
    for out in ("a", "b"):
        assert _run("chat.yaml", "--out", out).exit_code == 0
    a, b = (folder / out / "chat" / "candidates.arrow" for out in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()


def test_several_scenarios_get_a_row_each_with_the_infeasible_ones(folder: Path) -> None:
    large = SCENARIO.replace("llama-3.1-8b", "llama-3.1-405b")
    (folder / "large.yaml").write_text(large)
    lines = _run("chat.yaml", "large.yaml").output.splitlines()
    assert lines[0].split()[:2] == ["scenario", "speed"]
    assert "weights=4 bit" in lines[1]
    assert any(line.startswith("large") and "infeasible, because needs" in line for line in lines)
    assert lines == _run(str(folder)).output.splitlines()


@pytest.mark.usefixtures("folder")
def test_nothing_feasible_is_an_answer_not_an_error() -> None:
    result = _run("chat.yaml", "--set", "model=llama-3.1-405b", "--json")
    assert result.exit_code == 0
    found = json.loads(result.output)
    assert found["feasible"] is False
    assert found["best"] is None
    assert found["nearest"] == 2
    assert found["infeasible_because"].startswith("needs")
    assert found["what_would_change_it"]


@pytest.mark.usefixtures("folder")
def test_a_mistake_ends_with_exit_code_2_and_its_diagnostic() -> None:
    missing = _run("chta.yaml")
    assert missing.exit_code == 2
    assert "E0702" in missing.output
    wrong = _run("chat.yaml", "--set", "choices.weights={a: {no.such.thing: {}}}")
    assert wrong.exit_code == 2
    assert "error[" in wrong.output
    assert "Traceback" not in wrong.output


def test_results_that_cannot_be_written_end_with_a_diagnostic(folder: Path) -> None:
    (folder / "results").write_text("a file")
    result = _run("chat.yaml")
    assert result.exit_code == 2
    assert "E0703" in result.output
