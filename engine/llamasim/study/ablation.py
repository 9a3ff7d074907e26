"""What each technique changes: the plan with it beside the plan without it."""

from __future__ import annotations

from typing import Any

import attrs

from llamasim.plan import compile_plan
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario, Use
from llamasim.study.measure import Measure, Moved, measure

#: Relative change below which two amounts count as equal (sums of floats in another order).
_SAME = 1e-9


@attrs.frozen
class Amounts:
    """One figure without and with a technique."""

    name: str
    without: float
    with_it: float


@attrs.frozen
class Change:
    """What one use of a technique changes.

    Attributes:
        technique: full name; `instance` what the scenario calls the use.
        refused: code and sentence why the scenario has no plan without it (or with it).
        memory: bytes of categories that change, and of all together.
        work: FLOP and bytes that change.
        added, removed: collectives that only the plan with it (without it) has.
        altered: collectives of both plans in another number or size: without, with.

    """

    technique: str
    instance: str
    refused: str = ""
    memory: tuple[Amounts, ...] = ()
    work: tuple[Amounts, ...] = ()
    added: tuple[Moved, ...] = ()
    removed: tuple[Moved, ...] = ()
    altered: tuple[tuple[Moved, Moved], ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the figures are the same with and without it."""
        return not (self.refused or self.memory or self.work or self.added or self.removed
                    or self.altered)


def ablation(scenario: Scenario, plan: Plan) -> tuple[Change, ...]:
    """Return for each technique in use what leaving it out would change.

    Each is left out alone; the others stay as they are.
    """
    here = measure(plan, scenario)
    return tuple(
        _without(scenario, use, here)
        for use in sorted(scenario.use, key=lambda u: (u.technique, u.instance))
    )


def _without(scenario: Scenario, use: Use, here: Measure) -> Change:
    rest = tuple(u for u in scenario.use if u.instance != use.instance)
    fewer = attrs.evolve(scenario, use=rest)
    plan, said = compile_plan(fewer)
    if plan is None:
        reason = next((f"{d.code} {d.message}" for d in said if d.is_error), "it has no plan")
        return Change(use.technique, use.instance, reason)
    return changed(use, measure(plan, fewer, here), here)


def changed(use: Use, without: Measure, with_it: Measure) -> Change:
    """Return how two plans differ that differ by one technique."""
    memory = [
        Amounts(k, without.memory.get(k, 0.0), with_it.memory.get(k, 0.0))
        for k in dict.fromkeys((*without.memory, *with_it.memory))
    ]
    memory.append(Amounts("total", without.total, with_it.total))
    work = [
        Amounts(k, without.work.get(k, 0.0), with_it.work.get(k, 0.0))
        for k in dict.fromkeys((*without.work, *with_it.work))
    ]
    before, after = ({m.key: m for m in x.moves} for x in (without, with_it))
    return Change(
        use.technique, use.instance, "",
        tuple(a for a in memory if _differ(a.without, a.with_it)),
        tuple(a for a in work if _differ(a.without, a.with_it)),
        tuple(m for k, m in after.items() if k not in before),
        tuple(m for k, m in before.items() if k not in after),
        tuple(
            (before[k], m) for k, m in after.items()
            if k in before and (before[k].size != m.size or _differ(before[k].count, m.count)
                                or _differ(before[k].bytes, m.bytes))
        ),
    )


def _differ(a: float, b: float) -> bool:
    return abs(a - b) > _SAME * max(abs(a), abs(b))


def change_json(change: Change) -> dict[str, Any]:
    """Return a change as plain data."""
    return {
        "technique": change.technique,
        "instance": change.instance,
        "cannot_be_left_out": change.refused or None,
        "memory": {a.name: {"without": a.without, "with": a.with_it} for a in change.memory},
        "work": {a.name: {"without": a.without, "with": a.with_it} for a in change.work},
        "collectives_added": [attrs.asdict(m) for m in change.added],
        "collectives_removed": [attrs.asdict(m) for m in change.removed],
        "collectives_changed": [
            {"without": attrs.asdict(a), "with": attrs.asdict(b)} for a, b in change.altered
        ],
    }


def measure_json(found: Measure) -> dict[str, Any]:
    """Return a measure as plain data."""
    return {
        "stage": found.stage, "stages": found.stages, "fits": found.fits,
        "memory": {**found.memory, "total": found.total}, "work": dict(found.work),
        "collectives": [attrs.asdict(m) for m in found.moves],
    }
