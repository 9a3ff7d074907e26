"""`llamasim explain --why-not`: what refuses a technique, or what it would change."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command_line import call

SCENARIO = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm, devices_per_node: 1}
runtime: vllm
workload: {mode: inference, prompt: 512 tok, output: 32 tok}
use: {}
"""
RULES = """\
edition 2026
module own

technique pair {
  requires cluster.devices_per_node >= 2 * model.gated_ways else "take more devices"
  on weight of *.mlp.* { set numerics.bits = 8 bit }
}

technique late {
  on weight of *.mlp.* during decode where model.layers > 100 { set numerics.bits = 8 bit }
  on grad { reduce over replicas }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a scenario and rules of its own."""
    (tmp_path / "mine.yaml").write_text(SCENARIO, encoding="utf-8")
    text = RULES.replace("2 * model.gated_ways", "2")
    (tmp_path / "own.rules").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_demand_shows_both_sides(folder: Path) -> None:
    """What is required, and what it is here."""
    said = call("explain", "--why-not", "pair", "mine.yaml")
    assert said.code == 0
    assert "own.pair is not in `use`, and cannot be:" in said.out
    assert "error[E0402]" in said.out
    assert "cluster.devices_per_node = 1" in said.out


def test_a_rule_that_applies_nowhere_says_why(folder: Path) -> None:
    """A condition that is false everywhere, and a phase or element that there is not."""
    found = call("explain", "--why-not", "late", "mine.yaml", "--json").json
    assert found["would_work"] is True
    reasons = " ".join(r["reason"] for r in found["idle_rules"])
    assert "`model.layers > 100` holds nowhere (model.layers = 32)" in reasons


def test_a_contradiction_is_shown_with_what_would_resolve_it() -> None:
    found = call("explain", "--why-not", "int8_weights", "workstation", "--json").json
    assert [d["code"] for d in found["refusals"]] == ["E0301", "E0301"]
    assert found["would_work_with"] == ["in place of quantization.int4.int4_weights"]


def test_other_values_of_parameters_are_tried() -> None:
    """Eight ways do not fit two cards that are a pipeline already; two ways in its place do."""
    found = call("explain", "--why-not", "tensor_parallel", "workstation", "--json").json
    assert [d["code"] for d in found["refusals"]] == ["E0404"]
    assert "degree: 2 in place of parallelism.pipeline.pipeline_parallel" in (
        found["would_work_with"])


def test_what_would_work_says_what_it_would_change() -> None:
    """Full recomputation: 4 GiB of activations instead of 63, a longer step, exact."""
    found = call("explain", "--why-not", "full_checkpoint", "cluster", "--json").json
    kept = found["changes"]["memory"]["activations"]
    assert kept["with"] < 0.1 * kept["without"]
    step = found["figures"]["step_time_s"]
    assert step["with"] > 1.1 * step["without"]
    assert [c["metric"] for c in found["claims"]] == ["loss_delta"]
    text = call("explain", "--why-not", "full_checkpoint", "cluster").out
    assert "it would work" in text
    assert "step time" in text


def test_a_technique_in_use_says_what_it_does() -> None:
    said = call("explain", "--why-not", "attention.flash.flash_attention", "workstation")
    assert said.out.startswith("attention.flash.flash_attention is in use in workstation")
    assert "prefill" in said.out


def test_a_technique_that_cannot_be_left_out_says_why() -> None:
    said = call("explain", "--why-not", "zero2", "cluster")
    assert "cannot be left out: E0412" in said.out


def test_an_unknown_technique_names_the_nearest() -> None:
    said = call("explain", "--why-not", "flsh_attention", "workstation")
    assert said.code == 2
    assert "did you mean `attention.flash.flash_attention`?" in said.err


def test_every_line_of_an_effect_fits_a_terminal() -> None:
    out = call("explain", "--why-not", "lora", "cluster").out
    assert max(len(line) for line in out.splitlines()) <= 100
