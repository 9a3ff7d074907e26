"""Every key of a device, a link, a host, a model and a runtime written into a scenario changes what
some job comes to, or is refused or warned of by name; or stands below with the reason.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from llamasim import catalog
from llamasim.plan import compile_plan
from llamasim.scenario import read
from llamasim.scenario.record_fields import record_fields
from llamasim.simulate import run
from llamasim.tables import tabulate
from llamasim.units import DATA, ENERGY, NONE, TIME, WORK

HEAD = "edition: 2026\n"
TRAINING = HEAD + """\
model: llama-3.1-8b
cluster:
  {device: h100-sxm, nodes: 2, devices_per_node: 8, inner: nvlink4, outer: ib-ndr400,
   host: dgx-h100, host_link: pcie5-x16}
runtime: torchtitan
workload: {mode: training, sequence: 8192 tok, global_batch: 64, token_budget: 5e12 tok}
reliability: {planned: 48 h}
use:
  parallelism.tensor.tensor_parallel: {degree: 8}
  parallelism.zero.zero3: {}
  offload.optimizer.optimizer_to_host: {}
"""
SERVER = HEAD + """\
model: llama-3.1-8b
cluster: {device: h100-sxm, devices_per_node: 2, inner: nvlink4, host_link: pcie5-x16}
runtime: vllm
workload:
  mode: inference
  prompt: {distribution: lognormal, mean: 700 tok, cv: 0.5}
  output: 24 tok
  arrivals: {process: poisson, rate: 60 req/s, requests: 60}
use:
  attention.flash.flash_attention: {}
  parallelism.tensor.tensor_parallel: {degree: 2}
"""
BATCH = HEAD + """\
model: MODEL
cluster: {device: DEVICE, devices_per_node: NUMBER, host: workstation}
runtime: RUNTIME
workload: {mode: inference, batch: 2, prompt: 600 tok, output: 16 tok}
use:
  USE
