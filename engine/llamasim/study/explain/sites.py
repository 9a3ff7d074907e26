"""Which rules wrote something, in which line, and what their expressions come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from llamasim.language import EvalError, Missing, Symbol, Value, evaluate
from llamasim.language.ast import Claim, Effect, Expr, Path, Shard, SourceDecl, Write
from llamasim.language.cells import CELLS
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.text import UNITS, amount, shown
from llamasim.study.explain.tree import Site
from llamasim.techniques.applied import Merged
from llamasim.techniques.blocks import view_source
from llamasim.techniques.checks import source_text
from llamasim.techniques.classes import children
from llamasim.techniques.collect import Collector, RuleUse
from llamasim.techniques.environment import Env, number
from llamasim.techniques.instances import Instance
from llamasim.techniques.merge import Contribution
from llamasim.units import Quantity

#: The step has no place in the model.
STEP = Place(-1, None, "")


def collected(case: Case, place: Place) -> Collector:
    """Return what the rules said of a class of layers, or of the step."""
    if place is STEP:
        return case.applied.step_collected
    found = case.facts(place).collected
    return Collector() if found is None else found


def writes(case: Case, place: Place, element: str, phase: str, cell: str) -> list[Contribution]:
    """Return the writes to one cell, in the order in which they are folded."""
    found = collected(case, place).cells.get((element, place.name, phase, cell), [])
    return sorted(found, key=lambda c: c.order)


def cell_sites(
    case: Case, place: Place, element: str, phase: str, cell: str, merged: Merged
) -> tuple[Site, ...]:
    """Return who wrote a cell, and what."""
    found = []
    for write in writes(case, place, element, phase, cell):
        use = _use(case, write)
        effect = use.rule.effects[write.order[3]]
        site = site_of(case, place, element, use, effect, _written(cell, write))
        if write.verb == "set" and CELLS[cell].law == "set" and write.value != merged.value:
            site = _replaced(site, element, cell, case)
        found.append(site)
    return tuple(found)


def _use(case: Case, write: Contribution) -> RuleUse:
    _, instance, rule, _ = write.order
    return next(u for u in case.applied.space.rules if u.key == (instance, rule))


def _written(cell: str, write: Contribution) -> str:
    dimension = CELLS[cell].dimension
    unit = "" if write.verb == "scale" or dimension is None else UNITS.get(dimension, "")
    if isinstance(write.value, bool | str) or not write.per_token:
        return amount(write.value, unit)
    fixed = f"{amount(write.value, unit)} + " if write.value else ""
    return f"{fixed}{amount(write.per_token, unit)} a token"


def _replaced(site: Site, element: str, cell: str, case: Case) -> Site:
    import attrs

    preferred = case.scenario.prefer.get(f"{element}.{cell}")
    why = f"the scenario prefers {preferred}" if preferred else "another technique refines it"
    return attrs.evolve(site, replaced=why)


def rule_sites(
    case: Case, place: Place, element: str, wanted: Callable[[Effect], bool]
) -> tuple[Site, ...]:
    """Return the effects of rules on an element that are `wanted` (shards, reductions, ...)."""
    uses = collected(case, place).rules.get((element, place.name), [])
    found = [
        site_of(case, place, element, use, effect, _axis(case, effect))
        for use in uses for effect in use.rule.effects if wanted(effect)
    ]
    return tuple(sorted(set(found), key=lambda s: (s.technique, s.place)))


def _axis(case: Case, effect: Effect) -> str:
    axis = getattr(effect, "axis", None)
    return "" if axis is None else f"{axis} = {case.applied.mesh.size(axis)}"


def shards(axis: str | None = None, dim: str | None = None) -> Callable[[Effect], bool]:
    """Return what picks shards, of one axis and one dim where they are given."""
    return lambda e: (isinstance(e, Shard) and axis in (None, e.axis) and dim in (None, e.dim))


def site_of(
    case: Case, place: Place, element: str, use: RuleUse, effect: Effect, value: str
) -> Site:
    """Return one effect of one rule, with what the names in it stand for."""
    verb = effect.verb if isinstance(effect, Write) else type(effect).__name__.lower()
    env = _env(case, place, element, use.instance)
    share = getattr(effect, "share", None)
    expr = effect.value if isinstance(effect, Write) else share
    reads = tuple(dict.fromkeys(_reads(expr, env))) if expr is not None else ()
    if share is not None:
        value = _percent(share, env)
    text = source_text(effect.span)
    return Site(use.instance.name, place_of(use.instance, effect.span.line), verb, text,
                value, reads)


def place_of(instance: Instance, line: int) -> str:
    """Return a line of an instance's module: `parallelism/tensor.rules:24`."""
    return f"{instance.module.name.replace('.', '/')}.rules:{line}"


def _env(case: Case, place: Place, element: str, instance: Instance) -> Env:
    space = case.applied.space
    if place is STEP:
        return Env(instance, space.names, space.mesh)
    facts = case.facts(place)
    source = view_source(facts.block, collected(case, place), space)
    layer: dict[str, Value] | None = None
    if place.layer is not None:
        stage = case.applied.chunk_of[place.layer] % case.applied.stages
        layer = {"index": number(place.layer), "kind": Symbol(facts.block.kind),
                 "stage": number(stage)}
    return Env(instance, space.names, space.mesh, layer, source.of(element, place.name))


def _percent(expr: Expr, env: Env) -> str:
    try:
        value = evaluate(expr, env)
    except (EvalError, Missing):
        return ""
    return f"{100 * value.value:g} %" if isinstance(value, Quantity) else shown(value)


def _reads(expr: Expr, env: Env) -> Iterator[tuple[str, str]]:
    """Yield the names that an expression reads, with their values; words stand for themselves."""
    if isinstance(expr, Path):
        value = _value(expr, env)
        if value not in ("", expr.text):
            yield expr.text, value
        let = env.instance.lets.get(expr.text)
        if let is not None:
            yield from _reads(let, env)
    for part in children(expr):
        yield from _reads(part, env)


def _value(expr: Expr, env: Env) -> str:
    try:
        return shown(evaluate(expr, env))
    except (EvalError, Missing):
        return ""


def sources(case: Case, sites: Sequence[Site]) -> tuple[tuple[str, str, str], ...]:
    """Return what the techniques of some sites cite for their claims: technique, text, line."""
    names = {s.technique for s in sites}
    found: dict[tuple[str, str, str], None] = {}
    for use in case.applied.space.rules:
        if use.instance.name in names:
            for decl in _cited(use.instance):
                where = place_of(use.instance, decl.span.line)
                found[(use.instance.name, decl.text, where)] = None
    return tuple(sorted(found))


def _cited(instance: Instance) -> list[SourceDecl]:
    claims = [m for m in instance.technique.members if isinstance(m, Claim)]
    named = {s for c in claims for s in c.sources}
    return [i for i in instance.module.items if isinstance(i, SourceDecl) and i.name in named]


