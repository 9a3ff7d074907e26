"""The one way in: from a plan to what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.trace import Trace

if TYPE_CHECKING:
    from llamasim.simulate.unfinished import Watch


def run(plan: Plan, scenario: Scenario, watch: Watch | None = None) -> Trace:
    """Simulate a training step, one batch of inference, or a server.

    Raises nothing for a plan that does not fit in memory: the trace's fits say so, and its times
    are those of a device with enough memory. A `watch` looks on while a server runs: see `serve`.
    """
    if plan.mode == "training":
        from llamasim.simulate.training import train

        return train(plan, scenario)
    if scenario.workload.serving:
        from llamasim.simulate.serving import serve

        return serve(plan, scenario, watch=watch)
    from llamasim.simulate.batch import run_batch

    return run_batch(plan, scenario)
