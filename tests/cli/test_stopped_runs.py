"""Ctrl-C in a long run, and going on from there."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.command_line import Said, call

from llamasim.cli.progress import Progress

SCENARIO = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm, devices_per_node: 2}
runtime: vllm
workload:
  mode: inference
  prompt: 512 tok
  output: {distribution: lognormal, mean: 32 tok, cv: 0.5}
  arrivals: {process: poisson, rate: 20 req/s, requests: 400}
use:
  serving.replicas.least_busy_router: {}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "many.yaml"
    path.write_text(SCENARIO)
    return path


def stop_at(look: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when the run has been looked at so often."""
    whole, seen = Progress.look, 0

    def pressed(self: Progress, come: Callable[[], int], state: Callable[[], bytes]) -> None:
        nonlocal seen
        seen += 1
        if seen == look:
            signal.raise_signal(signal.SIGINT)
        whole(self, come, state)

    monkeypatch.setattr(Progress, "look", pressed)


def ran(scenario: Path, *more: str) -> Said:
    return call("run", str(scenario), "--out", str(scenario.parent / "out"), *more)


def test_a_stopped_run_says_how_to_go_on_and_does(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        said = ran(scenario)
    state = scenario.parent / "out" / "many.unfinished"
    assert said.code == 130
    assert "of 400 requests had come" in said.err and "--resume" in said.err
    assert [p.name for p in state.parent.iterdir()] == [state.name]
    assert ran(scenario, "--resume").code == 0
    assert not state.exists()
    resumed = {p.name: p.read_bytes() for p in (scenario.parent / "out" / "many").iterdir()}
    assert ran(scenario).code == 0
    assert resumed == {p.name: p.read_bytes() for p in (scenario.parent / "out" / "many").iterdir()}


def test_ctrl_c_is_the_shell_s_again_after_a_run(scenario: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert ran(scenario).code == 0
    assert signal.getsignal(signal.SIGINT) is before


def test_another_run_s_state_is_refused(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        assert ran(scenario).code == 130
    said = ran(scenario, "--resume", "--set", "seed=5")
    assert said.code == 2
    assert "error[E0723]" in said.err and "without --resume" in said.err
    assert not (scenario.parent / "out" / "many").exists()


def test_resume_without_a_state_begins_anew(scenario: Path) -> None:
    assert ran(scenario, "--resume").code == 0


def test_nothing_is_said_of_progress_but_at_a_terminal(
    scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamasim.cli.progress.PATIENCE", 0.0)
    monkeypatch.setattr("llamasim.cli.progress.EVERY", 0.0)
    assert "requests," not in ran(scenario).err
    monkeypatch.setattr("llamasim.cli.progress._terminal", lambda: True)
    assert "of 400 requests, " in ran(scenario).err
    assert ran(scenario, "--json").err == ""


def test_a_run_that_keeps_no_state_cannot_be_resumed(tmp_path: Path) -> None:
    said = call("run", "laptop", "--resume", "--out", str(tmp_path))
    assert said.code == 2
    assert "error[E0723]: there is nothing that this run could go on from" in said.err
    assert not (tmp_path / "laptop").exists()
