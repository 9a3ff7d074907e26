"""`llamasim explain` at the terminal: text, JSON, and what is said of questions without answer."""

from __future__ import annotations

import time

import pytest
from tests.cli.command_line import call


def test_the_text_has_value_formula_rules_and_sources() -> None:
    """Like the answer that a colleague would write on paper."""
    said = call("explain", "cluster", "weight.bytes@layers.3.mlp.down")
    assert said.code == 0
    out = said.out.splitlines()
    assert out[0] == "weight.bytes @ layers.3.mlp.down = 208 MiB (218,103,808 B) per device"
    assert out[1] == "  = elements 109,051,904 x numerics.bits 16 bit / 8"
    assert any("shard dim_in over tp (tp = 8)" in x and "parallelism/tensor.rules:" in x
               for x in out)
    assert "sources" in out
    assert any(x.startswith("not applied: ") and "not in `use`" in x for x in out)


@pytest.mark.parametrize("cell", [
    "comm@layers.3.norm1", "memory.activations", "step.seconds", "op.seconds@layers.3.mlp.up",
    "activation.bytes@layers.3.mlp.act", "optimizer.bytes@layers.3.mlp.down", "schedule.pipeline",
    "op.cost.read@layers.3.attn.scores",
])
def test_every_line_fits_a_terminal(cell: str) -> None:
    said = call("explain", "cluster", cell)
    assert said.code == 0
    assert max(len(line) for line in said.out.splitlines()) <= 100


def test_equal_stages_share_a_line() -> None:
    out = call("explain", "cluster", "memory.weights").out
    assert "stages 2 to 14 = " in out
    assert "stage 7 = " not in out


def test_json_has_the_same_tree() -> None:
    found = call("explain", "cluster", "weight.bytes@layers.3.mlp.down", "--json").json
    assert found["value"] == 218103808
    assert found["formula"] == "elements x numerics.bits / 8"
    assert [n["name"] for n in found["inputs"]] == ["elements", "numerics.bits"]
    rule = found["inputs"][0]["inputs"][0]["rules"][0]
    assert rule["technique"] == "parallelism.tensor.tensor_parallel"
    assert found["not_applied"]


def test_all_lists_every_technique_not_applied() -> None:
    few = call("explain", "cluster", "numerics.bits@layers.3.attn.q").out
    every = call("explain", "cluster", "numerics.bits@layers.3.attn.q", "--all").out
    assert few.count("not applied: ") <= 5
    known = call("explain", "cluster", "numerics.bits@layers.3.attn.q", "--json").json
    assert every.count("not applied: ") == len(known["not_applied"])


@pytest.mark.parametrize(("cell", "code", "way"), [
    ("weigt.bytes@layers.3.mlp.down", "E0712", "did you mean `weight.bytes`?"),
    ("weight.byte@layers.3.mlp.down", "E0712", "did you mean `weight.bytes`?"),
    ("weight.cost.flops@layers.3.mlp.down", "E0712", "weight has: bytes"),
    ("weight.bytes@layers.3.mlp.dwn", "E0713", "did you mean `weight.bytes@layers.3.mlp.down`?"),
    ("weight.bytes@layers.126.mlp.down", "E0713", "layers are numbered 0 to 125"),
    ("weight.bytes", "E0713", "add its name"),
    ("comm@layers.3.atn.out", "E0713", "did you mean `comm@layers.3.attn.out`?"),
    ("memory.weigths", "E0712", "did you mean `memory.weights`?"),
    ("memory.weights@stage.16", "E0713", "stage.0 to stage.15"),
    ("", "E0712", "weight.bytes@layers.0.mlp.down"),
])
def test_a_question_without_answer_names_the_nearest_one(cell: str, code: str, way: str) -> None:
    said = call("explain", "cluster", *([cell] if cell else []))
    assert said.code == 2
    assert f"error[{code}]" in said.err
    assert way in " ".join(said.err.split())


def test_a_phase_that_the_workload_lacks_is_refused() -> None:
    said = call("explain", "cluster", "op.cost.flops@layers.0.attn.q", "--phase", "decode")
    assert said.code == 2
    assert "phases here: forward, backward" in said.err


def test_a_scenario_that_is_refused_says_why() -> None:
    said = call("explain", "laptop", "step.seconds",
                "--set", "use.parallelism.tensor.tensor_parallel.degree=8")
    assert said.code == 2
    assert "error[E0404]" in said.err


def test_overrides_are_explained() -> None:
    said = call("explain", "laptop", "memory.kv_cache", "--set", "workload.prompt=2048 tok",
                "--json").json
    assert said["inputs"][0]["value"] == 2048 + 256


def test_the_405b_is_explained_at_once() -> None:
    """Well under a second; a warm process leaves out imports, which are measured elsewhere."""
    call("explain", "cluster", "weight.bytes@layers.3.mlp.down")
    start = time.perf_counter()
    call("explain", "cluster", "weight.bytes@layers.3.mlp.down")
    assert time.perf_counter() - start < 1.0
