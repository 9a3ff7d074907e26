"""A training job in the few figures that decide how much of its time is useful."""

from __future__ import annotations

import math

import attrs

from llamasim.plan.spec import Plan
from llamasim.scenario.reliability import Checkpointing, Reliability
from llamasim.scenario.spec import Cluster, Scenario
from llamasim.simulate.goodput.slow import EVEN, Paces, paces
from llamasim.simulate.trace import Trace


@attrs.frozen
class Saving:
    """What it takes to save and load a job's state.

    Attributes:
        bytes: over all devices, each element once.
        pause_s: for which training stands still at a checkpoint.
        write_s: from the end of the pause until the checkpoint can be used (asynchronous).
        load_s: until all devices have their state again.

    """

    bytes: float
    pause_s: float
    write_s: float
    load_s: float


@attrs.frozen
class Job:
    """A training run of many steps, in seconds.

    Attributes:
        work_s: of all steps where nothing goes wrong; `step_s` of one.
        mtbf_s: mean time of the whole job between failures; `shape` of their Weibull distribution.
        restart_s: from the decision to start again until the job trains, loading included.
        paces: by which factor slow devices stretch a step, with probabilities.
        spares: None: a failure never waits for a repair.

    """

    work_s: float
    step_s: float
    mtbf_s: float
    saving: Saving
    detection_s: float = 0.0
    restart_s: float = 0.0
    shape: float = 1.0
    paces: Paces = EVEN
    planned_s: float | None = None
    repair_share: float = 1.0
    spares: int | None = None
    repair_s: float = 86400.0

    @property
    def scale_s(self) -> float:
        """The scale of the Weibull distribution."""
        return self.mtbf_s / math.gamma(1 + 1 / self.shape)

    @property
    def repairs_per_failure_s(self) -> float:
        """Time of repair that each failure asks for, on average."""
        return self.repair_share * self.repair_s


def job_of(trace: Trace, reliability: Reliability) -> Job:
    """Return the job that a simulated step is repeated in."""
    scenario = trace.scenario
    workload, cluster = scenario.workload, scenario.cluster
    assert workload.token_budget is not None
    steps = workload.token_budget / (workload.global_batch * workload.sequence)
    saving = saving_of(trace.plan, scenario, reliability.checkpoint)
    busy = 1.0 - sum(trace.exposed.values()) / trace.makespan
    return Job(
        work_s=steps * trace.makespan,
        step_s=trace.makespan,
        mtbf_s=1 / failure_rate(reliability, cluster),
        saving=saving,
        detection_s=reliability.detection_s,
        restart_s=reliability.restart_s + saving.load_s,
        shape=reliability.shape,
        paces=paces(reliability.stragglers, cluster.devices, busy),
        planned_s=reliability.planned_s,
        repair_share=reliability.repair_share,
        spares=reliability.spares,
        repair_s=reliability.repair_s,
    )


def failure_rate(reliability: Reliability, cluster: Cluster) -> float:
    """Return failures per second of a job that any failure of a part ends."""
    rate = 0.0
    if reliability.device_mtbf_s is not None:
        rate += cluster.devices / reliability.device_mtbf_s
    if reliability.node_mtbf_s is not None:
        rate += cluster.nodes / reliability.node_mtbf_s
    return rate


def lasting_bytes(plan: Plan) -> float:
    """Return the bytes of a job's state: every element once, however many devices keep it."""
    return sum(
        plan.blocks[i].lasting_bytes
        for rank in plan.ranks for chunk in rank.chunks for i in chunk.blocks
    )


def saving_of(plan: Plan, scenario: Scenario, how: Checkpointing) -> Saving:
    """Return what a checkpoint takes; all devices write equal shares of the state.

    A synchronous one stands still until all is in the storage; an asynchronous one until it is in
    the hosts' memory (arXiv:2402.15627, section 4.4). Loading reads each element once from the
    storage; replicas get it from each other meanwhile (ibid.).
    """
    cluster = scenario.cluster
    size = lasting_bytes(plan)
    rates = [r for r in (how.storage, _times(how.node_storage, cluster.nodes)) if r is not None]
    stored = size / min(rates) if rates else 0.0
    link = cluster.host_link
    rate = link.bandwidth * link.efficiency
    copied = 0.0 if cluster.device.unified else size / cluster.devices / rate
    if how.asynchronous:
        return Saving(size, how.pause_s + copied, stored, max(stored, copied))
    both = max(stored, copied)
    return Saving(size, how.pause_s + both, 0.0, both)


def _times(rate: float | None, count: int) -> float | None:
    return None if rate is None else rate * count
