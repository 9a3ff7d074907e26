"""`llamasim run`: from a scenario to figures, text and tables."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from tests.cli.command_line import Said, call

from llamasim.cli.support import shipped

#: What a program that calls `--json` may rely on.
SUMMARY = (
    "step_time_s", "tokens_per_s", "tokens_per_s_per_gpu", "model_tflops_per_gpu", "mfu",
    "flops_convention", "fits", "peak_memory_gib", "bubble_fraction", "exposed_communication_s",
    "ttft_ms_mean", "ttft_ms_p50", "ttft_ms_p99", "tpot_ms_mean", "tpot_ms_p50", "tpot_ms_p99",
    "decode_tok_s", "prefill_tok_s", "output_tok_s", "total_tok_s", "usd_per_million_tokens",
    "joules_per_token", "plan_hash", "seed",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder in which commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> tuple[Said, Path]:
    """Return what `run cluster` said, and its results."""
    out = tmp_path_factory.mktemp("cluster")
    return call("run", "cluster", "--out", str(out)), out / "cluster"


def test_a_shipped_scenario_runs_by_name_from_any_folder(cluster: tuple[Said, Path]) -> None:
    said, results = cluster
    assert said.code == 0
    assert said.err == ""
    assert "step time" in said.out and "pipeline bubble" in said.out
    assert {p.name for p in results.iterdir()} >= {
        "summary.arrow", "ops.arrow", "memory.arrow", "links.arrow", "claims.arrow",
        "ledger.arrow", "costs.arrow", "fits.arrow",
    }


@pytest.mark.parametrize("name", [n for n in shipped() if "/" not in n])
def test_no_line_of_a_report_is_too_long(name: str) -> None:
    """Terminals are 100 columns wide; nothing is cut short either."""
    said = call("run", name)
    assert said.code == 0
    lines = (said.out + said.err).splitlines()
    assert max(map(len, lines)) <= 100
    assert not [line for line in lines if line.endswith("..")]


def test_plain_arrow_and_duckdb_say_which_op_takes_most_time(cluster: tuple[Said, Path]) -> None:
    """The MLP's three matmuls are 3 x 53,248 x 16,384 of a layer's 3.2 G weights: they lead."""
    with pa.memory_map(str(cluster[1] / "ops.arrow")) as source:
        ops = pa.ipc.open_file(source).read_all()
    found = duckdb.from_arrow(ops).query("ops", (
        "select op, sum(end_s - start_s) s from ops where rank_class = 0 and stream = 'compute' "
        "group by 1 order by 2 desc limit 3"
    )).fetchall()
    assert {op for op, _ in found} == {"mlp.up", "mlp.gate", "mlp.down"}


def test_the_published_pretraining_run_is_met(cluster: tuple[Said, Path]) -> None:
    """arXiv:2407.21783, table 4: 400 TFLOP/s a GPU. Within a tenth; fits without recomputation."""
    with pa.memory_map(str(cluster[1] / "summary.arrow")) as source:
        row = pa.ipc.open_file(source).read_all().to_pylist()[0]
    assert row["model_tflops_per_gpu"] == pytest.approx(400, rel=0.10)
    assert row["fits"] and row["peak_memory_gib"] < 80
    assert row["params"] == 405_853_388_800


@pytest.mark.parametrize("name", ["laptop", "finetune", "cloud"])
def test_json_has_every_field(name: str) -> None:
    """A quantity that a run does not have is null; the key is there."""
    said = call("run", name, "--json")
    assert said.code == 0
    summary = said.json["summary"]
    assert set(SUMMARY) <= set(summary)
    training = name == "finetune"
    assert (summary["step_time_s"] is None) != training
    assert (summary["ttft_ms_p50"] is None) == training
    assert summary["tokens_per_s"] > 0
    assert 0 < summary["mfu"] < 1


def test_json_of_several_scenarios_is_a_list() -> None:
    said = call("run", "laptop", "laptop-cpu", "--json")
    assert [r["summary"]["scenario"] for r in said.json] == ["laptop", "laptop-cpu"]


def test_two_scenarios_stand_side_by_side() -> None:
    """The comparison comes last, one column a scenario."""
    said = call("run", "laptop", "laptop-cpu")
    assert said.code == 0
    table = said.out.rstrip().rsplit("\n\n", 1)[-1]
    head, *rows = table.splitlines()
    assert head.split() == ["laptop", "laptop-cpu"]
    decode = next(r for r in rows if "decode tok/s" in r).split()
    assert float(decode[-2]) > float(decode[-1]), "a GPU writes faster than a processor"
    assert Path("results/laptop").is_dir() and Path("results/laptop-cpu").is_dir()


def test_parquet_on_request() -> None:
    assert call("run", "laptop", "--format", "parquet").code == 0
    found = duckdb.sql("select fits from 'results/laptop/summary.parquet'").fetchall()
    assert found == [(True,)]
    assert not list(Path("results/laptop").glob("*.arrow"))


@pytest.mark.parametrize("name", ["laptop", "cloud", "finetune"])
def test_the_same_run_gives_the_same_bytes(name: str, folder: Path) -> None:
    """Wall-clock time, order of hashing and unseeded chance leave no trace in results."""
    for out in ("a", "b"):
        assert call("run", name, "--out", out).code == 0
    first, second = folder / "a" / name, folder / "b" / name
    names = sorted(p.name for p in first.iterdir())
    assert names == sorted(p.name for p in second.iterdir())
    for file in names:
        assert (first / file).read_bytes() == (second / file).read_bytes(), file


def test_another_seed_gives_other_arrivals() -> None:
    """And the plan, which no seed touches, stays the same."""
    one, two = (call("run", "cloud", "--json", "--set", f"seed={s}").json["summary"]
                for s in (1, 2))
    assert one["ttft_ms_mean"] != two["ttft_ms_mean"]
    assert one["plan_hash"] == two["plan_hash"]


def test_set_changes_a_field() -> None:
    """Twice the adapters' rank trains twice the weights: more optimizer memory, another plan."""
    key = "use.finetune.lora.lora.rank"
    given = call("run", "finetune", "--json").json
    changed = call("run", "finetune", "--json", "--set", f"{key}=32")
    assert changed.code == 0, changed.err + changed.out
    assert changed.json["summary"]["plan_hash"] != given["summary"]["plan_hash"]


