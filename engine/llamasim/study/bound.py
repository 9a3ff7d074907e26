"""The memory of a training step without simulating it: never more than its simulation finds.

It follows from the order of a stage's tasks alone, since its activations come and go with its own
tasks; gradient buffers are taken to go as early as they can.
"""

from __future__ import annotations

from collections.abc import Sequence

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.memory import Passes, Timeline, fit, training_levels, with_reserve
from llamasim.simulate.orders import Task, closing, orders
from llamasim.simulate.trace import Fit


def memory_bound(plan: Plan, scenario: Scenario) -> tuple[Fit, ...]:
    """Return the least memory of every rank class."""
    schedule = plan.schedule
    lists = orders(schedule.pipeline, len(plan.ranks), schedule.chunks, schedule.micro_batches)
    passes = Passes(plan)
    levels = [
        with_reserve(
            training_levels(plan, rank, _timeline(plan, order), scenario, passes), scenario,
            gives_back=True,
        )
        for rank, order in zip(plan.ranks, lists, strict=True)
    ]
    return tuple(fit(plan, i, v, scenario) for i, v in enumerate(levels))


def _timeline(plan: Plan, order: Sequence[Task]) -> Timeline:
    """Return tasks in order, the i-th from time i to i + 1, whose gradients are reduced at once."""
    schedule, count = plan.schedule, len(order)
    return Timeline(
        order, range(count), range(1, count + 1), closing(schedule.pipeline), schedule.chunks,
        schedule.micro_batches, schedule.reduce_every, {}, count,
    )
