"""From a scenario to its plan, through all the rooms between."""

from __future__ import annotations

from pathlib import Path

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, check, load
from llamasim.model import resolve
from llamasim.plan.lower import lower
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.techniques import apply


def compile_plan(scenario: Scenario) -> tuple[Plan | None, list[Diagnostic]]:
    """Load and check the rules in use, apply them to the model, and lower the result."""
    program, diagnostics = program_of(scenario)
    if any(d.is_error for d in diagnostics):
        return None, diagnostics
    applied, said = apply(resolve(scenario.model), program, scenario)
    diagnostics += said
    if applied is None:
        return None, diagnostics
    plan, said = lower(applied, scenario)
    return plan, diagnostics + said


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
