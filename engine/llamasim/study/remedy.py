"""Techniques of the library that make a scenario fit: known by what their rules write; tried."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from llamasim.assets import rules_dir
from llamasim.language import Program, load
from llamasim.language.ast import Axis, Rule, Technique
from llamasim.language.ast_effects import Drop, Place, Shard, Write
from llamasim.language.ast_expr import Path as Dotted
from llamasim.model import resolve
from llamasim.plan import build
from llamasim.plan.spec import OpWork, Plan
from llamasim.scenario.spec import Scenario, Use
from llamasim.simulate import run
from llamasim.simulate.trace import Fit
from llamasim.study.bound import memory_bound
from llamasim.units import NONE, Quantity

#: The element of the language that takes a category of memory.
_ELEMENTS = {
    "weights": "weight", "gradients": "grad", "optimizer": "optimizer",
    "activations": "activation", "kv_cache": "kv_cache",
}
#: Most that are named.
_NAMED = 3


def remedies(scenario: Scenario, worst: Fit) -> tuple[str, ...]:
    """Return techniques with which memory suffices, soonest done first, one of each family.

    Only techniques are tried whose rules make less, elsewhere or shared, of what takes most of the
    memory, with the parameters that they have by themselves, an axis as wide as the node; those
    whose formats the runtime has no kernels for are not.
    """
    element = _ELEMENTS.get(max(worst.by_category, key=lambda c: worst.by_category[c]), "")
    program = _library(scenario)
    found: list[tuple[float, str, str]] = []
    for module, technique in _saving(program, element):
        use = _use(f"{module}.{technique.name}", technique, scenario)
        seconds = None if _used(use, scenario) else _seconds(use, scenario, program)
        if seconds is not None:
            found.append((seconds, module, _text(use)))
    best: dict[str, str] = {}
    for _, module, text in sorted(found):
        best.setdefault(module.partition(".")[0], text)
    return tuple(best.values())[:_NAMED]


def _library(scenario: Scenario) -> Program:
    folders = [*(Path(p) for p in scenario.rule_paths), rules_dir()]
    names = {".".join(f.relative_to(rules_dir()).with_suffix("").parts)
             for f in rules_dir().rglob("*.rules")}
    used = {u.technique for u in scenario.use}
    return load(sorted(names | used), folders)[0]


def _saving(program: Program, element: str) -> Iterator[tuple[str, Technique]]:
    for name, module in sorted(program.modules.items()):
        for item in module.items:
            if isinstance(item, Technique) and any(
                isinstance(m, Rule) and m.element == element and _saves(m) for m in item.members
            ):
                yield name, item


def _saves(rule: Rule) -> bool:
    return any(
        isinstance(e, Shard | Place | Drop)
        or (isinstance(e, Write) and (e.cell == "numerics.bits" or e.verb == "cap"))
        for e in rule.effects
    )


def _use(name: str, technique: Technique, scenario: Scenario) -> Use:
    """Return a use with parameters as they are; one that sizes an axis is what a node has."""
    sizes = [m.size.parts[0] for m in technique.members
             if isinstance(m, Axis) and isinstance(m.size, Dotted)]
    ways = Quantity(float(scenario.cluster.devices_per_node), NONE)
    return Use(technique.name, name, dict.fromkeys(sizes[:1], ways), technique.span)


def _used(use: Use, scenario: Scenario) -> bool:
    return use.instance in {u.instance for u in scenario.use} or (
        bool(use.args) and scenario.cluster.devices_per_node == 1)


def _seconds(use: Use, scenario: Scenario, program: Program) -> float | None:
    """Return how long the job takes with one more technique; None where it does not fit with it."""
    changed = attrs.evolve(scenario, use=(*scenario.use, use))
    plan, said = build(resolve(scenario.model), program, changed)
    if plan is None or any(d.is_error for d in said) or not _has_kernels(plan, scenario):
        return None
    if plan.mode == "training" and not all(f.fits for f in memory_bound(plan, changed)):
        return None
    trace = run(plan, changed)
    fits = all(f.fits for f in trace.fits) and not trace.rejected
    return trace.makespan if fits else None


def _has_kernels(plan: Plan, scenario: Scenario) -> bool:
    formats = scenario.runtime.formats
    return all(
        w.format is None or w.format in formats or w.math in formats
        for b in plan.blocks for works in b.work.values() for w in works if isinstance(w, OpWork)
    )


def _text(use: Use) -> str:
    args = ", ".join(f"{k}: {v.value:g}" for k, v in use.args.items() if isinstance(v, Quantity))
    return f"use: {use.technique}" + (f" {{{args}}}" if args else "")
