"""Inference rows, collectives and files of requests: what they become, and what they come to."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.cli.command_line import call

from llamasim import catalog
from llamasim.units import Quantity
from llamasim.validate import read_mapping, read_rows
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.collectives import seconds_of
from llamasim.validate.files import Row
from llamasim.validate.inference import inference_scenario
from llamasim.validate.requests import measured

COLUMNS = ("id,workload,model,device,n_devices,tp,pp,runtime,weight_dtype,bits_per_weight,kv_dtype,"
           "batch_or_concurrency,request_rate,input_len,output_len,metric,value,peak_mem_gb,source,"
           "notes")
BATCH = ("one,static_batch,llama-3.1-8b,h100-sxm,1,1,1,trt-llm,bf16,16,,8,,1024,128,output_tok_s,"
         "900,,page,")
SERVED = ("two,serving,llama-3.1-8b,h100-sxm,2,,,vllm,bf16,16,,,4,215,121,ttft_ms,30,,page,"
          "ShareGPT-like 50 prompts Poisson")
NEURON = ("three,static_batch,llama-2-7b,inferentia2,12,24,,transformers-neuronx,bf16,16,,1,,128,"
          "64,tpot_ms,6,,page,TP counts NeuronCores")


def rows_of(tmp_path: Path, *texts: str) -> tuple[Row, ...]:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join((COLUMNS, *texts)) + "\n")
    file, said = read_rows(path)
    assert file is not None, said
    assert file.kind == "inference"
    return file.rows


def names(row: Row) -> set[str]:
    return {u.technique for u in inference_scenario(row, read_mapping("inference")).use}


def test_devices_without_a_split_share_the_tensors(tmp_path: Path) -> None:
    """Two devices and a blank tp: vLLM's only way of using both for one model."""
    row = rows_of(tmp_path, SERVED)[0]
    found = inference_scenario(row, read_mapping("inference"))
    assert "parallelism.tensor.tensor_parallel" in names(row)
    arrivals = found.workload.arrivals
    assert arrivals is not None
    assert (arrivals.process, arrivals.rate, arrivals.requests) == ("poisson", 4.0, 50)
    assert found.workload.prompt.cv == 1.0


def test_a_program_that_counts_cores_splits_tensors_over_them(tmp_path: Path) -> None:
    """Twelve Inferentia2 have 24 cores: each has half a chip's rate, memory and bandwidth."""
    row = rows_of(tmp_path, NEURON)[0]
    found = inference_scenario(row, read_mapping("inference"))
    use = next(u for u in found.use if u.technique.endswith("tensor_parallel"))
    assert use.args["degree"] == Quantity(24.0)
    assert use.args["padded"] is True
    chip = catalog.get_device("inferentia2")
    assert chip is not None
    core = found.cluster.device
    assert found.cluster.devices == 24
    assert core.memory_bandwidth == chip.memory_bandwidth / 2
    assert core.memory_bytes == chip.memory_bytes / 2
    assert core.peaks["bf16"] == chip.peaks["bf16"] / 2


def test_an_unknown_model_is_unsupported(tmp_path: Path) -> None:
    row = rows_of(tmp_path, BATCH.replace("llama-3.1-8b", "llama-9-1b"))[0]
    with pytest.raises(UnsupportedError, match="no model `llama-9-1b`"):
        inference_scenario(row, read_mapping("inference"))


def test_rows_of_all_workloads_are_scored(tmp_path: Path) -> None:
    rows_of(tmp_path, BATCH, SERVED, NEURON)
    result = call("validate", str(tmp_path / "rows.csv"), "--json")
    found = json.loads(result.out)
    assert (found["rows"], found["scored"], found["coverage"]) == (3, 3, 1.0)
    assert set(found["metrics"]) == {"output_tok_s", "ttft_ms", "tpot_ms"}


def test_means_of_requests_are_those_of_the_file(tmp_path: Path) -> None:
    """TPOT is the time behind the first token over the tokens behind it: 2 / 4 and 3 / 3."""
    path = tmp_path / "served.csv"
    path.write_text("request,arrived_at_s,input_tokens,output_tokens,ttft_s,latency_s,queue_s\n"
                    "0,0.0,100,5,1.0,3.0,0\n1,2.0,50,4,2.0,5.0,0\n")
    file, _ = read_rows(path)
    assert file is not None
    assert measured(file.rows) == pytest.approx(
        {"ttft_ms": 1500.0, "latency_s": 4.0, "makespan_s": 7.0, "tpot_ms": 750.0})


def test_requests_without_a_setup_are_refused_with_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "served.csv"
    path.write_text("request,arrived_at_s,input_tokens,output_tokens,ttft_s,latency_s\n"
                    "0,0.0,100,5,1.0,3.0\n")
    result = call("validate", str(path))
    assert result.code == 2
    assert "set-up beside it" in result.err


def test_large_all_reduces_take_the_time_of_the_ring() -> None:
    """8 GiB over 8 A100: 2 x 7/8 of it over 300 GB/s at most, so more than 50 ms."""
    row = Row("0", {"n_gpus": "8", "nodes": "1", "fabric": "NVLink3/NVSwitch (8x A100)",
                    "op": "all_reduce", "size_bytes": str(8 * 2**30), "device": "A100"}, {})
    least = 2 * 7 / 8 * 8 * 2**30 / 300e9
    assert least < seconds_of(row) < 1.5 * least


def test_the_picture_has_a_point_for_each_figure(tmp_path: Path) -> None:
    rows_of(tmp_path, BATCH, SERVED, NEURON)
    picture = tmp_path / "deep" / "plot.svg"
    assert call("validate", str(tmp_path / "rows.csv"), "--plot", str(picture)).code == 0
    root = ElementTree.parse(picture).getroot()
    names = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}title")]
    assert sorted(n.partition(":")[0] for n in names) == ["one", "three", "two"]


def test_the_report_tells_rows_that_no_fit_saw_apart(tmp_path: Path) -> None:
    """Inferentia2 is held out of the fits of Neuron's runtime; the others are not."""
    rows_of(tmp_path, BATCH, SERVED, NEURON)
    page = tmp_path / "fidelity.md"
    assert call("validate", str(tmp_path / "rows.csv"), "--report", str(page)).code == 0
    lines = page.read_text().splitlines()
    assert any(line.startswith("| tpot_ms | held out | 1 |") for line in lines)
    assert any(line.startswith("| output_tok_s | seen by fits | 1 |") for line in lines)
