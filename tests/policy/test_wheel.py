"""The wheel holds all that a run needs, and nothing of the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tests.policy.source_tree import ROOT, RULES, SCENARIOS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."],
                   cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


def test_rules_scenarios_and_grammar_are_inside(wheel: Path) -> None:
    """Beside the package, under its own name."""
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"llamasim/rules/{f.relative_to(RULES).as_posix()}" for f in RULES.rglob("*.rules")}
    wanted |= {f"llamasim/scenarios/{f.relative_to(SCENARIOS).as_posix()}"
               for f in SCENARIOS.rglob("*.yaml")}
    wanted |= {"llamasim/py.typed", "llamasim/grammar/rules.lark"}
    assert wanted - names == set()
    assert {n for n in names if n.startswith(("tests/", "engine/", "benchmarks/"))} == set()


def test_an_empty_environment_runs_scenarios_by_name_from_any_folder(
    wheel: Path, tmp_path: Path
) -> None:
    """Installed from the wheel alone, far from the checkout."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(wheel)], check=True)
    ran = subprocess.run([str(tmp_path / "venv" / "bin" / "llamasim"), "run", "laptop", "--json"],
                         cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["summary"]["fits"] is True
    assert (tmp_path / "results" / "laptop" / "ops.arrow").is_file()
