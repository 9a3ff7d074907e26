"""Fit what training runtimes and devices sustain to measured step times.

    python -m benchmarks.fit_training TRAINING.csv [VTRAIN.csv] [--fit] [--only NAME]

Each fit below names its parameters with their bounds, the rows that it sees and those that it may
not. Without `--fit` the figures of the catalog are judged on both; with it each is moved in turn,
in ever smaller steps, while the mean absolute error of the rows fitted falls (an error counts as
30 % at most, so that a row whose set-up the source does not tell weighs no more). Whether a run
fits in memory plays no part. Llama 3.1 405B as Meta trained it is in no file that is read here.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean, median
from typing import Any

import attrs

from llamasim.catalog.specs import Device, Runtime
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import step_timings
from llamasim.simulate.fast import step_time
from llamasim.validate.files import Row, read_rows
from llamasim.validate.mapping import read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.training import UnsupportedError, training_scenario

#: Where a parameter stands (a runtime, `nemo`; one on a family, `nemo/hopper`; a family of devices,
#: `device/hopper`), and its name there.
Place = tuple[str, str]
#: An error beyond this counts as this.
CAP = 0.3
ROUNDS = 5
#: Every so many of vTrain's rows are fitted; they differ little.
STRIDE = 8


@attrs.frozen
class Fit:
    """What is fitted together.

    Attributes:
        parameters: by place and attribute: least and most.
        rows, held: patterns of `id model device` of rows that are fitted, and that only test.

    """

    name: str
    parameters: Mapping[Place, tuple[float, float]]
    rows: str
    held: str


FITS = (
    Fit("hopper and NeMo", {
        ("device/hopper", "sustained"): (0.60, 0.80),
        ("nemo", "attention_efficiency"): (0.50, 0.95),
        ("nemo", "formats.fp8"): (0.70, 1.00),
    }, r"dgxc-\d+ (llama-3.1|gpt3|nemotron).* h100", r"nemo2407|mlm-fp8|mlperf-\d+ .* h100"),
    Fit("blackwell", {
        ("device/blackwell-dc", "sustained"): (0.45, 0.75),
    }, r"dgxc-\d+ nemotron4-340b gb200", r"mlperf-\d+ .* gb200|dgxc-\d+ llama.* gb200|maxtext-gcp"),
    Fit("MaxText", {
        ("maxtext", "matmul_efficiency"): (0.80, 1.00),
        ("maxtext", "formats.fp8"): (0.70, 1.00),
    }, r"dgxc-\d+ llama-3-70b h100", r"maxtext-gcp"),
    Fit("torchtitan", {
        ("torchtitan", "matmul_efficiency"): (0.75, 1.00),
        ("torchtitan", "attention_efficiency"): (0.35, 0.80),
        ("torchtitan/hopper", "attention_efficiency"): (0.30, 0.80),
        ("torchtitan", "formats.fp8"): (0.70, 1.00),
    }, r"titan-0(0\d|1\d|3[3-9]|40) ", r"titan-03[12]|titan-04[1-3]|torchao"),
    Fit("llm-foundry", {
        ("llm-foundry", "matmul_efficiency"): (0.70, 1.00),
        ("llm-foundry/hopper", "matmul_efficiency"): (0.70, 1.00),
        ("llm-foundry", "attention_efficiency"): (0.25, 0.80),
        ("llm-foundry/hopper", "attention_efficiency"): (0.20, 0.80),
        ("llm-foundry", "memory_efficiency"): (0.40, 1.00),
    }, r"mosaic-\d*[13579] ", r"mosaic-\d*[02468] "),
    Fit("Megatron-LM of 2022", {
        ("megatron-lm-2022", "matmul_efficiency"): (0.85, 1.05),
        ("megatron-lm-2022", "attention_efficiency"): (0.60, 1.10),
    }, r"korth-\d+ (megatron-22b|gpt-1t)", r"korth-\d+ gpt3-175b"),
    Fit("Megatron-DeepSpeed", {
        ("megatron-deepspeed", "dispatch_s"): (30e-6, 100e-6),
        ("megatron-deepspeed", "host_s"): (0.0, 20e-3),
        ("megatron-deepspeed", "matmul_efficiency"): (0.75, 1.00),
        ("megatron-deepspeed", "attention_efficiency"): (0.50, 1.10),
        ("megatron-deepspeed", "memory_efficiency"): (0.50, 1.00),
    }, r"vtrain-single-fit", r"vtrain-single-held"),
)


@attrs.frozen
class Case:
    """A row with its plan, which no figure that is fitted changes."""

    name: str
    scenario: Scenario
    plan: Plan
    seconds: float

    def error(self, values: Mapping[Place, float]) -> float:
        """Return the error of the step time with some figures in place of the catalog's."""
        scenario = self.scenario
        device, runtime = scenario.cluster.device, scenario.runtime
        for (place, attribute), value in values.items():
            kind, _, family = place.partition("/")
            if kind == "device" and device.family == family:
                change: dict[str, Any] = {attribute: value}
                device = attrs.evolve(device, **change)
            elif kind == runtime.id:
                runtime = _with(runtime, family, attribute, value)
        changed = attrs.evolve(
            scenario, runtime=runtime, cluster=attrs.evolve(scenario.cluster, device=device)
        )
        return step_time(step_timings(self.plan, changed)) / self.seconds - 1


