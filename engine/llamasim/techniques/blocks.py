"""Facts of one class of layers: rules evaluated on its elements, merged."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language import EvalError, Value
from llamasim.language.cells import CELLS, Stratum
from llamasim.model.graph import Block, Graph
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import BlockFacts, ExtraRun, Merged
from llamasim.techniques.collect import (
    Collector,
    RuleUse,
    Site,
    matches,
    stratum_of,
    token_span,
)
from llamasim.techniques.defaults import base_bits, phases_of
from llamasim.techniques.elements import matched, texts
from llamasim.techniques.environment import Env
from llamasim.techniques.merge import conflict, merge
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.views import ViewSource

Names = Mapping[tuple[str, ...], Value]


@attrs.frozen
class Space:
    """What all blocks share while rules run."""

    scenario: Scenario
    names: Names
    mesh: Mesh
    rules: tuple[RuleUse, ...]
    refined: Mapping[str, frozenset[str]]
    frozen: bool = False

    def phases(self, use: RuleUse) -> tuple[str, ...]:
        """Return the phases of this workload that a rule covers."""
        have = phases_of(self.scenario.workload.mode)
        stated = use.rule.phases
        return tuple(p for p in have if not stated or p in stated)


def targets(use: RuleUse, block: Block, index: int | None) -> list[str]:
    """Return the elements of a block that a rule's patterns select."""
    rule, scope = use.rule, use.instance.use.scope
    globs, excepts = texts(rule.globs), texts(rule.excepts)
    return list(matched(block, index, rule.element, globs, excepts, scope))


def any_selected(use: RuleUse, graph: Graph) -> bool:
    """Whether a rule's patterns name anything in a model (in any layer)."""
    if use.rule.element in ("step", "layer"):
        return True
    return any(
        targets(use, b, index) for b in graph.blocks for index in (b.layers or (None,))
    )


Step = dict[tuple[str, str], Merged]


def step_facts(
    space: Space, collector: Collector
) -> tuple[Step, tuple[ExtraRun, ...], list[Diagnostic]]:
    """Return the merged writes to the step's cells, by (phase or "", cell), and further models."""
    for use in space.rules:
        if use.rule.element == "step":
            env = Env(use.instance, space.names, space.mesh)
            _run(use, ("step", ""), (env, env, env), space, collector, None)
    merged, diagnostics = _merge(collector, space)
    step = {(phase, cell): m for (_, _, phase, cell), m in merged.items()}
    return step, _extras(space, collector.runs), diagnostics


def _extras(
    space: Space, runs: Mapping[tuple[str, str, str], float]
) -> tuple[ExtraRun, ...]:
    graphs = {u.instance.use.instance: u.instance.models for u in space.rules}
    times: dict[tuple[str, str], dict[str, float]] = {}
    for (instance, name, phase), count in sorted(runs.items()):
        times.setdefault((instance, name), {})[phase] = count
    return tuple(
        ExtraRun(instance, name, graphs[instance][name], by_phase)
        for (instance, name), by_phase in times.items() if name in graphs[instance]
    )


def block_facts(
    name: str,
    block: Block,
    layers: tuple[int, ...],
    layer: Mapping[str, Value] | None,
    space: Space,
) -> tuple[BlockFacts, list[Diagnostic]]:
    """Return the facts of a class of layers, judged by its first member."""
    collector = Collector()
    index = layers[0] if layers else None
    plans = [(u, targets(u, block, index)) for u in space.rules
             if u.rule.element not in ("step", "layer") and space.phases(u)]
    for stratum in (Stratum.FACTS, Stratum.LAYOUT, Stratum.NUMERICS, Stratum.COST,
                    Stratum.SCHEDULE):
        source = view_source(block, collector, space)
        probes = (attrs.evolve(source, tokens=1.0), attrs.evolve(source, tokens=2.0))
        for use, chosen in plans:
            if not any(stratum_of(e) == stratum for e in use.rule.effects):
                continue
            for target in chosen:
                key = (use.rule.element, target)
                envs = tuple(
                    Env(use.instance, space.names, space.mesh, layer, s.of(*key))
                    for s in (source, *probes)
                )
                _run(use, key, (envs[0], envs[1], envs[2]), space, collector, stratum,
                     source.tokens)
    return _facts(name, block, layers, collector, space)


