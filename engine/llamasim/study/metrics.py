"""Which figures a study compares, and how it reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from llamasim.scenario.spec import Objective, Scenario
from llamasim.simulate.trace import Fit, Trace
from llamasim.tables import summarize
from llamasim.tables.summary import FIELDS

MEMORY, COST = "peak_memory_gib", "usd_per_million_tokens"
#: Figures that the closed form bounds.
BOUNDED = frozenset({"step_time_s", "tokens_per_s", "tokens_per_s_per_gpu", MEMORY, COST})
#: Fields of the summary that say what ran, not how well.
_LEFT_OUT = frozenset({
    "fits", "params", "devices", "seed", "plan_hash", "scenario", "flops_convention",
})

Metrics = Mapping[str, float | None]


@attrs.frozen
class Figure:
    """A field of the summary and its good direction."""

    metric: str
    maximize: bool

    def score(self, metrics: Metrics) -> float | None:
        """Return the figure so that less is better."""
        value = metrics.get(self.metric)
        return None if value is None else -value if self.maximize else value


def objective_of(scenario: Scenario) -> Figure:
    """Return what candidates are ranked by: as stated, else the throughput that suits the job."""
    objective = scenario.objective
    if "optimize.objective" in scenario.spans or objective != Objective():
        return Figure(objective.metric, objective.maximize)
    return Figure(throughput(scenario), True)


def speed_of(scenario: Scenario) -> Figure:
    """Return what counts as speed: the objective where it is one, else what suits the job."""
    objective = objective_of(scenario)
    if objective.metric in (MEMORY, COST, "joules_per_token"):
        return Figure(throughput(scenario), True)
    return objective


def throughput(scenario: Scenario) -> str:
    """Return the field that says how many tokens a job makes a second."""
    if scenario.workload.mode == "training":
        return "tokens_per_s"
    return "output_tok_s" if scenario.workload.serving else "decode_tok_s"


def figures_of(scenario: Scenario) -> tuple[Figure, ...]:
    """Return what the front compares beside accuracy: speed, memory and, if priced, cost."""
    cost = () if scenario.cluster.usd_per_hour is None else (Figure(COST, False),)
    return (speed_of(scenario), Figure(MEMORY, False), *cost)


def training_metrics(
    scenario: Scenario, seconds: float, fits: Sequence[Fit]
) -> dict[str, float | None]:
    """Return the bounded fields of a training step that takes `seconds`."""
    cluster, work = scenario.cluster, scenario.workload
    rate = work.global_batch * work.sequence / seconds
    hourly = cluster.usd_per_hour
    cost = None if hourly is None else hourly * cluster.nodes / 3600 / rate * 1e6
    return {
        "step_time_s": seconds,
        "tokens_per_s": rate,
        "tokens_per_s_per_gpu": rate / cluster.devices,
        MEMORY: max(f.peak_bytes for f in fits) / 2**30,
        COST: cost,
    }


def summary_metrics(trace: Trace) -> dict[str, float | None]:
    """Return the figures of a run's summary."""
    row = summarize(trace)
    found: dict[str, float | None] = {}
    for name in summary_fields():
        value = row.get(name)
        found[name] = float(value) if isinstance(value, int | float) else None
    return found


def summary_fields() -> Mapping[str, str]:
    """Return the figures of a summary, and their units."""
    return {k: unit for k, (unit, _) in FIELDS.items() if k not in _LEFT_OUT}


def unit_of(metric: str) -> str:
    """Return the unit of a figure; empty for plain ratios."""
    return FIELDS[metric][0] if metric in FIELDS else ""