"""


def _batch(model: str, device: str, runtime: str, use: str, number: int = 1) -> str:
    text = BATCH.replace("MODEL", model).replace("RUNTIME", runtime).replace("USE", use)
    return text.replace("DEVICE", device).replace("NUMBER", str(number))


SPLIT = """offload.layers.layer_split: {device_layers: 20}
  quantization.gguf.k_quants.q4_k_m_weights: {}"""
JOBS = {
    "training": TRAINING,
    "server": SERVER,
    "crowded server": SERVER.replace("60 req/s, requests: 60", "900 req/s, requests: 300"),
    "one at a time": _batch("llama-3.1-8b", "rtx-4090", "llama.cpp",
                            "quantization.gguf.k_quants.q4_k_m_weights: {}"),
    "stages": _batch("llama-3.1-70b", "rtx-4090", "llama.cpp",
                     "parallelism.pipeline.pipeline_parallel: {stages: 2}\n"
                     "  quantization.gguf.k_quants.q4_k_m_weights: {}", 2),
    "split": _batch("llama-3.1-8b", "rtx-4090", "llama.cpp", SPLIT),
    "disk": _batch("llama-3.1-70b", "rtx-4090", "llama.cpp",
                   "offload.weights.weights_from_disk: {}"),
    "unpacked": _batch("mistral-7b-v0.3", "a100-sxm-80gb", "autoawq",
                       "quantization.int4.int4_weights: {}"),
    "halves": _batch("llama-2-7b", "rtx-4090", "vllm", "quantization.int4.int4_weights: {}"),
    "experts": _batch("deepseek-v3", "h200-sxm", "sglang", "precision.fp8.fp8_compute: {}"),
    "windows": _batch("gemma-2-9b", "mi300x", "vllm", "attention.flash.flash_attention: {}"),
}
#: Where a record of a kind is written, in the jobs that have one there.
PLACES = {
    "devices": ("cluster.device",),
    "fabrics": ("cluster.inner", "cluster.outer", "cluster.host_link"),
    "hosts": ("cluster.host",),
    "models": ("model",),
    "runtimes": ("runtime",),
}
#: Keys that change nothing by themselves.
MAY_CHANGE_NOTHING = {
    ("devices", "name"): "names it in reports",
    ("devices", "vendor"): "says where another device is looked for when memory does not suffice",
    ("fabrics", "name"): "names it in reports",
    ("hosts", "name"): "names it in reports",
    ("models", "name"): "names it in reports",
    ("runtimes", "name"): "names it in reports",
}
#: Values that tell, where half and twice a record's own do not.
TELLING = {
    ("devices", "clock"): "200 MHz", ("models", "context"): "256 tok",
    ("models", "window"): "128 tok", ("runtimes", "unpack_ops"): "500",
    ("runtimes", "max_sequences"): "4", ("hosts", "cores"): "1",
}
_UNITS = {DATA: "B", DATA / TIME: "B/s", TIME: "s", WORK / TIME: "FLOP/s", ENERGY / TIME: "W",
          NONE / TIME: "Hz", ENERGY / WORK: "J/FLOP", NONE: ""}


@cache
def _outcome(folder: Path, job: str, change: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """Return a digest of what a job comes to and what was said; of nothing where it is refused."""
    path = folder / "case.yaml"
    path.write_text(JOBS[job])
    scenario, said = read(path, change)
    plan = None
    if scenario is not None:
        plan, more = compile_plan(scenario)
        said = [*said, *more]
    words = tuple(d.message for d in said)
    if plan is None or scenario is None:
        return "", words
    tables = tabulate(run(plan, scenario))
    digest = hashlib.sha256()
    for name in ("summary", "fits", "costs", "requests", "goodput"):
        if name in tables:
            rows = tables[name].drop_columns(
                [c for c in ("plan_hash", "scenario") if c in tables[name].column_names])
            digest.update(repr(rows.to_pydict()).encode())
    return digest.hexdigest(), words


def _values(kind: str, key: str, base: Any) -> list[str]:
    """Return texts of a key that differ from a record's own value."""
    entry = catalog.fields(kind)[key]
    now = getattr(base, entry.attribute, None)
    if (kind, key) in TELLING:
        return [TELLING[kind, key]]
    if entry.type is bool:
        return ["false" if now else "true"]
    if entry.choices and entry.type is str:
        return [c for c in entry.choices if c != now]
    if entry.type is dict:
        return [f"{{{k}: {_text(v * 0.5, entry)}}}" for k, v in now.items()]
    if entry.type is str:
        return list(catalog.ids(entry.refers))[:3] if entry.refers else ["fp16_acc16"]
    if not now:
        return [f.example or "1" for f in record_fields(kind) if f.key == key]
    return [_text(int(now) // 2 if entry.type is int else now / 2, entry), _text(now * 2, entry)]


def _text(value: float, entry: Any) -> str:
    if entry.dimension is None:
        return str(value)
    return f"{value!r} {_UNITS[entry.dimension]}".strip()


def _places(kind: str, job: str) -> list[str]:
    """Return where a job's text may write a record of a kind over the one that it names."""
    return [p for p in PLACES[kind] if _named(kind, job, p)]


def _named(kind: str, job: str, place: str) -> str:
    """Return the record that a job has there; empty where it has none."""
    section, _, key = place.rpartition(".")
    for line in JOBS[job].replace("{", " ").replace("}", "").replace(",", "\n").splitlines():
        words = line.replace("cluster:", "").split()
        if len(words) == 2 and words[0] == f"{key}:" and (section or not line.startswith("  ")):
            return words[1] if words[1] in catalog.ids(kind) else ""
    return ""


def _matters(folder: Path, kind: str, key: str) -> bool:
    """Whether some job comes to something else, or something is said, when a key changes."""
    for job in JOBS:
        plain = _outcome(folder, job)
        for place in _places(kind, job):
            name = _named(kind, job, place)
            base = catalog.get(kind, name)
            for value in _values(kind, key, base):
                change = f"{place}={{base: {name}, {key}: {value}}}"
                if _outcome(folder, job, (change,)) != plain:
                    return True
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jobs")


@pytest.mark.parametrize("job", JOBS)
def test_a_job_runs_without_a_word(job: str, folder: Path) -> None:
    digest, words = _outcome(folder, job)
    assert digest and not words


@pytest.mark.parametrize("kind", PLACES)
def test_no_key_of_a_record_is_idle(kind: str, folder: Path) -> None:
    keys = [f.key for f in record_fields(kind) if f.key in catalog.fields(kind)]
    idle = [k for k in keys if not _matters(folder, kind, k)]
    assert idle == [k for k in keys if (kind, k) in MAY_CHANGE_NOTHING]
