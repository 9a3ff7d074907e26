"""Predictions of rows; nothing here sees what was measured until it is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Any

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, check, load
from llamasim.model import resolve
from llamasim.plan import build
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate import run
from llamasim.simulate.memory import measures
from llamasim.simulate.trace import Trace
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.files import Row
from llamasim.validate.inference import inference_scenario, outcomes, queued
from llamasim.validate.mapping import Mapping
from llamasim.validate.score import Scored, scored
from llamasim.validate.training import memory_measure, training_scenario


@attrs.define
class Predictor:
    """Predicts rows; rules are read once for each set of techniques.

    Attributes:
        mapping: of columns to scenarios.
        change: of each scenario before it is predicted: none, but to see what a figure does.

    """

    mapping: Mapping
    change: Callable[[Scenario], Scenario] = lambda scenario: scenario
    _programs: dict[frozenset[str], tuple[Program, list[Diagnostic]]] = attrs.Factory(dict)
    _runs: dict[Any, tuple[Map[str, float], str]] = attrs.Factory(dict)

    def training(self, row: Row) -> Iterator[Scored]:
        """Yield a training row's step time (or throughput) and peak memory against what was
        measured.
        """
        groups = groups_of(row)
        wanted = _wanted(row)
        try:
            scenario = self.change(training_scenario(row, self.mapping))
            plan = self.plan(scenario)
        except UnsupportedError as error:
            for metric, value in wanted.items():
                yield Scored(row.id, metric, value, None, None, "unsupported", str(error), groups)
            return
        trace = run(plan, scenario)
        lacking = lacking_of(trace)
        tokens = scenario.workload.global_batch * scenario.workload.sequence
        said = memory_measure(row, self.mapping)
        predicted = {
            "step_time_s": trace.makespan,
            "tokens_per_s_per_gpu": tokens / trace.makespan / scenario.cluster.devices,
            "peak_memory_gib": max(measures(f, scenario)[said] for f in trace.fits) / 2**30,
        }
        for metric, value in wanted.items():
            yield scored(row.id, metric, value, predicted[metric], groups, lacking)

    def inference(self, row: Row) -> Iterator[Scored]:
        """Yield an inference row's metric against what was measured."""
        groups, metric = groups_of(row), row.texts["metric"]
        value = row.measured.get("value")
        if not value:
            reason = "nothing is measured"
            yield Scored(row.id, metric, 0.0, None, None, "unsupported", reason, groups)
            return
        try:
            scenario = self.change(inference_scenario(row, self.mapping))
            found, lacking = self._outcomes(scenario)
            waiting = queued(row, self.mapping, scenario) if lacking else None
            if waiting is not None:
                found, lacking = self._outcomes(waiting)
            if metric not in found:
                raise UnsupportedError(f"this workload has no `{metric}`")
        except UnsupportedError as error:
            yield Scored(row.id, metric, value, None, None, "unsupported", str(error), groups)
            return
        yield scored(row.id, metric, value, found[metric], groups, lacking)

    def requests(
        self, setup: Row, scenario: Scenario, wanted: Map[str, float]
    ) -> Iterator[Scored]:
        """Yield the means of replayed requests against those measured."""
        groups = groups_of(setup)
        found, lacking = self._outcomes(scenario)
        for metric, value in wanted.items():
            yield scored(setup.id, metric, value, found[metric], groups, lacking)

    def _outcomes(self, scenario: Scenario) -> tuple[Map[str, float], str]:
        """Return what a scenario comes to; rows that tell of the same run are simulated once."""
        same = (scenario.model, scenario.cluster, scenario.runtime, scenario.workload,
                tuple((u.technique, tuple(sorted(u.args.items()))) for u in scenario.use))
        key = repr(same)
        if key not in self._runs:
            trace = run(self.plan(scenario), scenario)
            self._runs[key] = outcomes(trace), lacking_of(trace)
        return self._runs[key]

    def plan(self, scenario: Scenario) -> Plan:
        """Return a scenario's plan.

        Raises:
            UnsupportedError: its techniques cannot run together.

        """
        names = frozenset(u.technique for u in scenario.use)
        if names not in self._programs:
            program, said = load(sorted(names), [Path(rules_dir())])
            said += [d for d in check(program) if d.is_error]
            self._programs[names] = program, said
        program, said = self._programs[names]
        if any(d.is_error for d in said):
            raise UnsupportedError(next(d.message for d in said if d.is_error))
        plan, said = build(resolve(scenario.model), program, scenario)
        if plan is None:
            first = next(d for d in said if d.is_error)
            raise UnsupportedError(f"{first.code}: {first.message}")
        return plan


def lacking_of(trace: Trace) -> str:
    """Return what a run lacks to fit, in words; empty where it fits."""
    if trace.rejected:
        return trace.rejected[0].reason
    if all(f.fits for f in trace.fits):
        return ""
    tightest = max(trace.fits, key=lambda f: f.peak_bytes / f.capacity_bytes)
    return (f"{tightest.peak_bytes / 2**30:.1f} GiB on a device, and there are "
            f"{tightest.capacity_bytes / 2**30:.1f}")


def groups_of(row: Row) -> dict[str, str]:
    """Return what a row belongs to: its device, its source (its id without the number), its
    runtime, its model and what kind of job it is.
    """
    texts = row.texts
    return {
        "device": texts.get("device", ""), "source": row.id.rpartition("-")[0],
        "runtime": texts.get("runtime", ""),
        "workload": texts.get("workload", texts.get("finetune", "") or "pre-training"),
        "model": texts.get("model", ""),
    }


def _wanted(row: Row) -> dict[str, float]:
    """Return what a row measured, by the names of metrics; time and throughput count once."""
    found: dict[str, float] = {}
    seconds = row.measured.get("measured_step_time_s")
    tokens = row.measured.get("measured_tokens_per_s_per_gpu")
    if seconds:
        found["step_time_s"] = seconds
    elif tokens:
        found["tokens_per_s_per_gpu"] = tokens
    memory = row.measured.get("measured_peak_mem_gb")
    if memory:
        decimal = row.texts.get("peak_mem_unit") == "GB"
        found["peak_memory_gib"] = memory * 1e9 / 2**30 if decimal else memory
    return found