def _with(runtime: Runtime, family: str, attribute: str, value: float) -> Runtime:
    if family:
        return attrs.evolve(runtime, on={**runtime.on, f"{family}.{attribute}": value})
    name, _, key = attribute.partition(".")
    change: dict[str, Any] = {name: {**getattr(runtime, name), key: value} if key else value}
    return attrs.evolve(runtime, **change)


def start(fit: Fit, cases: list[Case]) -> dict[Place, float]:
    """Return the catalog's figures."""
    return {
        (p, a): next(_figure(p, a, c) for c in cases if _is_at(p, c)) for p, a in fit.parameters
    }


def _is_at(place: str, case: Case) -> bool:
    kind, _, family = place.partition("/")
    here = case.scenario.cluster.device.family == family if family else True
    return here and kind in ("device", case.scenario.runtime.id)


def _figure(place: str, attribute: str, case: Case) -> float:
    kind, _, family = place.partition("/")
    runtime = case.scenario.runtime
    record: Device | Runtime = case.scenario.cluster.device if kind == "device" else runtime
    if family and kind != "device":
        return float(runtime.on.get(f"{family}.{attribute}", getattr(runtime, attribute)))
    name, _, key = attribute.partition(".")
    found = getattr(record, name)
    return float(found[key] if key else found)


def mean_error(cases: list[Case], values: Mapping[Place, float]) -> float:
    """Return what a fit lowers."""
    return fmean(min(CAP, abs(c.error(values))) for c in cases)


def fitted(fit: Fit, cases: list[Case], values: dict[Place, float]) -> dict[Place, float]:
    """Return the figures at which the mean error is lowest, as far as single steps find them."""
    best = mean_error(cases, values)
    for turn in range(ROUNDS):
        for place, (low, high) in fit.parameters.items():
            step = (high - low) / 8 / 2**turn
            for way in (step, -step):
                while True:
                    there = {**values, place: min(high, max(low, values[place] + way))}
                    error = mean_error(cases, there)
                    if error >= best - 1e-6:
                        break
                    best, values = error, there
    return values


def cases_of(path: Path) -> Iterator[Case]:
    """Yield the pre-training rows of a file that say how long a step takes."""
    file, said = read_rows(path)
    if file is None:
        raise SystemExit(said[0].message)
    predictor = Predictor(read_mapping("training"))
    for number, row in enumerate(file.rows):
        seconds = row.measured.get("measured_step_time_s")
        if row.texts.get("finetune") or not seconds:
            continue
        try:
            scenario = training_scenario(row, predictor.mapping)
            yield Case(_name(row, number), scenario, predictor.plan(scenario), seconds)
        except UnsupportedError as error:
            print(f"{row.id} is left out: {error}")


def _name(row: Row, number: int) -> str:
    if row.id.startswith("vtrain-single"):
        return "vtrain-single-held" if number % STRIDE else "vtrain-single-fit"
    return f"{row.id} {row.texts.get('model', '')} {row.texts.get('device', '')}"


def _report(label: str, cases: list[Case], values: Mapping[Place, float]) -> None:
    sizes = [abs(c.error(values)) for c in cases]
    if sizes:
        print(f"  {label:8s} {len(sizes):5d} rows   mean {fmean(sizes):6.1%}   "
              f"median {median(sizes):6.1%}   worst {max(sizes):6.1%}")


def main() -> None:
    """Judge the catalog's figures, or fit them anew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--fit", action="store_true", help="fit the figures anew")
    parser.add_argument("--only", default="", help="fits whose name holds this")
    given = parser.parse_args()
    cases = [c for path in given.files for c in cases_of(path)]
    for fit in FITS:
        seen = [c for c in cases if re.search(fit.rows, c.name)]
        held = [c for c in cases if re.search(fit.held, c.name)]
        if given.only not in fit.name or not seen:
            continue
        values = start(fit, seen)
        if given.fit:
            values = fitted(fit, seen, values)
        print(fit.name)
        for (place, attribute), value in values.items():
            low, high = fit.parameters[place, attribute]
            print(f"  {place} {attribute} = {value:.4g}   ({low:g} to {high:g})")
        _report("fitted", seen, values)
        _report("held out", held, values)


if __name__ == "__main__":
    main()
