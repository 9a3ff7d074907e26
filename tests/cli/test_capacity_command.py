"""`llamasim capacity` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llamasim.cli import cli

SCENARIO = """edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm, price: 3 USD/h per node}
runtime: vllm
workload:
  mode: inference
  prompt: 400 tok
  output: 40 tok
  arrivals: {process: poisson, rate: 4 req/s, requests: 100}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder with one scenario."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chat.yaml").write_text(SCENARIO)


def _run(*args: str) -> Result:
    return CliRunner().invoke(cli, ["capacity", *args])


def test_the_answer_comes_first_and_every_rate_below() -> None:
    result = _run("chat.yaml", "--slo", "ttft=100ms,tpot=20ms", "--share", "95")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[2].split()[0] == "capacity"
    assert "95.0% of requests within first token 100 ms, each further token 20 ms" in result.output
    assert "per million output tokens" in result.output
    assert all(len(line) <= 100 for line in lines)


def test_json_has_every_rate_that_was_tried() -> None:
    found = json.loads(_run("chat.yaml", "--slo", "ttft=100ms", "--json").output)
    assert found["unit"] == "requests/s"
    assert found["best"]["rate"] == found["capacity"]
    assert [p["rate"] for p in found["tried"]] == sorted(p["rate"] for p in found["tried"])
    assert all(p["met"] == (p["attained"] >= 0.99) for p in found["tried"])


def test_a_target_that_there_is_not_is_told_with_its_place() -> None:
    result = _run("chat.yaml", "--slo", "tpft=1s")
    assert result.exit_code == 2
    assert "E0505" in result.output and "ttft" in result.output
