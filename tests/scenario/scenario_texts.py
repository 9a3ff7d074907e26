"""A scenario to vary in tests."""

from __future__ import annotations

from pathlib import Path

from llamasim.diagnostics import Diagnostic
from llamasim.scenario import Scenario, read

INFERENCE = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm}
runtime: vllm
workload: {mode: inference, prompt: 512 tok, output: 128 tok}
"""
TRAINING = INFERENCE.replace(
    "{mode: inference, prompt: 512 tok, output: 128 tok}",
    "{mode: training, sequence: 8192 tok, global_batch: 64}",
)


def read_text(
    folder: Path, text: str, overrides: tuple[str, ...] = ()
) -> tuple[Scenario | None, list[Diagnostic]]:
    """Write a scenario to a folder and read it."""
    path = folder / "case.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path, overrides)


def read_well(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> Scenario:
    """Read a scenario in which nothing is wrong."""
    scenario, found = read_text(folder, text, overrides)
    assert not found, [d.message for d in found]
    assert scenario is not None
    return scenario


def codes(folder: Path, text: str, overrides: tuple[str, ...] = ()) -> list[str]:
    """Return the codes of what is wrong."""
    return [d.code for d in read_text(folder, text, overrides)[1]]
