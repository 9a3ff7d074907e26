"""The commands around `run`: plan, show, check, fmt, test, schema, debug."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.command_line import call

from llamasim.cli.support import shipped

LOOSE = """edition 2026
module mine
source me = "a hand calculation"
/// Weights of the MLP in 8 bits.
technique thin { requires workload.mode == inference
  on weight of *.mlp.* { set numerics.bits=8 bit }   # half of bf16
}
test "an 8B model's MLP takes 5.6 GB" { given model llama_3_1_8b
 given cluster h100_sxm_1
 given workload inference
 given use thin
 # 32 layers x 3 x 4096 x 14336 x 1 B
 expect sum(weight.bytes) >= 5_637_144_576 B
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plan_shows_what_each_technique_writes() -> None:
    said = call("plan", "cluster")
    assert said.code == 0
    assert "Mesh: dp 128 x pp 16 x tp 8" in said.out
    assert "parallelism.tensor.tensor_parallel" in said.out
    assert "reduce_scatter" in said.out


def test_plan_as_json_is_the_ledger_of_the_run() -> None:
    """The plan that is shown is the plan that is run."""
    planned = call("plan", "finetune", "--json").json
    ran = call("run", "finetune", "--json").json
    assert planned["plan_hash"] == ran["summary"]["plan_hash"]
    assert {r["technique"] for r in planned["ledger"]} == set(ran["techniques"])


def test_show_lists_tables_and_prints_rows() -> None:
    assert call("run", "laptop").code == 0
    listed = call("show", "results/laptop")
    assert listed.code == 0
    assert {"ops", "summary", "memory"} <= {line.split()[0] for line in listed.out.splitlines()}
    rows = call("show", "laptop", "ops", "--rows", "3")
    assert rows.code == 0
    assert "more rows" in rows.out


def test_show_as_json_prints_a_row_a_line() -> None:
    assert call("run", "laptop").code == 0
    said = call("show", "laptop", "costs", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert {"cause", "seconds", "share"} <= set(rows[0])


def test_a_table_is_never_cut_at_the_edge() -> None:
    """Wide tables go on; a terminal wraps them, a pipe keeps every column."""
    assert call("run", "laptop").code == 0
    out = call("show", "laptop", "ops", "--rows", "1").out
    for name in ("rank_class", "start_s", "end_s", "flops", "bytes", "bound"):
        assert name in out


@pytest.mark.parametrize("name", [n for n in shipped() if "/" not in n])
def test_check_accepts_what_ships(name: str) -> None:
    said = call("check", name)
    assert said.code == 0, said.err
    assert "0 errors, 0 warnings" in said.out


def test_check_accepts_the_shipped_rules() -> None:
    said = call("check")
    assert said.code == 0, said.err


def test_check_as_json_counts_errors(folder: Path) -> None:
    (folder / "mine.rules").write_text(LOOSE.replace("numerics.bits", "numerics.bitz"))
    said = call("check", "mine.rules", "--json")
    assert said.code == 2
    assert said.json["errors"] == 1
    assert said.json["diagnostics"][0]["code"].startswith("E")


def test_fmt_lays_out_a_file_once(folder: Path) -> None:
    """Formatting keeps comments, and formatting again changes nothing."""
    (folder / "mine.rules").write_text(LOOSE)
    assert call("fmt", "--check", "mine.rules").code == 2
    assert (folder / "mine.rules").read_text() == LOOSE
    assert call("fmt", "mine.rules").code == 0
    text = (folder / "mine.rules").read_text()
    assert text != LOOSE and "# half of bf16" in text
    assert call("fmt", "--check", "mine.rules").code == 0


def test_test_runs_the_blocks_of_a_file(folder: Path) -> None:
    (folder / "mine.rules").write_text(LOOSE)
    said = call("test", "mine.rules")
    assert said.code == 0, said.err + said.out
    assert "1 passed, 0 failed" in said.out


def test_a_test_that_fails_shows_what_it_got(folder: Path) -> None:
    (folder / "mine.rules").write_text(LOOSE.replace(">= 5_637_144_576 B", ">= 999 GB"))
    said = call("test", "mine.rules")
    assert said.code == 2
    assert "FAILED" in said.out and "0 passed, 1 failed" in said.out


def test_schema_is_json_schema() -> None:
    schema = call("schema").json
    assert schema["type"] == "object"
    assert {"model", "cluster", "workload", "use"} <= set(schema["properties"])


@pytest.mark.parametrize("stage", ["scenario", "graph", "applied", "plan", "trace"])
def test_debug_prints_every_stage(stage: str) -> None:
    said = call("debug", stage, "laptop")
    assert said.code == 0, said.err
    assert len(said.out) > 500


CUSTOM = "custom-rule/kv-k8v4"


def test_a_technique_beside_the_scenario_shows_up_everywhere() -> None:
    """Keys in 8 bits and values in 4, group scales included: 13 of 32 bits of the cache."""
    said = call("run", CUSTOM)
    assert said.code == 0, said.err
    assert "cache.keys_8_values_4" in said.out
    assert "no evidence: keys_8_values_4" in said.out
    ledger = call("show", "kv-k8v4", "ledger", "--json", "--rows", "100").out
    mine = [r for r in map(json.loads, ledger.splitlines())
            if r["technique"] == "cache.keys_8_values_4"]
    assert {r["cell"] for r in mine} == {"numerics.bits", "numerics.bits_overhead"}
    assert {r["pattern"] for r in mine} == {"*.attn.k", "*.attn.v"}


def test_a_technique_beside_the_scenario_shrinks_the_cache(folder: Path) -> None:
    """The same scenario without it keeps 32 bits a pair of elements, 32 / 13 times as much."""
    path = shipped()[CUSTOM]
    text = path.read_text().splitlines()
    (folder / "plain.yaml").write_text(
        "\n".join(line for line in text if "keys_8_values_4:" not in line)
    )
    held = {}
    for name in (CUSTOM, "plain.yaml"):
        rows = call("run", name, "--json").json["memory"]
        held[name] = next(r["peak_bytes"] for r in rows if r["category"] == "kv_cache")
    assert held["plain.yaml"] / held[CUSTOM] == pytest.approx(32 / 13, rel=0.01)


def test_plan_as_json_says_what_is_idle(tmp_path: Path) -> None:
    path = tmp_path / "idle.yaml"
    path.write_text(
        "edition: 2026\nmodel: llama-3.1-8b\ncluster: {device: h100-sxm}\nruntime: vllm\n"
        "workload: {mode: inference, batch: 4, prompt: 64 tok, output: 8 tok}\n"
        "use: {serving.batching.continuous_batching: {max_sequences: 7}}\n")
    said = call("plan", str(path), "--json")
    assert said.code == 0
    (warning,) = json.loads(said.out)["warnings"]
    assert "continuous_batching" in warning
