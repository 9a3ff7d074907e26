"""Plans of one structure, lowered together: rules run once, numbers stand for all of them.

Configurations that use the same techniques and differ in numbers alone (degrees, sizes of
micro-batches) are applied and lowered as one, with `Many` in place of each number that differs.
Where a decision divides them (an axis of one device, a degree that does not divide), each part goes
on by itself, so every configuration gets what it would get alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, cast

import attrs
import numpy as np

from llamasim.diagnostics import Diagnostic
from llamasim.language import Program
from llamasim.model.graph import Graph
from llamasim.plan.gradients import gathers_after_update, update
from llamasim.plan.limits import limits, untrained
from llamasim.plan.lower import boundary, lower_blocks
from llamasim.plan.spec import BlockPlan, CommWork, Work
from llamasim.scenario.spec import Scenario, Use, Value
from llamasim.techniques import blocks
from llamasim.techniques.applied import Applied, Merged
from llamasim.techniques.apply import Prepared, StageOf, class_facts, prepare
from llamasim.techniques.checks import claims
from llamasim.techniques.collect import Collector
from llamasim.techniques.mesh import REMAINDER
from llamasim.techniques.records import ClaimFact
from llamasim.techniques.stages import assign
from llamasim.units import Quantity
from llamasim.units.many import Disagree, Floats, Places, joined, many, narrowed, values_of

T = TypeVar("T")


@attrs.frozen(eq=False)
class Steps:
    """Members of a family of whose step the rules say the same: `places` among the members, and
    the cells of the step by (phase or "", cell), with a value for each of these members.
    """

    places: Places
    cells: Mapping[tuple[str, str], Merged]
    warnings: tuple[Diagnostic, ...] = ()

    def cell(self, name: str, base: float, phase: str = "") -> float:
        """Return a cell of the step in base units."""
        return self.cells.get((phase, name), Merged()).number(base)

    def symbol(self, name: str, base: str) -> str:
        """Return a word of the step."""
        value = self.cells.get(("", name), Merged()).value
        return base if value is None else str(value)


@attrs.frozen(eq=False)
class Family:
    """Configurations with one lowered plan, whose numbers have a value for each.

    Attributes:
        members: numbers of the configurations.
        lowered: the blocks of the model; `class_of` the block of each layer.
        updates, gathers: a device's update, and the gathers before the next step, of one of each
            block.
        send: the boundary between stages, as if there were several.
        stages: pipeline stages; `replicas` what the axes leave.
        steps: parts of the members, by what the rules say of their step.

    """

    members: Places
    lowered: tuple[BlockPlan, ...]
    class_of: tuple[int, ...]
    updates: tuple[tuple[Work, ...], ...]
    gathers: tuple[tuple[CommWork, ...], ...]
    send: CommWork | None
    replicas: float
    stages: float
    steps: tuple[Steps, ...]
    claims: tuple[ClaimFact, ...]
    techniques: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


@attrs.frozen(eq=False)
class Refused:
    """Configurations that do not go together, and why."""

    members: Places
    diagnostics: tuple[Diagnostic, ...]


def families(
    graph: Graph, program: Program, scenario: Scenario, uses: Sequence[tuple[Use, ...]]
) -> Iterator[Family | Refused]:
    """Yield the families of many configurations of a training scenario.

    Args:
        graph: the model.
        program: checked rules of all techniques in use.
        scenario: what the configurations share.
        uses: techniques of each configuration.

    """
    alike: dict[object, list[int]] = {}
    for number, use in enumerate(uses):
        alike.setdefault(_structure(use), []).append(number)
    for members in alike.values():
        yield from _Lowering(graph, program, scenario, uses).of(np.array(members))


def _structure(uses: Sequence[Use]) -> object:
    """Return what two configurations must have in common to be lowered as one."""
    return tuple(
        (u.technique, u.instance, u.scope,
         tuple((k, v.dimension if isinstance(v, Quantity) else v)
               for k, v in sorted(u.args.items())))
        for u in uses
    )


@attrs.frozen
class _Lowering:
    graph: Graph
    program: Program
    scenario: Scenario
    uses: Sequence[tuple[Use, ...]]

    def of(self, members: Places) -> Iterator[Family | Refused]:
        """Yield the families of configurations of one structure."""
        for part, (ready, said) in _in_parts(
            len(members), lambda chosen: prepare(
                self.graph, self.program, self._together(members[chosen]))
        ):
            if ready is None:
                yield Refused(members[part], tuple(said))
            else:
                yield from self._stepped(members[part], ready, said)

    def _together(self, members: Places) -> Scenario:
        first = self.uses[members[0]]
        if len(members) == 1:
            return attrs.evolve(self.scenario, use=first)
        joined = []
        for place, use in enumerate(first):
            args: dict[str, Value] = dict(use.args)
            for name, value in use.args.items():
                if isinstance(value, Quantity):
                    found = [cast(Quantity, self.uses[m][place].args[name]).value for m in members]
                    args[name] = attrs.evolve(value, value=many(found))
            joined.append(attrs.evolve(use, args=args))
        return attrs.evolve(self.scenario, use=tuple(joined))

    def _stepped(
        self, members: Places, ready: Prepared, said: list[Diagnostic]
    ) -> Iterator[Family | Refused]:
        """Run the step's rules first: they may say different things of parts of a family whose
        layers are the same.
        """
        by_axis: dict[str | None, list[Steps]] = {}
        for part, (cells, extras, found) in _in_parts(
            len(members), lambda chosen: blocks.step_facts(_narrow(ready, chosen).space,
                                                           Collector())
        ):
            if any(d.is_error for d in found):
                yield Refused(members[part], (*said, *found))
            elif extras:
                raise NotImplementedError("a training step runs no further models")
            else:
                steps = Steps(part, cells, tuple(found))
                by_axis.setdefault(_axis(cells), []).append(steps)
        for axis, those in by_axis.items():
            kept = np.sort(np.concatenate([s.places for s in those]))
            inside = [attrs.evolve(s, places=np.searchsorted(kept, s.places)) for s in those]
            yield from self._lowered(members[kept], _narrow(ready, kept), axis, inside, said)

    def _lowered(
        self, members: Places, ready: Prepared, axis: str | None, steps: list[Steps],
        said: list[Diagnostic],
    ) -> Iterator[Family | Refused]:
        stages = 1.0 if axis is None else ready.mesh.size(axis)
        placed = _placed(stages, steps, len(members))
        for part, (facts, class_of, found) in _in_parts(
            len(members), lambda chosen: class_facts(
                ready.graph, _narrow(ready, chosen).space, _stages_of(ready.graph, placed[chosen]))
        ):
            found = [*said, *found]
            if any(d.is_error for d in found):
                yield Refused(members[part], tuple(found))
                continue
            here, inside = _narrow(ready, part), _chosen(steps, part)
            cells = _cells(inside)
            applied = Applied(
                here.graph, here.mesh, tuple(facts), class_of, 1, 1, (), cells,
                claims(here.instances, here.names, here.mesh), (),
                tuple(i.name for i in here.instances), space=here.space,
                step_collected=Collector(),
            )
            found += limits(applied) + untrained(applied)
            yield from self._families(members[part], applied, axis, inside, found)

    def _families(
        self, members: Places, applied: Applied, axis: str | None, steps: list[Steps],
        said: list[Diagnostic],
    ) -> Iterator[Family | Refused]:
        for part, (family, found) in _in_parts(
            len(members), lambda chosen: self._family(
                members[chosen], _narrowed(applied, chosen), axis)
        ):
            found = [*said, *found]
            if family is None or any(d.is_error for d in found):
                yield Refused(members[part], tuple(found))
                continue
            warned = tuple(d for d in found if not d.is_error)
            yield attrs.evolve(family, steps=tuple(_chosen(steps, part)), warnings=warned)

    def _family(
        self, members: Places, applied: Applied, axis: str | None
    ) -> tuple[Family | None, list[Diagnostic]]:
        lowered, found = lower_blocks(applied, self.scenario)
        if any(d.is_error for d in found):
            return None, found
        optimizer = self.scenario.workload.optimizer
        return Family(
            members, tuple(b.plan for b in lowered), applied.class_of,
            tuple(update([(b.local, 1)], optimizer) for b in lowered),
            tuple(tuple(gathers_after_update(b.local)) for b in lowered),
            None if axis is None else boundary(applied, lowered, axis),
            applied.mesh.size(REMAINDER), 1 if axis is None else applied.mesh.size(axis), (),
            applied.claims, applied.techniques, (),
        ), found


def _axis(step: blocks.Step) -> str | None:
    value = step.get(("", "layout.pipeline_axis"), Merged()).value
    return None if value is None else str(value)


def _stages_of(graph: Graph, placed: Floats) -> StageOf:
    """Return the layers' stages, for rules that read them: equal for all, or they go apart."""

    def stage_of(layer: int) -> int:
        rows, parts = np.unique(placed, axis=0, return_inverse=True)
        if len(rows) > 1:
            raise Disagree(parts.reshape(-1))
        found = assign(graph.model.layers, *(int(v) for v in rows[0]))
        return 0 if found is None else found.stage_of(layer)

    return stage_of


