"""Apply techniques to a graph: five passes over the elements, strictly from facts to schedule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language import Program, Symbol, Value
from llamasim.language.ast import Rule
from llamasim.model.graph import Block, Graph
from llamasim.scenario.spec import Scenario
from llamasim.techniques import blocks
from llamasim.techniques.applied import Applied, BlockFacts, Merged
from llamasim.techniques.bring import brought_rules, with_brought
from llamasim.techniques.checks import claims, mesh_of, requirements
from llamasim.techniques.classes import signatures
from llamasim.techniques.collect import Collector, RuleUse
from llamasim.techniques.environment import global_names, number
from llamasim.techniques.instances import Instance, about, instantiate
from llamasim.techniques.ledger import ledger_rows
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.stages import Stages, assign
from llamasim.techniques.unmatched import unmatched, unused_brings


@attrs.frozen
class Prepared:
    """Techniques that go together here, before any rule has run."""

    instances: list[Instance]
    names: Mapping[tuple[str, ...], Value]
    mesh: Mesh
    graph: Graph
    space: blocks.Space


def apply(
    graph: Graph, program: Program, scenario: Scenario, *, beside: frozenset[str] = frozenset()
) -> tuple[Applied | None, list[Diagnostic]]:
    """Return the graph with every fact filled in, or what is wrong with this combination.

    A model that runs within the steps of another is never trained; `beside` are the uses that have
    it run.
    """
    ready, diagnostics = prepare(graph, program, scenario, beside=beside)
    if ready is None:
        return None, diagnostics
    instances, mesh, graph = ready.instances, ready.mesh, ready.graph
    step_collected = Collector()
    step, extras, said = blocks.step_facts(ready.space, step_collected)
    diagnostics += said
    stages, said = _stages(graph, step, mesh, instances)
    diagnostics += said
    if stages is None:
        return None, diagnostics
    facts, class_of, said = class_facts(graph, ready.space, stages.stage_of)
    diagnostics += said
    if any(d.is_error for d in diagnostics):
        return None, diagnostics
    applied = Applied(
        graph, mesh, tuple(facts), class_of, stages.stages, stages.chunks, stages.slot_of, step,
        claims(instances, ready.names, mesh), ledger_rows(ready.space, facts, step_collected),
        tuple(i.name for i in instances), space=ready.space, step_collected=step_collected,
        extras=extras,
    )
    return applied, diagnostics


def prepare(
    graph: Graph, program: Program, scenario: Scenario, *, beside: frozenset[str] = frozenset()
) -> tuple[Prepared | None, list[Diagnostic]]:
    """Bind the techniques, lay out the mesh, and check what they require."""
    names = global_names(scenario, graph)
    frozen = bool(beside)
    instances, diagnostics = instantiate(scenario, program)
    instances = [about(i, graph.blocks[0].owner) if i.use.instance in beside else i
                 for i in instances]
    mesh, said = mesh_of(scenario, instances, names)
    diagnostics += said
    if mesh is None:
        return None, diagnostics
    diagnostics += requirements(instances, names, mesh)
    if any(d.is_error for d in diagnostics):
        return None, diagnostics
    graph, said = _with_brought(graph, instances, names, mesh)
    diagnostics += said
    rules = _rules(instances)
    if not frozen:
        others = {name for i in instances for name in i.models}
        diagnostics += unmatched(graph, [r for r in rules if not r.implied], others)
    space = blocks.Space(scenario, names, mesh, tuple(rules), _refined(instances), frozen)
    return Prepared(instances, names, mesh, graph, space), diagnostics


def _with_brought(
    graph: Graph, instances: Sequence[Instance], names: blocks.Names, mesh: Mesh
) -> tuple[Graph, list[Diagnostic]]:
    found: list[Block] = []
    diagnostics: list[Diagnostic] = []
    used: set[tuple[str, int]] = set()
    for block in graph.blocks:
        grown, placed, said = with_brought(block, instances, names, mesh)
        diagnostics += said
        used |= placed
        found.append(grown)
    whole = attrs.evolve(graph, blocks=tuple(found))
    return whole, diagnostics + unused_brings(whole, instances, used)


def _rules(instances: Sequence[Instance]) -> list[RuleUse]:
    """Return all rules in an order that depends on what they say, not on where they stand."""
    found = []
    for instance in instances:
        stated = [m for m in instance.technique.members if isinstance(m, Rule)]
        implied = brought_rules(instance)
        for k, rule in enumerate((*sorted(stated, key=repr), *sorted(implied, key=repr))):
            effects = tuple(sorted(rule.effects, key=repr))
            use = RuleUse(instance, k, attrs.evolve(rule, effects=effects), k >= len(stated))
            found.append(use)
    return found


def _refined(instances: Sequence[Instance]) -> Mapping[str, frozenset[str]]:
    return {i.name: i.refined for i in instances if i.refined}


def _stages(
    graph: Graph, step: Mapping[tuple[str, str], Merged], mesh: Mesh, uses: Sequence[Instance]
) -> tuple[Stages | None, list[Diagnostic]]:
    def cell(name: str, base: float) -> int:
        return int(step.get(("", name), Merged()).number(base))

    axis = step.get(("", "layout.pipeline_axis"), Merged()).value
    count = mesh.size(str(axis)) if axis is not None else 1
    layers = graph.model.layers
    stages = assign(layers, count, cell("layout.chunks", 1),
                    cell("layout.first_stage_relief", 0), cell("layout.last_stage_relief", 0))
    if stages is not None:
        return stages, []
    return None, [unfilled(layers, count, uses)]


def unfilled(layers: int, count: int, uses: Sequence[Instance] = ()) -> Diagnostic:
    """Return that there are too few layers for so many stages."""
    label = tuple(Label(u.use.span, "in `use`", k == 0) for k, u in enumerate(uses))
    return Diagnostic(
        "E0405", f"{layers} layers do not fill {count} pipeline stages", label,
        why="a stage would have fewer than no layers",
        help=("use fewer stages or chunks, or smaller reliefs",),
    )


#: Returns a layer's stage.
StageOf = Callable[[int], int]


def class_facts(
    graph: Graph, space: blocks.Space, stage_of: StageOf
) -> tuple[list[BlockFacts], tuple[int, ...], list[Diagnostic]]:
    """Return the facts of each class of layers, and every layer's class."""
    facts: list[BlockFacts] = []
    class_of = [0] * graph.model.layers
    diagnostics: list[Diagnostic] = []
    for block in graph.blocks:
        for name, layers in _split(block, space, stage_of):
            view = _layer_view(block, layers[0], stage_of) if layers else None
            found, said = blocks.block_facts(name, block, layers, view, space)
            for index in layers:
                class_of[index] = len(facts)
            facts.append(found)
            diagnostics += [d for d in said if d not in diagnostics]
    return facts, tuple(class_of), diagnostics