def test_set_changes_the_workload() -> None:
    longer = call("run", "laptop", "--json", "--set", "workload.prompt=1024 tok").json["summary"]
    given = call("run", "laptop", "--json").json["summary"]
    assert longer["ttft_ms_mean"] > 1.8 * given["ttft_ms_mean"]


INFEASIBLE = """edition: 2026
model: llama-3.1-70b
cluster: {device: rtx-4090}
runtime: llama.cpp
workload: {mode: inference, dtype: bf16, prompt: 512 tok, output: 128 tok}
"""


def test_a_run_that_does_not_fit_is_an_answer(folder: Path) -> None:
    """70B in 16 bits is 131 GiB; a 4090 has 24: it says what, where, by how much, and a way out."""
    (folder / "big.yaml").write_text(INFEASIBLE)
    said = call("run", "big.yaml")
    assert said.code == 0
    assert "DOES NOT FIT" in said.out
    assert "OUT OF MEMORY by 1" in said.out
    assert "weights" in said.out and "stage 0" in said.out
    assert "fewer bits" in said.out
    figures = call("run", "big.yaml", "--json").json
    assert figures["summary"]["fits"] is False
    weights = next(r for r in figures["memory"] if r["category"] == "weights")
    assert weights["peak_bytes"] == 70_553_706_496 * 2


def test_a_run_that_fits_says_nothing_of_ways_out() -> None:
    assert call("run", "laptop", "--json").json["would_fit_with"] == []


def test_results_that_cannot_be_written_are_a_diagnostic(folder: Path) -> None:
    """A file stands where the folder would be."""
    (folder / "taken").write_text("")
    said = call("run", "laptop", "--out", "taken")
    assert said.code == 2
    assert "error[E0703]" in said.err and "help:" in said.err


def test_two_scenarios_of_one_name_do_not_overwrite_each_other() -> None:
    said = call("run", "laptop", "laptop")
    assert said.code == 2
    assert "error[" in said.err