def _placed(stages: float, steps: Sequence[Steps], count: int) -> Floats:
    """Return stages, chunks and reliefs of each configuration."""
    found = np.empty((count, 4))
    found[:, 0] = values_of(stages, count)
    for part in steps:
        for column, (name, base) in enumerate(
            (("chunks", 1.0), ("first_stage_relief", 0.0), ("last_stage_relief", 0.0)), 1
        ):
            value = part.cell(f"layout.{name}", base)
            found[part.places, column] = values_of(value, len(part.places))
    return found


def _cells(steps: Sequence[Steps]) -> blocks.Step:
    """Return the cells of the step for all members: what no part of them leaves unsaid."""
    order = np.argsort(np.concatenate([s.places for s in steps]))
    sizes = [len(s.places) for s in steps]
    found: blocks.Step = {}
    for key in steps[0].cells:
        rows = [s.cells.get(key) for s in steps]
        merged = [r for r in rows if r is not None]
        kinds = {r.value if isinstance(r.value, str | bool) else r.value is None for r in merged}
        if len(merged) < len(rows) or len(kinds) > 1:
            continue  # such as an order of tasks, which lowering a layer does not ask for
        found[key] = narrowed(joined(merged, sizes), order)
    return found


def _chosen(steps: Sequence[Steps], chosen: Places) -> list[Steps]:
    """Return what the rules say of the steps of chosen members, by their places among these."""
    found = []
    for part in steps:
        places = np.flatnonzero(np.isin(chosen, part.places))
        if len(places):
            where = np.searchsorted(part.places, chosen[places])
            cells = part.cells
            if len(places) < len(part.places):
                cells = {k: narrowed(v, where) for k, v in cells.items()}
            found.append(attrs.evolve(part, places=places, cells=cells))
    return found


