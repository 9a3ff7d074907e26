"""Every key of a scenario changes what comes out, or is refused or warned of by name, in every kind
of job; or stands below with the reason why it may change nothing.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import pytest

from llamasim.diagnostics import Diagnostic
from llamasim.plan import compile_plan
from llamasim.scenario import Scenario, read
from llamasim.scenario.fields import FIELDS, LENGTH
from llamasim.simulate import run
from llamasim.tables import tabulate

HEAD = "edition: 2026\nmodel: llama-3.1-8b\n"
TRAINING = HEAD + """\
cluster:
  {device: h100-sxm, nodes: 2, devices_per_node: 8, inner: nvlink4, outer: ib-ndr400,
   host: dgx-h100, price: 98 USD/h per node}
runtime: torchtitan
workload: {mode: training, sequence: 2048 tok, global_batch: 64}
use:
  parallelism.tensor.tensor_parallel: {degree: 2}
  parallelism.pipeline.pipeline_parallel: {stages: 2}
  parallelism.zero.zero1: {}
  offload.optimizer.optimizer_to_host: {}
"""
WHOLE_RUN = TRAINING.replace("batch: 64}", "batch: 64, token_budget: 5e12 tok}") + """\
reliability:
  planned: 48 h
  checkpoint: {storage: 20 GB/s}
  stragglers: {share: 0.01, slowdown: 0.2, jitter: 0.01}
  trials: 50
  spares: 1
"""
BATCH = HEAD + """\
cluster: {device: h100-sxm, devices_per_node: 2, inner: nvlink4, price: 10 USD/h per node}
runtime: vllm
workload: {mode: inference, prompt: 512 tok, output: 16 tok}
use: {parallelism.tensor.tensor_parallel: {degree: 2}}
"""
SERVER = HEAD + """\
cluster: {device: h100-sxm, devices_per_node: 2, inner: nvlink4, price: 10 USD/h per node}
runtime: vllm
workload:
  mode: inference
  prompt: 512 tok
  output: {distribution: lognormal, mean: 24 tok, cv: 0.5}
  arrivals: {process: poisson, rate: 20 req/s, requests: 60}
use:
  parallelism.tensor.tensor_parallel: {degree: 2}
  serving.batching.continuous_batching: {max_sequences: 16, token_budget: 1024 tok}
