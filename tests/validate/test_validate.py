"""Rows to scenarios by the mapping file, errors, and the summary that programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.cli.command_line import call

from llamasim.validate import read_mapping, read_rows
from llamasim.validate.files import Row
from llamasim.validate.holdout import held_out
from llamasim.validate.mapping import matches
from llamasim.validate.score import Scored, by_metric, scored, summary
from llamasim.validate.training import training_scenario

COLUMNS = ("id,model,finetune,layers,hidden,ffn,heads,kv_heads,mlp,vocab,seq_len,device,runtime,"
           "inter_node_gbps_per_node,peak_mem_unit,n_gpus,gpus_per_node,tp,pp,cp,dp,"
           "vpp_interleave,sequence_parallel,zero_stage,micro_batch,global_batch_seqs,precision,"
           "recompute,flash_attention,measured_step_time_s,measured_tokens_per_s_per_gpu,"
           "measured_peak_mem_gb,source,notes")
#: Korthikanti et al. (arXiv:2205.05198), table 5: 22B with full recomputation.
KORTHIKANTI = ("korth-001,megatron-22b,,48,6144,24576,64,64,gelu,51200,2048,a100-sxm-80gb,"
               "megatron-lm-2022,,,8,8,8,1,1,1,1,0,0,4,4,fp16,full,0,1.42,721.1,,paper,")
GROUPS = {"device": "a", "source": "s", "runtime": "r", "workload": "w"}


def file_of(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join((COLUMNS, *rows)) + "\n")
    return path


def row_of(tmp_path: Path, text: str) -> Row:
    file, said = read_rows(file_of(tmp_path, text))
    assert file is not None, said
    return file.rows[0]


@pytest.mark.parametrize(("text", "wanted", "fits"), [
    ("", "blank", True), ("", "given", False), ("8", "> 1", True), ("1", "> 1", False),
    ("full", ["full", "block"], True), ("nemo", "/^(?!nemo)/", False), ("", "> 0", False),
])
def test_conditions_of_the_mapping(text: str, wanted: object, fits: bool) -> None:
    assert matches({"column": wanted}, {"column": text}) is fits


def test_a_row_becomes_the_techniques_that_its_columns_name(tmp_path: Path) -> None:
    found = training_scenario(row_of(tmp_path, KORTHIKANTI), read_mapping("training"))
    names = {u.technique for u in found.use}
    assert names == {
        "parallelism.tensor.tensor_parallel", "parallelism.data.data_parallel",
        "memory.checkpoint.full_checkpoint", "precision.mixed.bf16_mixed",
    }
    assert (found.model.layers, found.model.hidden, found.model.vocab) == (48, 6144, 51200)
    assert found.workload.dtype == "fp16"
    assert found.cluster.devices == 8


def test_what_was_measured_is_kept_apart(tmp_path: Path) -> None:
    """No predictor can read it: it is not among a row's columns."""
    row = row_of(tmp_path, KORTHIKANTI)
    assert not any("measured" in column for column in row.texts)
    assert row.measured["measured_step_time_s"] == 1.42


def test_a_row_that_is_predicted_not_to_fit_counts_as_all_wrong() -> None:
    rows = [
        scored("a-1", "step_time_s", 2.0, 2.2, GROUPS),
        scored("a-2", "step_time_s", 2.0, 2.0, GROUPS, "too large"),
        Scored("a-3", "step_time_s", 2.0, None, None, "unsupported", "why", GROUPS),
    ]
    told = summary(rows)
    assert (told["rows"], told["scored"], told["infeasible"], told["unsupported"]) == (3, 2, 1, 1)
    assert told["coverage"] == pytest.approx(1 / 3)
    errors = by_metric(rows)["step_time_s"]
    assert (errors.n, errors.mape, errors.max_ape) == (2, pytest.approx(0.55), 1.0)


def test_the_command_prints_the_contract_and_writes_the_rows(tmp_path: Path) -> None:
    """The first of Korthikanti's runs, within 6.5 % of what was published."""
    path = file_of(tmp_path, KORTHIKANTI)
    said = call("validate", str(path), "--json", "--out", str(tmp_path / "rows.arrow"))
    told = json.loads(said.out)
    assert {"rows", "scored", "unsupported", "infeasible", "metrics"} <= set(told)
    assert set(told["metrics"]["step_time_s"]) == {"n", "mape", "median_ape", "bias", "max_ape"}
    assert told["metrics"]["step_time_s"]["mape"] < 0.07
    with pa.ipc.open_file(tmp_path / "rows.arrow") as reader:
        table = reader.read_all()
    assert table.column("row").to_pylist() == ["korth-001"]


def test_an_unknown_file_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("a,b\n1,2\n")
    said = call("validate", str(path))
    assert said.code == 2
    assert "E0721" in said.err


def test_a_row_of_an_unknown_device_is_unsupported_with_the_reason(tmp_path: Path) -> None:
    path = file_of(tmp_path, KORTHIKANTI.replace("a100-sxm-80gb", "abacus"))
    told = json.loads(call("validate", str(path), "--json").out)
    assert (told["rows"], told["unsupported"]) == (1, 1)


@pytest.mark.parametrize(("row", "groups", "held"), [
    ("mosaic-002", {"source": "mosaic"}, True), ("mosaic-003", {"source": "mosaic"}, False),
    ("vtrain-single-0010", {"source": "vtrain-single"}, False),
    ("vtrain-single-0011", {"source": "vtrain-single"}, True),
    ("korth-003", {"source": "korth", "model": "gpt3-175b"}, True),
    ("korth-004", {"source": "korth", "model": "gpt-1t"}, False),
])
def test_rows_that_no_fit_has_seen(row: str, groups: dict[str, str], held: bool) -> None:
    """Halves of a source by their numbers, and models by their names."""
    found = scored(row, "step_time_s", 2.0, 2.2, {**GROUPS, **groups})
    assert held_out(found) is held