def _narrowed(applied: Applied, chosen: Places) -> Applied:
    mesh = narrowed(applied.mesh, chosen)
    facts = tuple(
        attrs.evolve(f, cells=narrowed(f.cells, chosen), hidden=narrowed(f.hidden, chosen),
                     places=narrowed(f.places, chosen),
                     obligations=narrowed(f.obligations, chosen))
        for f in applied.blocks
    )
    step = narrowed(dict(applied.step), chosen)
    return attrs.evolve(applied, mesh=mesh, blocks=facts, step=step)


def _parts(found: Disagree) -> list[Places]:
    return [np.flatnonzero(found.parts == part) for part in np.unique(found.parts)]


def _in_parts(count: int, work: Callable[[Places], T]) -> Iterator[tuple[Places, T]]:
    """Do work for all of `count` configurations, or in parts where they disagree."""
    waiting = [np.arange(count)]
    while waiting:
        chosen = waiting.pop()
        try:
            yield chosen, work(chosen)
        except Disagree as found:
            waiting += [chosen[part] for part in reversed(_parts(found))]


def _narrow(ready: Prepared, chosen: Places) -> Prepared:
    """Return techniques with the numbers of chosen configurations."""
    new = {
        id(i): attrs.evolve(i, params={k: narrowed(v, chosen) for k, v in i.params.items()})
        for i in ready.instances
    }
    mesh = narrowed(ready.mesh, chosen)
    rules = tuple(attrs.evolve(r, instance=new[id(r.instance)]) for r in ready.space.rules)
    space = attrs.evolve(ready.space, mesh=mesh, rules=rules)
    return attrs.evolve(ready, instances=list(new.values()), mesh=mesh, space=space)
