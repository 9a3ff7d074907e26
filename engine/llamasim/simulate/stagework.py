"""Time of one inference step on every stage of a replica, and what a device waits for in it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim.plan.spec import Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import Costs, weighted


@attrs.frozen
class StepTime:
    """One step of all stages in turn.

    Attributes:
        stages: seconds of each stage's own work.
        send_s: of one boundary transfer.
        host_s: host time before the step.
        hop_host_s: host time before each further stage, where one host issues them in turn.
        waits: seconds a device waits inside its own work, by cause, averaged over devices.
        latency: seconds from the step's start to its result.
        slowest: seconds of the slowest stage.

    """

    stages: tuple[float, ...]
    send_s: float
    host_s: float
    waits: Mapping[str, float]
    hop_host_s: float = 0.0
    latency: float = attrs.field(init=False)
    slowest: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        hops = len(self.stages) - 1
        latency = self.host_s + sum(self.stages) + (self.send_s + self.hop_host_s) * hops
        object.__setattr__(self, "latency", latency)
        object.__setattr__(self, "slowest", max(self.stages))


@attrs.frozen(eq=False)
class StageWork:
    """What the stages of a plan do in a prefill or decode step.

    Attributes:
        host_s: host time of a step, and `each_host_s` for each of its sequences.

    """

    plan: Plan
    costs: Costs
    host_s: float
    each_host_s: float = 0.0

    @staticmethod
    def of(plan: Plan, scenario: Scenario) -> StageWork:
        """Return the work of a plan on its scenario's machines."""
        schedule, runtime = plan.schedule, scenario.runtime
        host = runtime.host_s * schedule.host_scale + schedule.host_add_s
        each = runtime.sequence_host_s * schedule.host_scale
        return StageWork(plan, Costs.of(plan, scenario), host, each)

    def host(self, sequences: float) -> float:
        """Return the host time of a step of so many sequences."""
        return self.host_s + self.each_host_s * sequences

    def step(self, phase: str, shape: StepShape) -> StepTime:
        """Return the time of one step."""
        segments = [
            self.costs.blocks((b for c in rank.chunks for b in c.blocks), phase, shape)
            for rank in self.plan.ranks
        ]
        waits = weighted(
            (rank.multiplicity, s.waits) for rank, s in zip(self.plan.ranks, segments, strict=True)
        )
        host, hop = self.host(shape.sequences), 0.0
        if phase == "prefill":
            host += self.costs.machine.runtime.prefill_host_s
        else:
            hop = self.hop_s
        stages = tuple(s.seconds for s in segments)
        return StepTime(stages, self.send_s(shape), host, waits, hop)

    @property
    def hop_s(self) -> float:
        """Seconds of the host before each further stage of a decode step.

        Where one host issues all stages, a stage's inputs are copied to it before its graph is
        issued, and the host waits for each copy, so no work is queued on the stage when the one
        before it ends.
        """
        several = len(self.plan.ranks) > 1
        return self.host_s if several and self.costs.machine.runtime.launch_queue else 0.0

    def send_s(self, shape: StepShape) -> float:
        """Return the seconds of one boundary transfer."""
        send = self.plan.pipeline_send
        if send is None or len(self.plan.ranks) == 1:
            return 0.0
        return self.costs.flow(send, shape).seconds
