"""A wheel in an empty environment does what a checkout does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("rules", "grammar", "scenarios")

pytestmark = pytest.mark.slow


def _copy(folder: Path) -> Path:
    """Return a copy of the sources, so that nothing of the checkout can be used by accident."""
    source = folder / "source"
    source.mkdir()
    for name in ("engine", *SHIPPED):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a freshly built wheel; its sources are gone."""
    folder = tmp_path_factory.mktemp("build")
    source = _copy(folder)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder / "dist", source],
        check=True, timeout=300,
    )
    shutil.rmtree(source)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `llamasim` of an environment that has the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True, timeout=600)
    return python.with_name("llamasim")


def _run(program: Path, folder: Path, *args: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    ran = subprocess.run([program, *args], cwd=folder, env=environment, capture_output=True,
                         text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_wheel_holds_all_that_ships_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in SHIPPED:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".rules", ".yaml", ".lark"):
                assert f"llamasim/{path.relative_to(ROOT).as_posix()}" in names
    assert "llamasim/py.typed" in names
    outside = {n for n in names if not n.startswith(("llamasim/", "llamasim-"))}
    assert not outside
    assert not {n for n in names if "__pycache__" in n or n.startswith("llamasim/tests")}


def test_it_runs_shipped_scenarios_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = json.loads(_run(installed, tmp_path / "empty", "run", "cluster", "--json"))
    assert out["summary"]["model_tflops_per_gpu"] == pytest.approx(400, rel=0.10)
    assert (tmp_path / "empty" / "results" / "cluster" / "ops.arrow").is_file()


def test_it_knows_its_rules_catalog_and_grammar(installed: Path, tmp_path: Path) -> None:
    assert "tensor_parallel" in _run(installed, tmp_path, "doc")
    assert "H100" in _run(installed, tmp_path, "catalog", "devices", "h100-sxm")
    assert "0 failed" in _run(installed, tmp_path, "test")
    assert "no evidence: keys_8_values_4" in _run(installed, tmp_path, "run", "custom-rule/kv-k8v4")


def test_a_plan_is_the_same_as_a_checkouts(installed: Path, tmp_path: Path) -> None:
    """Where files lie is no part of a result."""
    here = subprocess.run([sys.executable, "-m", "llamasim", "run", "laptop", "--json"],
                          cwd=tmp_path, capture_output=True, text=True, check=True)
    there = _run(installed, tmp_path, "run", "laptop", "--json")
    assert json.loads(there) == json.loads(here.stdout)