"""


def _server(arrivals: str, more: str = "", use: str = "") -> str:
    text = SERVER.replace("{process: poisson, rate: 20 req/s, requests: 60}", arrivals)
    return text.replace("  mode: inference\n", f"  mode: inference\n{more}") + use


RECORDED = _server("{process: replay, file: rec.jsonl, columns: {blocks: hash_ids}}",
                   use="  serving.cache.prefix_cache: {}\n").replace(
    "  prompt: 512 tok\n", "").replace(
    "  output: {distribution: lognormal, mean: 24 tok, cv: 0.5}\n", "")
JOBS = {
    "step": TRAINING,
    "whole run": WHOLE_RUN,
    "batch": BATCH,
    "poisson": SERVER,
    "gamma": _server("{process: gamma, rate: 20 req/s, cv: 2, requests: 60}"),
    "closed": _server("{process: closed, concurrency: 8, requests: 60}"),
    "at once": _server("{process: batch, requests: 60}"),
    "stepped": _server("{process: stepped, rates: {0 s: 10 req/s, 2 s: 40 req/s}, requests: 60}"),
    "diurnal": _server("{process: diurnal, rate: 20 req/s, period: 5 s, requests: 60}"),
    "trace": _server("{process: replay, trace: azure-code-2023, requests: 60, speed: 10}"),
    "file": RECORDED,
    "prefixes": _server(
        "{process: poisson, rate: 20 req/s, requests: 60}",
        "  shared_prefix: 256 tok\n  prefixes: 3\n  slo: {ttft: 1 s, tpot: 1 s, latency: 9 s}\n",
        "  serving.cache.prefix_cache: {}\n"),
    "adapters": _server("{process: poisson, rate: 20 req/s, requests: 60}", "  variants: 20\n",
                        "  serving.adapters.multi_lora: {rank: 8, loaded: 4}\n"),
}

#: A legal value of each key, which no job above has.
VALUES = {
    "edition": "2026", "name": "other", "model": "llama-3.2-3b", "cluster": "{device: b200-sxm}",
    "cluster.instance": "p4d.24xlarge", "cluster.device": "h200-sxm", "cluster.nodes": "4",
    "cluster.devices_per_node": "4", "cluster.inner": "pcie5-x16", "cluster.outer": "efa-v2",
    "cluster.host": "workstation", "cluster.host_link": "pcie4-x16",
    "cluster.price": "55 USD/h per node", "runtime": "trt-llm",
    "workload": "{mode: inference, output: 7 tok}", "workload.mode": "training",
    "workload.dtype": "fp32", "workload.sequence": "530 tok", "workload.global_batch": "128",
    "workload.micro_batch": "2", "workload.optimizer": "sgd", "workload.token_budget": "9e12 tok",
    "workload.batch": "4", "workload.prompt": "300 tok", "workload.output": "40 tok",
    "workload.arrivals": "{process: closed, concurrency: 5, requests: 30}",
    "workload.arrivals.process": "closed", "workload.arrivals.rate": "33 req/s",
    "workload.arrivals.requests": "40", "workload.arrivals.concurrency": "3",
    "workload.arrivals.cv": "3", "workload.arrivals.rates": "{0 s: 30 req/s}",
    "workload.arrivals.period": "9 s", "workload.arrivals.swing": "0.9",
    "workload.arrivals.trace": "azure-conversation-2023", "workload.arrivals.file": "other.csv",
    "workload.arrivals.columns": "{arrived: at}", "workload.arrivals.columns.arrived": "at",
    "workload.arrivals.columns.prompt": "p2", "workload.arrivals.columns.output": "o2",
    "workload.arrivals.columns.blocks": "other_ids", "workload.arrivals.columns.variant": "adapter",
    "workload.arrivals.block": "256 tok", "workload.arrivals.time_unit": "ms",
    "workload.arrivals.speed": "3", "workload.shared_prefix": "128 tok", "workload.prefixes": "7",
    "workload.variants": "9", "workload.variant_skew": "1.5", "workload.slo": "{ttft: 1 ms}",
    "workload.slo.ttft": "1 ms", "workload.slo.tpot": "1 ms", "workload.slo.latency": "1 ms",
    "reliability": "{}", "reliability.device_mtbf": "1000 h", "reliability.node_mtbf": "500 h",
    "reliability.failure_shape": "0.7", "reliability.repair_share": "0.3",
    "reliability.planned": "9 h", "reliability.detection": "15 min",
    "reliability.restart": "20 min", "reliability.spares": "0", "reliability.repair": "90 h",
    "reliability.trials": "60", "reliability.checkpoint": "{interval: 2 h}",
    "reliability.checkpoint.interval": "1 h", "reliability.checkpoint.asynchronous": "true",
    "reliability.checkpoint.storage": "1 GB/s", "reliability.checkpoint.node_storage": "0.1 GB/s",
    "reliability.checkpoint.pause": "60 s",
    "reliability.stragglers": "{share: 0.2, slowdown: 0.5}", "reliability.stragglers.share": "0.5",
    "reliability.stragglers.slowdown": "0.9", "reliability.stragglers.jitter": "0.1",
    "mesh": "{order: [tp, pp, dp]}", "mesh.order": "[tp, pp, dp]", "use": "{}",
    "prefer": "{weight.bits: quantization.int4.int4_weights}", "choices": "{a: {x: {}, y: {}}}",
    "optimize": "{objective: minimize peak_memory_gib}",
    "optimize.objective": "minimize peak_memory_gib", "rules": "[./none]", "seed": "5",
}

EVERYWHERE = tuple(JOBS)
INFERENCE = tuple(j for j in JOBS if j not in ("step", "whole run"))
#: Keys that may change nothing, with the jobs in which they do not and the reason.
MAY_CHANGE_NOTHING = {
    "edition": (EVERYWHERE, "there is one edition"),
    "name": (EVERYWHERE, "names the results"),
    "cluster.outer": (INFERENCE, "hardware is described whether it is used or not: one node"),
    "cluster.host_link": (tuple(j for j in INFERENCE if j != "adapters"),
                          "likewise: nothing lies in the host's memory"),
    "mesh": (INFERENCE, "one axis has one order"),
    "mesh.order": (INFERENCE, "one axis has one order"),
    "choices": (EVERYWHERE, "of `optimize`; the commands that do not try them say so"),
    "optimize": (EVERYWHERE, "of `optimize`"),
    "optimize.objective": (EVERYWHERE, "of `optimize`"),
    "seed": (("step", "batch", "file"), "nothing is drawn"),
    "workload.mode": (("step", "whole run"), "the value is theirs"),
    "workload.arrivals.process": (("closed",), "the value is theirs"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the scenarios name."""
    made = tmp_path_factory.mktemp("jobs")
    rows = [{
        "arrived": i * 0.05, "at": i * 0.07, "prompt": 520 + i * 7 % 300, "p2": 50 + i,
        "output": 5 + i % 20, "o2": 3 + i % 7, "adapter": f"a{i % 3}", "hash_ids": [1 + i % 2],
        "other_ids": [i],
    } for i in range(60)]
    (made / "rec.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = [f"{i * 0.1},{100 + i},{5 + i % 9}" for i in range(60)]
    (made / "other.csv").write_text("arrived,prompt,output\n" + "\n".join(lines))
    return made


def _read(
    folder: Path, text: str, change: tuple[str, ...]
) -> tuple[Scenario | None, list[Diagnostic]]:
    path = folder / "case.yaml"
    path.write_text(text)
    return read(path, change)


@cache
def _outcome(
    folder: Path, text: str, change: tuple[str, ...] = ()
) -> tuple[dict[str, str], list[str]]:
    """Return what a run comes to, by column, and what was said; nothing where it is refused."""
    scenario, said = _read(folder, text, change)
    if scenario is None:
        return {}, [d.message for d in said]
    plan, more = compile_plan(scenario)
    words = [d.message for d in (*said, *more)]
    if plan is None:
        return {}, words
    tables = tabulate(run(plan, scenario))
    return {
        f"{name}.{column}": hashlib.sha256(repr(table[column].to_pylist()).encode()).hexdigest()
        for name, table in tables.items() if name not in ("ops", "ledger", "measured")
        for column in table.column_names if column not in ("scenario", "plan_hash", "seed")
    }, words


@cache
def _plain(folder: Path, job: str) -> tuple[dict[str, str], list[str]]:
    found, words = _outcome(folder, JOBS[job])
    assert found, words
    assert not words
    return found, words


def test_every_key_of_a_scenario_has_a_value_to_try() -> None:
    assert set(VALUES) == set(FIELDS)
    assert set(MAY_CHANGE_NOTHING) <= set(FIELDS)


@pytest.mark.parametrize("job", JOBS)
def test_no_key_is_ignored(job: str, folder: Path) -> None:
    plain, _ = _plain(folder, job)
    ignored = []
    for key, value in VALUES.items():
        found, words = _outcome(folder, JOBS[job], (f"{key}={value}",))
        excused = job in MAY_CHANGE_NOTHING.get(key, ((),))[0]
        if found == plain and not words and not excused:
            ignored.append(key)
    assert not ignored


def test_what_may_change_nothing_does_so(folder: Path) -> None:
    """A reason that holds nowhere any more is to be deleted."""
    for key, (jobs, _) in MAY_CHANGE_NOTHING.items():
        assert all(
            _outcome(folder, JOBS[job], (f"{key}={VALUES[key]}",)) == _plain(folder, job)
            for job in jobs
        ), key


#: Lengths given as mappings, and a value of each of their keys that none of them has.
LENGTHS = {
    "fixed": "{mean: 512 tok}",
    "uniform": "{distribution: uniform, mean: 512 tok, cv: 0.3}",
    "lognormal": "{distribution: lognormal, mean: 512 tok, cv: 0.6}",
    "of a file": "{distribution: empirical, file: other.csv, column: output}",
    "of a trace": "{distribution: empirical, trace: azure-code-2023}",
}
OTHER_LENGTHS = {
    "distribution": "uniform", "mean": "300 tok", "cv": "0.45", "trace": "azure-conversation-2023",
    "file": "more.csv", "column": "prompt",
}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("side", ["prompt", "output"])
def test_no_key_of_a_length_is_ignored(length: str, side: str, folder: Path) -> None:
    assert set(OTHER_LENGTHS) == {f.key for f in LENGTH}
    base = (f"workload.{side}={LENGTHS[length]}",)
    (folder / "more.csv").write_text("arrived,prompt,output\n0,70,90\n1,80,60\n")
    plain = _outcome(folder, SERVER, base)
    assert plain[0] and not plain[1]
    for key, value in OTHER_LENGTHS.items():
        change = (*base, f"workload.{side}.{key}={value}")
        assert (key == "distribution" and length == "uniform") or (
            _outcome(folder, SERVER, change) != plain), key