def _facts(
    name: str, block: Block, layers: tuple[int, ...], collector: Collector, space: Space
) -> tuple[BlockFacts, list[Diagnostic]]:
    """Return what was collected, merged and in an order of its own."""
    merged, diagnostics = _merge(collector, space)
    shards = {
        key: tuple(sorted((dim, axis) for axis, (dim, _, _) in held.items()))
        for key, held in sorted(collector.shards.items())
    }
    obligations = {
        key: tuple(held[k] for k in sorted(held))
        for key, held in sorted(collector.obligations.items())
    }
    facts = BlockFacts(
        name, block, layers, merged, shards, obligations, dict(sorted(collector.hidden.items())),
        frozenset(collector.dropped - collector.kept),
        {key: min(held) for key, held in sorted(collector.places.items())},
        dict(sorted(collector.fused.items())), dict(collector.matched), space.frozen,
        frozenset(collector.kept),
        collected=collector,
    )
    return facts, diagnostics


def _run(
    use: RuleUse,
    key: tuple[str, str],
    envs: tuple[Env, Env, Env],
    space: Space,
    collector: Collector,
    stratum: Stratum | None,
    tokens: float = 0.0,
) -> None:
    phases = space.phases(use)
    if not phases:
        return
    try:
        if not matches(use.rule.where, envs[0]):
            return
    except EvalError as error:
        label = Label(use.instance.use.span, "in `use`", primary=False)
        found = Diagnostic("E0406", error.message, (Label(error.span), label),
                           help=("mend the rule's condition",))
        if found not in collector.diagnostics:
            collector.diagnostics.append(found)
        return
    if use.rule.tokens is not None:
        span = token_span(use.rule.tokens, envs[0], collector, use)
        if span is None:
            return
        key = (key[0], f"{key[1]}@{span[0]:g}..{span[1]:g}")
    first = stratum is None or stratum == min(stratum_of(e) for e in use.rule.effects)
    collector.matched[use.key] += first  # once, in the first pass that it takes part in
    if first:
        collector.rules[key].append(use)
    for ordinal, effect in enumerate(use.rule.effects):
        if stratum is None or stratum_of(effect) == stratum:
            site = Site(use, ordinal, key, envs[0], (envs[1], envs[2]), phases, tokens)
            collector.apply(effect, site)


def view_source(block: Block, collector: Collector, space: Space) -> ViewSource:
    """Return what rules can read of a block, by what was collected of it so far."""
    dtype = space.scenario.workload.dtype

    def ways(element: str, name: str, dim: str) -> int:
        held = collector.shards.get((element, name), {})
        beside = (*held, *collector.shards.get(("weight", name), {}))
        n = 1
        for axis, (d, _, _) in held.items():
            n *= space.mesh.ways(axis, beside) if d == dim else 1
        return n

    def bits(element: str, name: str) -> float | None:
        base = base_bits(block, element, name, dtype)
        sets = collector.cells.get((element, name, "", "numerics.bits"), [])
        extra = collector.cells.get((element, name, "", "numerics.bits_overhead"), [])
        return merge(sets)[0].number(base) + merge(extra)[0].number(0.0)

    w = space.scenario.workload
    tokens = w.micro_batch * w.sequence if w.mode == "training" else w.batch
    return ViewSource(block, ways, bits, float(tokens))


def _merge(
    collector: Collector, space: Space
) -> tuple[dict[tuple[str, str, str, str], Merged], list[Diagnostic]]:
    merged: dict[tuple[str, str, str, str], Merged] = {}
    clashes: dict[tuple[object, ...], tuple[list[str], Diagnostic | None]] = {}
    diagnostics = list(collector.diagnostics)
    for key in sorted(collector.cells):
        element, name, _, cell = key
        prefer = space.scenario.prefer.get(f"{element}.{cell}")
        value, clash = merge(
            collector.cells[key], conjunction=CELLS[cell].law == "and", preferred=prefer,
            refined=space.refined,
        )
        merged[key] = value
        if clash is not None:
            found = clashes.setdefault((cell, element, clash[0].order, clash[1].order), ([], None))
            found[0].append(name or "the step")
            clashes[(cell, element, clash[0].order, clash[1].order)] = (
                found[0], conflict(cell, found[0], clash[0], clash[1], element)
            )
    diagnostics += [d for _, d in clashes.values() if d is not None]
    return merged, diagnostics
