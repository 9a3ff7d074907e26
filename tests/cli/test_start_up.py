"""Start-up: help and checks load no simulation, no numbers and no tables."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"pyarrow", "simpy", "numpy", "duckdb", "pygls", "lsprotocol"}


def _imported(*args: str) -> set[str]:
    """Return the top-level packages that `llamasim ARGS` imports."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "llamasim", *args],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(
    "args",
    [("--help",), ("--version",), ("check",), ("check", "cluster"), ("run", "--help"),
     ("catalog", "devices"), ("doc",), ("lsp", "--help")],
    ids=" ".join,
)
def test_light_commands_load_nothing_heavy(args: tuple[str, ...]) -> None:
    assert not _imported(*args) & HEAVY


def test_help_needs_neither_parser_nor_yaml() -> None:
    """Only what prints help is loaded."""
    assert not _imported("--help") & {"lark", "yaml", "attrs.validators"}
