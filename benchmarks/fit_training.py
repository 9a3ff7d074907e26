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

import attrs

from llamasim.catalog.fits import fits
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import step_timings
from llamasim.simulate.fast import step_time
from llamasim.validate.files import Row, read_rows
from llamasim.validate.mapping import read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.sensitivity import changed
from llamasim.validate.training import UnsupportedError, training_scenario

#: Fitted figures of the catalog, by record and path.
KNOWN = {f"{f.owner} {f.path}": f for f in fits()}
#: An error beyond this counts as this.
CAP = 0.3
ROUNDS = 5
#: Every so many of vTrain's rows are fitted; they differ little.
STRIDE = 10


@attrs.frozen
class Fit:
    """What is fitted together.

    Attributes:
        parameters: names in `KNOWN`.
        rows, held: patterns of `id model device` of rows that are fitted, and that only test.

    """

    name: str
    parameters: tuple[str, ...]
    rows: str
    held: str


FITS = (
    Fit("hopper and NeMo", (
        "hopper sustained", "nemo attention_efficiency", "nemo formats.fp8",
    ), r"dgxc-\d+ (llama-3.1|gpt3|nemotron).* h100", r"nemo2407|mlm-fp8|mlperf-\d+ .* h100"),
    Fit("blackwell", ("blackwell-dc sustained",),
        r"dgxc-\d+ nemotron4-340b gb200",
        r"mlperf-\d+ .* gb200|dgxc-\d+ llama.* gb200|maxtext-gcp"),
    Fit("MaxText", ("maxtext matmul_efficiency",),
        r"dgxc-\d+ llama-3-70b h100", r"maxtext-gcp"),
    Fit("torchtitan", (
        "torchtitan matmul_efficiency", "torchtitan attention_efficiency",
        "torchtitan on.hopper.attention_efficiency", "torchtitan formats.fp8",
    ), r"titan-0(0\d|1\d|3[3-9]|40) ", r"titan-03[12]|titan-04[1-3]|torchao"),
    Fit("llm-foundry", (
        "llm-foundry matmul_efficiency", "llm-foundry on.hopper.matmul_efficiency",
        "llm-foundry attention_efficiency", "llm-foundry on.hopper.attention_efficiency",
        "llm-foundry memory_efficiency",
    ), r"mosaic-\d*[13579] ", r"mosaic-\d*[02468] "),
    Fit("Megatron-LM of 2022", (
        "megatron-lm-2022 matmul_efficiency", "megatron-lm-2022 attention_efficiency",
    ), r"korth-\d+ (megatron-22b|gpt-1t)", r"korth-\d+ gpt3-175b"),
    Fit("Megatron-DeepSpeed", (
        "megatron-deepspeed dispatch_s", "megatron-deepspeed host_s",
        "megatron-deepspeed matmul_efficiency", "megatron-deepspeed attention_efficiency",
        "megatron-deepspeed memory_efficiency",
    ), r"vtrain-single-fit", r"vtrain-single-held"),
)


@attrs.frozen
class Case:
    """A row with its plan, which no figure that is fitted changes."""

    name: str
    scenario: Scenario
    plan: Plan
    seconds: float

    def error(self, values: Mapping[str, float]) -> float:
        """Return the error of the step time with some figures in place of the catalog's."""
        scenario = self.scenario
        for name, value in values.items():
            scenario = changed(scenario, KNOWN[name], value)
        return step_time(step_timings(self.plan, scenario)) / self.seconds - 1


def mean_error(cases: list[Case], values: Mapping[str, float]) -> float:
    """Return what a fit lowers."""
    return fmean(min(CAP, abs(c.error(values))) for c in cases)


def fitted(fit: Fit, cases: list[Case], values: dict[str, float]) -> dict[str, float]:
    """Return the figures at which the mean error is lowest, as far as single steps find them."""
    best = mean_error(cases, values)
    for turn in range(ROUNDS):
        for name in fit.parameters:
            low, high = KNOWN[name].low, KNOWN[name].high
            step = (high - low) / 8 / 2**turn
            for way in (step, -step):
                while True:
                    there = {**values, name: min(high, max(low, values[name] + way))}
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


def _report(label: str, cases: list[Case], values: Mapping[str, float]) -> None:
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
        values = {name: KNOWN[name].value for name in fit.parameters}
        if given.fit:
            values = fitted(fit, seen, values)
        print(fit.name)
        for name, value in values.items():
            print(f"  {name} = {value:.4g}   ({KNOWN[name].low:g} to {KNOWN[name].high:g})")
        _report("fitted", seen, values)
        _report("held out", held, values)


if __name__ == "__main__":
    main()
