"""Builds and runs one combination after another; rules and model are read once for all."""

from __future__ import annotations

from collections.abc import Callable
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
from llamasim.simulate.trace import Fit
from llamasim.study.bound import training_bound
from llamasim.study.candidate import Candidate, latency_reason, memory_reason, tightest
from llamasim.study.combine import Combination
from llamasim.study.evidence import evidence_of
from llamasim.study.metrics import BOUNDED, Metrics, figures_of, objective_of, summary_metrics


@attrs.frozen(eq=False)
class Workbench:
    """What all combinations of a scenario share."""

    scenario: Scenario
    program: Program
    graph: Graph
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

    def draft(self, combination: Combination, known: Callable[[str], int | None]) -> Candidate:
        """Return a combination bounded in closed form, or simulated where there is none.

        `known` returns the number of an earlier combination with the same plan.
        """
        if combination.clash:
            return Candidate(combination, "refused", combination.clash)
        plan, scenario, diagnostics = self.build(combination)
        if plan is None:
            return refused(combination, diagnostics)
        same = known(plan.hash)
        if same is not None:
            return Candidate(combination, "repeats", f"the same plan as #{same}",
                             evidence=evidence_of(plan), plan_hash=plan.hash)
        if not self.bounded:
            return advised(simulated(combination, plan, scenario), diagnostics)
        bound = training_bound(plan, scenario)
        found = judged(combination, plan, scenario, bound.metrics, bound.fits, trusted=False)
        return advised(found, diagnostics)

    def confirm(self, candidate: Candidate) -> Candidate:
        """Return a bounded candidate simulated."""
        plan, scenario, diagnostics = self.build(candidate.combination)
        if plan is None:
            return refused(candidate.combination, diagnostics)
        return advised(simulated(candidate.combination, plan, scenario), diagnostics)


def refused(combination: Combination, diagnostics: list[Diagnostic]) -> Candidate:
    """Return a combination with the first error against it."""
    first = next(d for d in diagnostics if d.is_error)
    reason = f"{first.message}: {first.why}" if first.why else first.message
    return Candidate(combination, "refused", " ".join(reason.split()), first.code)


def advised(candidate: Candidate, diagnostics: list[Diagnostic]) -> Candidate:
    """Return a candidate with the warnings of its rules."""
    said = tuple(dict.fromkeys(d.message for d in diagnostics if not d.is_error))
    return attrs.evolve(candidate, warnings=said) if said else candidate


def simulated(combination: Combination, plan: Plan, scenario: Scenario) -> Candidate:
    """Return a combination with the figures of its simulation."""
    trace = run(plan, scenario)
    metrics = summary_metrics(trace)
    found = judged(combination, plan, scenario, metrics, trace.fits, trusted=True)
    if found.status == "feasible" and trace.rejected:
        reason = f"no room for the cache of {len(trace.rejected):,} of its requests"
        return attrs.evolve(found, status="too_large", reason=reason)
    return found


def judged(
    combination: Combination, plan: Plan, scenario: Scenario, metrics: Metrics,
    fits: tuple[Fit, ...], *, trusted: bool,
) -> Candidate:
    """Return a combination with its figures, and whether it fits and meets its targets.

    `trusted` figures are simulated; others are bounds.
    """
    worst = tightest(fits)
    late = latency_reason(metrics, scenario)
    reason = memory_reason(worst, least=not trusted) or late
    return Candidate(
        combination,
        "too_large" if not worst.fits else "too_slow" if late else "feasible",
        reason, "", metrics, evidence_of(plan), worst, trusted, plan.hash,
    )
