"""Fit what inference programs and devices reach to published rows.

    python -m benchmarks.fit_inference INFERENCE.csv [--fit] [--only NAME]

Each fit names its figures, whose bounds the catalog has, and the rows that it sees; rows that
`rules/validation/holdout.toml` holds out are never among them. Without `--fit` the figures of the
catalog are judged on both; with it each is moved in turn, in ever smaller steps, while the mean
absolute error of the rows fitted falls (an error counts as 30 % at most, so that a host that is
slow for reasons nobody tells weighs no more than that). What fits in memory plays no part.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import fmean, median

import attrs

from llamasim.catalog.fits import fits
from llamasim.scenario.spec import Scenario
from llamasim.validate.files import Row, read_rows
from llamasim.validate.holdout import held_out
from llamasim.validate.mapping import matches, read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.score import Scored
from llamasim.validate.sensitivity import changed

#: Fitted figures of the catalog, by record and path.
KNOWN = {f"{f.owner} {f.path}": f for f in fits()}
#: An error beyond this counts as this.
CAP = 0.3
ROUNDS = 4


@attrs.frozen
class Fit:
    """What is fitted together, on rows that `when` describes and that are not held out."""

    name: str
    figures: tuple[str, ...]
    when: Mapping[str, object] = attrs.field(factory=dict)


_SINGLE = {"runtime": "llama.cpp", "n_devices": "1"}
FITS = (
    Fit("llama.cpp on NVIDIA", (
        "llama.cpp matmul_efficiency", "llama.cpp attention_efficiency", "llama.cpp host_s",
        "llama.cpp gemv_concurrency", "llama.cpp graph_launch_s",
    ), {"runtime": "llama.cpp", "device": "/^(?!apple)/"}),
    Fit("llama.cpp on Apple", (
        "apple memory_efficiency", "apple sustained", "llama.cpp on.apple.attention_efficiency",
        "llama.cpp on.apple.graph_launch_s", "llama.cpp on.apple.unpack_ops",
    ), {**_SINGLE, "device": "/^apple/"}),
    Fit("TensorRT-LLM in 8 and 4 bits", ("trt-llm formats.fp8", "trt-llm formats.fp4"),
        {"runtime": "trt-llm", "weight_dtype": ["fp8", "nvfp4"], "workload": "offline_throughput"}),
    Fit("TensorRT-LLM", ("trt-llm matmul_efficiency", "trt-llm host_s", "trt-llm graph_launch_s"),
        {"runtime": "trt-llm", "weight_dtype": "fp16", "workload": "static_batch"}),
    Fit("Transformers NeuronX", (
        "trainium memory_efficiency", "trainium sustained",
        "transformers-neuronx attention_efficiency", "transformers-neuronx prefill_host_s",
    ), {"runtime": "transformers-neuronx"}),
    Fit("AutoAWQ", (
        "autoawq prefill_host_s", "autoawq dispatch_s", "autoawq memory_efficiency",
        "autoawq formats.int4_group",
    ), {"runtime": "autoawq", "model": ["tinyllama-1.1b", "llama-2-13b"]}),
    Fit("vLLM's first engine", ("vllm-v0 host_s",),
        {"runtime": "vllm", "workload": "serving", "batch_or_concurrency": ["4", "8", "16"],
         "input_len": ["128", "2048"]}),
)


def with_figures(values: Mapping[str, float], scenario: Scenario) -> Scenario:
    """Return a scenario with some figures in place of the catalog's."""
    for name, value in values.items():
        scenario = changed(scenario, KNOWN[name], value)
    return scenario


def scored_rows(rows: list[Row], values: Mapping[str, float]) -> list[Scored]:
    """Return rows predicted with some figures in place of the catalog's."""
    predictor = Predictor(read_mapping("inference"), partial(with_figures, values))
    return [s for row in rows for s in predictor.inference(row) if s.predicted is not None]


def mean_error(rows: list[Row], values: Mapping[str, float]) -> float:
    """Return what a fit lowers."""
    return fmean(min(CAP, abs((s.predicted or 0.0) / s.measured - 1))
                 for s in scored_rows(rows, values))


def fitted(fit: Fit, rows: list[Row], values: dict[str, float]) -> dict[str, float]:
    """Return the figures at which the mean error is lowest, as far as single steps find them."""
    best = mean_error(rows, values)
    for turn in range(ROUNDS):
        for name in fit.figures:
            low, high = KNOWN[name].low, KNOWN[name].high
            step = (high - low) / 8 / 2**turn
            for way in (step, -step):
                while True:
                    there = {**values, name: min(high, max(low, values[name] + way))}
                    error = mean_error(rows, there)
                    if error >= best - 1e-6:
                        break
                    best, values = error, there
    return values


def _report(label: str, found: list[Scored]) -> None:
    sizes = [abs(s.error or 0.0) for s in found]
    if sizes:
        print(f"  {label:8s} {len(sizes):5d} rows   mean {fmean(sizes):6.1%}   "
              f"median {median(sizes):6.1%}   worst {max(sizes):6.1%}")


def main() -> None:
    """Judge the catalog's figures, or fit them anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--fit", action="store_true", help="fit the figures anew")
    parser.add_argument("--only", default="", help="fits whose name holds this")
    given = parser.parse_args()
    file, said = read_rows(given.file)
    if file is None:
        raise SystemExit(said[0].message)
    for fit in FITS:
        rows = [r for r in file.rows if matches(fit.when, r.texts) and r.measured.get("value")]
        if given.only not in fit.name or not rows:
            continue
        values = {name: KNOWN[name].value for name in fit.figures}
        first = {s.row: held_out(s) for s in scored_rows(rows, values)}
        seen = [r for r in rows if not first.get(r.id, True)]
        if given.fit:
            values = fitted(fit, seen, values)
        print(fit.name)
        for name, value in values.items():
            print(f"  {name} = {value:.4g}   ({KNOWN[name].low:g} to {KNOWN[name].high:g})")
        found = scored_rows(rows, values)
        _report("fitted", [s for s in found if not first.get(s.row, True)])
        _report("held out", [s for s in found if first.get(s.row, True)])


if __name__ == "__main__":
    main()
