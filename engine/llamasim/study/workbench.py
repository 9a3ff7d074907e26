"""Builds and runs one combination after another; rules and model are read once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, check, load
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.plan import build
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate import run
from llamasim.simulate.closed_form import Results, evaluate
from llamasim.simulate.memory import capacity
from llamasim.simulate.trace import Fit
from llamasim.study.candidate import Candidate, latency_reason, memory_reason, tightest
from llamasim.study.combine import Combination
from llamasim.study.evidence import Evidence, evidence, evidence_of
from llamasim.study.metrics import (
    BOUNDED,
    Metrics,
    figures_of,
    objective_of,
    summary_metrics,
    training_metrics,
)
from llamasim.tables.reach import Reach, reaches

Known = Callable[[str], int | None]


@attrs.frozen(eq=False)
class Workbench:
    """What all combinations of a scenario share."""

    scenario: Scenario
    program: Program
    graph: Graph
    #: Whether all that is asked for has a closed form.
    bounded: bool

    @staticmethod
    def of(scenario: Scenario) -> tuple[Workbench | None, list[Diagnostic]]:
        """Load and check every rule file that some combination uses."""
        uses = (*scenario.use, *(u for c in scenario.choices for _, o in c.options for u in o))
        search = [*(Path(p) for p in scenario.rule_paths), rules_dir()]
        spans = {u.technique: u.span for u in uses}
        program, diagnostics = load(sorted(spans), search, spans)
        if not any(d.is_error for d in diagnostics):
            diagnostics += [d for d in check(program) if d.is_error]
        if any(d.is_error for d in diagnostics):
            return None, diagnostics
        wanted = {f.metric for f in (*figures_of(scenario), objective_of(scenario))}
        bounded = scenario.workload.mode == "training" and wanted <= BOUNDED
        return Workbench(scenario, program, resolve(scenario.model), bounded), diagnostics

    def build(self, combination: Combination) -> tuple[Plan | None, Scenario, list[Diagnostic]]:
        """Return the plan of a combination, or what refuses it."""
        scenario = attrs.evolve(self.scenario, use=combination.use)
        plan, diagnostics = build(self.graph, self.program, scenario)
        refused = any(d.is_error for d in diagnostics)
        return None if refused else plan, scenario, diagnostics

    def reach(self, combination: Combination) -> tuple[Reach, ...]:
        """Return what stands behind the figures of a combination that has a plan."""
        plan, scenario, _ = self.build(combination)
        return () if plan is None else reaches(plan, scenario)

    def draft(self, combination: Combination, known: Known) -> Candidate:
        """Return a combination simulated, or why it is not.

        `known` returns the number of an earlier combination with the same plan.
        """
        if combination.clash:
            return Candidate(combination, "refused", combination.clash)
        plan, scenario, diagnostics = self.build(combination)
        if plan is None:
            return refused(combination, diagnostics)
        same = known(plan.hash)
        if same is not None and same != combination.number:
            return Candidate(combination, "repeats", f"the same plan as #{same}",
                             evidence=evidence_of(plan), plan_hash=plan.hash)
        return advised(simulated(combination, plan, scenario), diagnostics)

    def bounds(self, combinations: Sequence[Combination]) -> list[Candidate]:
        """Return combinations of a training job, bounded in closed form."""
        rows = {c.number: k for k, c in enumerate(c for c in combinations if not c.clash)}
        uses = [c.use for c in combinations if not c.clash]
        found = evaluate(self.graph, self.program, self.scenario, uses, least=True)
        known = {id(said): evidence(said.claims, said.techniques) for said in found.said}
        return [
            Candidate(c, "refused", c.clash) if c.clash
            else bounded(c, found, rows[c.number], self.scenario, known)
            for c in combinations
        ]


def bounded(
    combination: Combination, found: Results, row: int, scenario: Scenario,
    known: Mapping[int, Evidence],
) -> Candidate:
    """Return a combination with what it takes at least, from a row of results."""
    said = found.said[row]
    if any(d.is_error for d in said.diagnostics):
        return refused(combination, said.diagnostics)
    fit = Fit(
        int(found.stage[row]), float(found.peak[row]), capacity(scenario),
        {k: float(v[row]) for k, v in found.categories.items() if v[row]},
        float(found.host[row]), scenario.cluster.host.memory_bytes, float(found.allocated[row]),
    )
    metrics: Metrics = {}
    if found.fits[row]:
        metrics = training_metrics(scenario, float(found.seconds[row]), (fit,))
    here = judged(combination, known[id(said)], scenario, metrics, (fit,))
    return advised(here, said.diagnostics)


def refused(combination: Combination, diagnostics: Iterable[Diagnostic]) -> Candidate:
    """Return a combination with the first error against it."""
    first = next(d for d in diagnostics if d.is_error)
    reason = f"{first.message}: {first.why}" if first.why else first.message
    return Candidate(combination, "refused", " ".join(reason.split()), first.code)


def advised(candidate: Candidate, diagnostics: Iterable[Diagnostic]) -> Candidate:
    """Return a candidate with the warnings of its rules."""
    said = tuple(dict.fromkeys(d.message for d in diagnostics if not d.is_error))
    return attrs.evolve(candidate, warnings=said) if said else candidate


def simulated(combination: Combination, plan: Plan, scenario: Scenario) -> Candidate:
    """Return a combination with the figures of its simulation."""
    trace = run(plan, scenario)
    metrics = summary_metrics(trace)
    found = judged(combination, evidence_of(plan), scenario, metrics, trace.fits, plan.hash)
    if found.status == "feasible" and trace.rejected:
        reason = f"no room for the cache of {len(trace.rejected):,} of its requests"
        return attrs.evolve(found, status="too_large", reason=reason)
    return found


def judged(
    combination: Combination, known: Evidence, scenario: Scenario, metrics: Metrics,
    fits: tuple[Fit, ...], plan_hash: str = "",
) -> Candidate:
    """Return a combination with its figures, and whether it fits and meets its targets.

    Figures with the hash of a plan are simulated; others are bounds.
    """
    worst, trusted = tightest(fits), bool(plan_hash)
    late = latency_reason(metrics, scenario)
    reason = memory_reason(worst, least=not trusted) or late
    return Candidate(
        combination,
        "too_large" if not worst.fits else "too_slow" if late else "feasible",
        reason, "", metrics, known, worst, trusted, plan_hash,
    )
