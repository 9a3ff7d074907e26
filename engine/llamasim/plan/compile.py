"""From a scenario to its plan, through all the rooms between."""

from __future__ import annotations

from pathlib import Path

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, check, load
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.plan.extras import with_extras
from llamasim.plan.identity import plan_hash
from llamasim.plan.lower import lower
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.techniques import apply


def compile_plan(scenario: Scenario) -> tuple[Plan | None, list[Diagnostic]]:
    """Load and check the rules in use, apply them to the model, and lower the result."""
    program, diagnostics = program_of(scenario)
    if any(d.is_error for d in diagnostics):
        return None, diagnostics
    plan, said = build(resolve(scenario.model), program, scenario)
    return plan, diagnostics + said


def build(
    graph: Graph, program: Program, scenario: Scenario, *, beside: frozenset[str] = frozenset()
) -> tuple[Plan | None, list[Diagnostic]]:
    """Apply checked rules to a model and lower the result, with the models that run beside it.

    Where the model itself runs beside another, `beside` are the uses that have it run.
    """
    applied, diagnostics = apply(graph, program, scenario, beside=beside)
    if applied is None or any(d.is_error for d in diagnostics):
        return None, diagnostics
    plan, said = lower(applied, scenario)
    diagnostics += said
    if plan is None or not applied.extras or beside:
        return plan, diagnostics
    plan, said = with_extras(
        plan, applied, scenario, lambda g, s, u: build(g, program, s, beside=u)
    )
    if plan is None:
        return None, diagnostics + said
    return attrs.evolve(plan, hash=plan_hash(plan, scenario)), diagnostics + said


def program_of(scenario: Scenario) -> tuple[Program, list[Diagnostic]]:
    """Return the checked rules that a scenario uses, and what is wrong with them."""
    search = [*(Path(p) for p in scenario.rule_paths), rules_dir()]
    program, diagnostics = load(
        sorted({u.technique for u in scenario.use}), search,
        spans={u.technique: u.span for u in scenario.use},
    )
    if not any(d.is_error for d in diagnostics):
        diagnostics += [d for d in check(program) if d.is_error]
    return program, diagnostics
