"""What refuses a technique, what its demands come to, and what would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from llamasim.language import EvalError, Missing, evaluate
from llamasim.language.ast import Call, Expr, Param, Path, Requires
from llamasim.language.bind import bind
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.plan import compile_plan, program_of
from llamasim.scenario.spec import Scenario, Use, Value
from llamasim.study.explain.sites import place_of
from llamasim.study.explain.text import shown
from llamasim.techniques import apply
from llamasim.techniques.blocks import Space, any_selected
from llamasim.techniques.checks import mesh_of, source_text
from llamasim.techniques.classes import children
from llamasim.techniques.collect import RuleUse
from llamasim.techniques.environment import Env, global_names
from llamasim.techniques.instances import instantiate
from llamasim.units import NONE, Quantity

#: Values of a parameter that are tried, and plans that are made at once, before giving up.
MOST_VALUES = 8
MOST_TRIES = 24


@attrs.frozen
class Demand:
    """A `requires` that does not hold.

    Attributes:
        test: as it is written; `place` its line; `message` what the rule file says of it.
        reads: names in it with their values here.

    """

    test: str
    place: str
    message: str
    reads: tuple[tuple[str, str], ...]


def demands(scenario: Scenario, use: Use) -> tuple[Demand, ...]:
    """Return what a use requires and the scenario does not give."""
    program, _ = program_of(scenario)
    instances, _ = instantiate(scenario, program)
    names = global_names(scenario, resolve(scenario.model))
    mine = next((i for i in instances if i.use.instance == use.instance), None)
    if mine is None:
        return ()
    mesh, _ = mesh_of(scenario, instances, names)
    env = Env(mine, names, mesh)
    return tuple(
        Demand(source_text(m.test.span), place_of(mine, m.span.line), m.message or "",
               tuple(dict.fromkeys(_reads(m.test, env))))
        for m in mine.technique.members if isinstance(m, Requires) and not _holds(m.test, env)
    )


def _holds(expr: Expr, env: Env) -> bool:
    try:
        return evaluate(expr, env) is True
    except (EvalError, Missing):
        return False


def _reads(expr: Expr, env: Env) -> Iterator[tuple[str, str]]:
    """Yield the names and calls in an expression with their values; plain words have none."""
    if isinstance(expr, Path | Call):
        try:
            value = shown(evaluate(expr, env))
        except (EvalError, Missing):
            value = "unknown here"
        text = source_text(expr.span)
        if value != text:
            yield text, value
    if not isinstance(expr, Call):
        for part in children(expr):
            yield from _reads(part, env)


def remedies(scenario: Scenario, use: Use) -> tuple[str, ...]:
    """Return changes of one thing after which a technique could be used; each was tried."""
    values = list(_other_values(scenario, use))
    changes = [(text, (*scenario.use, u)) for text, u in values]
    changes += _in_place_of(scenario, [("", use)])
    found = _working(scenario, changes)
    if not found:
        found = _working(scenario, list(_in_place_of(scenario, values)))
    return tuple(found)


def _working(
    scenario: Scenario, changes: Sequence[tuple[str, tuple[Use, ...]]]
) -> list[str]:
    found = []
    for text, uses in changes[:MOST_TRIES]:
        plan, _ = compile_plan(attrs.evolve(scenario, use=uses))
        if plan is None:
            continue
        # What leaves all as it is without it (a degree of 1) is no way to use a technique.
        without, _ = compile_plan(attrs.evolve(scenario, use=uses[:-1]))
        if without is None or without.hash != plan.hash:
            found.append(text)
    return found


def _other_values(scenario: Scenario, use: Use) -> Iterator[tuple[str, Use]]:
    """Yield the use with one parameter at another value of its domain."""
    program, _ = program_of(attrs.evolve(scenario, use=(use,)))
    found = program.technique(use.technique)
    if found is None:
        return
    module, technique = found
    for member in technique.members:
        if not isinstance(member, Param) or member.type not in ("Int", "Bool"):
            continue
        values: list[Value] = [Quantity(2.0**k, NONE) for k in range(MOST_VALUES)]
        if member.type == "Bool":
            values = [True, False]
        for value in values:
            args: dict[str, Value] = {member.name: value}
            _, said = bind(module, technique, args, {}, use.span)
            text = value if isinstance(value, str) else shown(value)
            default = source_text(member.default.span) if member.default else ""
            if not any(d.is_error for d in said) and text != default:
                yield f"{member.name}: {text}", attrs.evolve(use, args=args)


def _in_place_of(
    scenario: Scenario, uses: Sequence[tuple[str, Use]]
) -> Iterator[tuple[str, tuple[Use, ...]]]:
    """Yield each of some uses in the place of each technique in use."""
    for text, use in uses:
        for other in scenario.use:
            rest = tuple(u for u in scenario.use if u is not other)
            yield f"{text} in place of {other.technique}".strip(), (*rest, use)


def idle_rules(scenario: Scenario, use: Use) -> tuple[tuple[str, str], ...]:
    """Return the rules of a use that apply to nothing: their line and why."""
    program, _ = program_of(scenario)
    applied, _ = apply(resolve(scenario.model), program, scenario)
    if applied is None:
        return ()
    space = applied.space
    collectors = [applied.step_collected, *(f.collected for f in applied.blocks)]
    active = {u.key for c in collectors if c for uses in c.rules.values() for u in uses}
    return tuple(
        (place_of(r.instance, r.rule.span.line), _idle(r, applied.graph, space))
        for r in space.rules
        if r.instance.use.instance == use.instance and r.key not in active
    )


def _idle(rule: RuleUse, graph: Graph, space: Space) -> str:
    if not space.phases(rule):
        return f"this workload has no phase {' or '.join(rule.rule.phases)}"
    if not any_selected(rule, graph):
        return f"no {rule.rule.element} has such a name here"
    if rule.rule.where is not None:
        where = source_text(rule.rule.where.span)
        values = ", ".join(f"{k} = {v}" for k, v in _known(rule, space))
        return f"`{where}` holds nowhere" + (f" ({values})" if values else "")
    return "it applies to nothing"


def _known(rule: RuleUse, space: Space) -> list[tuple[str, str]]:
    env = Env(rule.instance, space.names, space.mesh)
    if rule.rule.where is None:
        return []
    return [(k, v) for k, v in dict(_reads(rule.rule.where, env)).items() if v != "unknown here"]
