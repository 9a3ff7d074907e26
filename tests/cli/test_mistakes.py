"""Mistakes on the command line: a diagnostic with code and help, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import call

from llamasim.cli import COMMANDS

#: Arguments, the code of the diagnostic, and what its help says.
MISTAKES = [
    ("rnu", "E0701", "llamasim run"),
    ("frobnicate", "E0701", "--help"),
    ("--verison", "E0701", "--version"),
    ("run", "E0701", "--help"),
    ("run laptop --jsn", "E0701", "--json"),
    ("run laptop --format csv", "E0701", "--help"),
    ("run clustr", "E0702", "cluster"),
    ("run nowhere.yaml", "E0702", "path to a YAML file"),
    ("run .", "E05", ""),
    ("run laptop --set workload.promt=5", "E0505", "prompt"),
    ("run laptop --set workload.prompt=5kg", "E0508", "prompt: 512 tok"),
    ("run laptop --set nonsense", "E0517", "--set workload.micro_batch=2"),
    ("run laptop --set workload.prompt=-5", "E05", ""),
    ("plan nothing", "E0702", "laptop"),
    ("optimize nothing", "E0702", "laptop"),
    ("show nothing", "E0704", "llamasim run"),
    ("debug stage laptop", "E0701", "--help"),
    ("debug plan", "E0701", "--help"),
    ("fmt missing.rules", "E0708", ".rules"),
    ("test missing.rules", "E0708", ".rules"),
    ("check missing.rules", "E0224", ".rules"),
    ("check notes.txt", "E07", ""),
    ("catalog devics", "E0601", "devices"),
    ("catalog devices h100-smx", "E06", "h100-sxm"),
    ("doc tensor_paralel", "E0710", "tensor_parallel"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("args", "code", "help_"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_mistake_is_a_diagnostic(args: str, code: str, help_: str, folder: Path) -> None:
    said = call(*args.split())
    assert said.code == 2, said.out
    assert f"error[{code}" in said.err
    assert "help:" in said.err
    assert help_ in said.err.partition("help:")[2]
    assert "Traceback" not in said.err
    assert list(folder.iterdir()) == [], "a command that failed left something behind"


def test_a_mistake_as_json_is_json() -> None:
    """Programs that call `--json` read diagnostics the same way as figures."""
    said = call("run", "clustr", "--json")
    assert said.code == 2
    found = said.json["diagnostics"]
    assert found[0]["code"] == "E0702"
    assert any("cluster" in h for h in found[0]["help"])


def test_a_table_that_is_not_there_suggests_the_nearest() -> None:
    assert call("run", "laptop").code == 0
    said = call("show", "laptop", "opz")
    assert said.code == 2
    assert "error[E0706]" in said.err and "did you mean `ops`?" in said.err


def test_results_that_are_damaged_are_a_diagnostic() -> None:
    """A truncated file is a finding about that file."""
    assert call("run", "laptop").code == 0
    Path("results/laptop/ops.arrow").write_bytes(b"ARROW1 but no more")
    said = call("show", "laptop", "ops")
    assert said.code == 2
    assert "error[E0705]" in said.err


def test_a_scenario_with_several_mistakes_names_them_all(folder: Path) -> None:
    (folder / "bad.yaml").write_text(
        "edition: 2026\nmodel: llama-3.1-8b\ncluster: {device: rtx-4090}\nruntime: llama.cpp\n"
        "workload: {mode: inference, dtype: fp61, prompt: 1 kg}\nuzes: {}\n"
    )
    said = call("run", "bad.yaml")
    assert said.code == 2
    assert said.err.count("error[") >= 3
    assert "bad.yaml:6:1" in said.err


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_explains_itself(name: str) -> None:
    said = call(name, "--help")
    assert said.code == 0
    assert said.out.startswith(f"Usage: llamasim {name}")


def test_no_arguments_show_what_there_is() -> None:
    """Whoever types `llamasim` alone asks for help; it is no error."""
    said = call()
    assert said.code == 0
    assert "Usage: llamasim" in said.out and "run cluster" in said.out
    assert said.err == ""


def test_a_reader_that_stops_early_is_no_error() -> None:
    """`llamasim ... | head -1` ends quietly."""
    command = f"{sys.executable} -m llamasim schema | head -1"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60,
                         check=False)
    assert ran.stdout.strip() == "{"
    assert ran.stderr == ""


def test_a_bug_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program did wrong is not put on the user; the traceback is there on request."""
    import llamasim.scenario

    def broken() -> None:
        raise RuntimeError("a screw came loose")

    monkeypatch.setattr(llamasim.scenario, "json_schema", broken)
    said = call("schema")
    assert said.code == 70
    assert "error[E0799]" in said.err and "a screw came loose" in said.err
    assert "Traceback" not in said.err
