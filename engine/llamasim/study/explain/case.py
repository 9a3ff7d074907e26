"""A scenario with everything that a derivation reads: facts, placements and plan."""

from __future__ import annotations

import attrs

from llamasim.diagnostics import Diagnostic
from llamasim.model import resolve
from llamasim.plan import program_of
from llamasim.plan.blocks import BlockLowering
from llamasim.plan.compile import build
from llamasim.plan.lower import lower, lower_blocks
from llamasim.plan.passes import Passes
from llamasim.plan.spec import Plan, StepShape
from llamasim.plan.steps import Step, steps_of
from llamasim.scenario.spec import Scenario
from llamasim.techniques import apply
from llamasim.techniques.applied import Applied, BlockFacts
from llamasim.techniques.defaults import phases_of


@attrs.frozen
class Place:
    """Where an element stands: a class of layers and, within layers, which one."""

    index: int
    layer: int | None
    name: str

    @property
    def full(self) -> str:
        """The name as rules and users write it."""
        if self.layer is None:
            return self.name
        return f"layers.{self.layer}.{self.name}"


@attrs.frozen
class Case:
    """A scenario, its techniques applied, and its plan."""

    scenario: Scenario
    applied: Applied
    lowered: tuple[BlockLowering, ...]
    plan: Plan

    @property
    def training(self) -> bool:
        """Whether the workload trains."""
        return self.scenario.workload.mode == "training"

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases in which ops run."""
        return tuple(p for p in phases_of(self.scenario.workload.mode) if p != "optimizer")

    def facts(self, place: Place) -> BlockFacts:
        """Return the facts of the class of layers at a place."""
        return self.applied.blocks[place.index]

    def lowering(self, place: Place) -> BlockLowering:
        """Return the lowered class of layers at a place."""
        return self.lowered[place.index]

    def steps(self, place: Place, phase: str) -> tuple[Step, ...]:
        """Return the kernels at a place."""
        return steps_of(self.facts(place), phase)

    def passes(self, place: Place, phase: str) -> Passes:
        """Return the pass of the block at a place."""
        return Passes(self.lowering(place).local, self.steps(place, phase), phase)

    def shape(self, phase: str) -> StepShape:
        """Return what one pass of a phase processes: a micro-batch, prompts, or one token each."""
        work, schedule = self.scenario.workload, self.plan.schedule
        if phase != "decode":
            return self.plan.step_shape
        return StepShape.of(work.batch, schedule.rows, work.prompt.mean)


def case_of(scenario: Scenario) -> tuple[Case | None, list[Diagnostic]]:
    """Return a scenario ready to be explained, or what is wrong with it."""
    program, said = program_of(scenario)
    if any(d.is_error for d in said):
        return None, said
    applied, more = apply(resolve(scenario.model), program, scenario)
    said += more
    if applied is None:
        return None, said
    plan, more = lower(applied, scenario)
    if plan is not None and applied.extras:
        plan, more = build(resolve(scenario.model), program, scenario)
    said += [d for d in more if d not in said]
    if plan is None:
        return None, said
    return Case(scenario, applied, tuple(lower_blocks(applied, scenario)[0]), plan), said