def _split(
    block: Block, space: blocks.Space, stage_of: StageOf
) -> list[tuple[str, tuple[int, ...]]]:
    if not block.layers:
        return [(block.kind, ())]
    views = {i: _layer_view(block, i, stage_of) for i in block.layers}
    rules = [(u.instance, u.rule) for u in space.rules]
    keys = signatures(rules, block, views, space.names, space.mesh)
    groups: dict[object, list[int]] = {}
    for index in block.layers:
        groups.setdefault(keys[index], []).append(index)
    named = enumerate(groups.values())
    return [(block.kind if k == 0 else f"{block.kind}.{k}", tuple(g)) for k, g in named]


def _layer_view(block: Block, index: int, stage_of: StageOf) -> Mapping[str, Value]:
    return _LayerView(index, Symbol(block.kind), stage_of)


@attrs.frozen
class _LayerView(Mapping[str, Value]):
    """What rules read of a layer. Its stage is asked for only where one does."""

    number: int
    kind: Symbol
    stage_of: StageOf

    def __getitem__(self, name: str) -> Value:
        if name == "stage":
            return number(self.stage_of(self.number))
        if name not in ("index", "kind"):
            raise KeyError(name)
        return number(self.number) if name == "index" else self.kind

    def __iter__(self) -> Iterator[str]:
        return iter(("index", "kind", "stage"))

    def __len__(self) -> int:
        return 3
