"""Why a technique is not in effect: what refuses it, or what it would change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic, Source, Span, nearest, to_json
from llamasim.language import load
from llamasim.language.ast import Technique
from llamasim.plan import compile_plan
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario, Use
from llamasim.study.ablation import Change, change_json, changed
from llamasim.study.explain.refusal import Demand, demands, idle_rules, remedies
from llamasim.study.measure import measure
from llamasim.techniques.records import ClaimFact


@attrs.frozen
class WhyNot:
    """Why one technique is not in effect.

    Attributes:
        technique: its full name; `used` whether the scenario uses it.
        refusals: what the scenario with it is refused for.
        demands: what it requires and does not hold, with the values of both sides.
        remedies: changes after which it would work, each tried.
        idle: rules of it that apply to nothing here, and why.
        change: what it changes; None where it is refused.
        speed: figures before and after: name, unit, without, with it.
        claims: what is known of its accuracy.
        warnings: what is said of a scenario with it.

    """

    technique: str
    used: bool
    refusals: tuple[Diagnostic, ...] = ()
    demands: tuple[Demand, ...] = ()
    remedies: tuple[str, ...] = ()
    idle: tuple[tuple[str, str], ...] = ()
    change: Change | None = None
    speed: tuple[tuple[str, str, float, float], ...] = ()
    claims: tuple[ClaimFact, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def why_not(scenario: Scenario, name: str) -> tuple[WhyNot | None, list[Diagnostic]]:
    """Return why a technique is not in effect, or what is wrong with the scenario or the name."""
    plan, said = compile_plan(scenario)
    if plan is None:
        return None, said
    full, wrong = _full_name(scenario, name)
    if full is None:
        return None, wrong
    used = next((u for u in scenario.use if u.technique == full), None)
    if used is not None:
        return _in_use(scenario, plan, used), []
    at = Span(Source("--why-not", full), 1, 1, 1, len(full) + 1)
    use = Use(full.rpartition(".")[2], full, {}, at)
    more = attrs.evolve(scenario, use=(*scenario.use, use))
    other, found = compile_plan(more)
    new = [d for d in found if d.message not in {s.message for s in said}]
    if other is None:
        return WhyNot(
            full, False, tuple(d for d in new if d.is_error), demands(more, use),
            remedies(scenario, use),
        ), []
    return WhyNot(
        full, False, idle=idle_rules(more, use), change=_change(scenario, plan, more, other, use),
        speed=_speed(scenario, plan, more, other), claims=_claims(other, full),
        warnings=tuple(d for d in new if not d.is_error),
    ), []


def _in_use(scenario: Scenario, plan: Plan, use: Use) -> WhyNot:
    """Return what a technique in use does, and which of its rules do nothing."""
    idle = idle_rules(scenario, use)
    fewer = attrs.evolve(scenario, use=tuple(u for u in scenario.use if u is not use))
    without, said = compile_plan(fewer)
    if without is None:
        reason = next((f"{d.code} {d.message}" for d in said if d.is_error), "")
        change = Change(use.technique, use.instance, reason)
        return WhyNot(use.technique, True, idle=idle, change=change,
                      claims=_claims(plan, use.technique))
    return WhyNot(
        use.technique, True, idle=idle, change=_change(fewer, without, scenario, plan, use),
        speed=_speed(fewer, without, scenario, plan), claims=_claims(plan, use.technique),
    )


def _change(
    scenario: Scenario, plan: Plan, more: Scenario, other: Plan, use: Use
) -> Change:
    after = measure(other, more)
    return changed(use, measure(plan, scenario, after), after)


def _claims(plan: Plan, full: str) -> tuple[ClaimFact, ...]:
    return tuple(c for c in plan.claims if c.technique == full)


def _speed(
    scenario: Scenario, plan: Plan, more: Scenario, other: Plan
) -> tuple[tuple[str, str, float, float], ...]:
    """Return the figures of a run by which its job is judged, without and with the technique."""
    if plan.hash == other.hash:
        return ()
    from llamasim.simulate import run
    from llamasim.study.metrics import summary_metrics, unit_of

    before, after = summary_metrics(run(plan, scenario)), summary_metrics(run(other, more))
    names = ("step_time_s", "prefill_tok_s", "decode_tok_s", "output_tok_s", "ttft_ms_p50",
             "tpot_ms_p50")
    found = []
    for name in names:
        a, b = before.get(name), after.get(name)
        if a is not None and b is not None:
            found.append((name, unit_of(name), a, b))
    return tuple(found)


def _full_name(scenario: Scenario, name: str) -> tuple[str | None, list[Diagnostic]]:
    """Return the full name of the technique that a name (or its last part) stands for."""
    known = sorted(set(_known(scenario)))
    fits = [k for k in known if k == name or k.endswith(f".{name}")]
    if len(fits) == 1:
        return fits[0], []
    if fits:
        return None, [Diagnostic("E0710", f"several techniques are called `{name}`",
                                 help=(f"name one in full: {', '.join(fits)}",))]
    inside = [k for k in known if k.startswith(f"{name}.")]
    if inside:
        return None, [Diagnostic("E0710", f"`{name}` is a rule file, not a technique",
                                 help=(f"name one of it: {', '.join(inside)}",))]
    short = {k.rpartition(".")[2]: k for k in known}
    near = nearest(name, [*known, *short])
    return None, [Diagnostic("E0710", f"there is no technique `{name}`", help=(
        *((f"did you mean `{short.get(near, near)}`?",) if near else ()),
        "`llamasim doc` lists them all"))]


def _known(scenario: Scenario) -> Iterator[str]:
    """Yield the techniques that the scenario could use: shipped, beside it, and used ones."""
    root = rules_dir()
    own = [Path(p) for p in scenario.rule_paths]
    names = {".".join(f.relative_to(root).with_suffix("").parts) for f in root.rglob("*.rules")}
    names |= {f.stem for folder in own for f in folder.glob("*.rules")}
    yield from (u.technique for u in scenario.use)
    program, _ = load(names, [*own, root])
    for module in program.modules.values():
        yield from (f"{module.name}.{i.name}" for i in module.items if isinstance(i, Technique))


def why_not_json(found: WhyNot) -> dict[str, Any]:
    """Return an answer as plain data."""
    return {
        "technique": found.technique,
        "in_use": found.used,
        "would_work": not found.refusals,
        "refusals": to_json(found.refusals),
        "requires": [attrs.asdict(d) for d in found.demands],
        "would_work_with": list(found.remedies),
        "idle_rules": [{"place": p, "reason": r} for p, r in found.idle],
        "changes": None if found.change is None else change_json(found.change),
        "figures": {
            name: {"unit": unit or None, "without": a, "with": b}
            for name, unit, a, b in found.speed
        },
        "claims": [attrs.asdict(c) for c in found.claims],
        "warnings": to_json(found.warnings),
    }


