"""Where the time of a run goes: computing, and what devices wait for."""

from __future__ import annotations

from llamasim.simulate import run
from llamasim.simulate.trace import Trace
from llamasim.study.explain.case import Case
from llamasim.study.explain.tree import Node

_CAUSES = {
    "bubble": "waiting for other pipeline stages", "reduce": "waiting for gradient reductions",
    "gather": "waiting for weight gathers", "send": "waiting for stage boundaries",
    "host": "waiting for the host", "copy": "waiting for copies between device and host",
    "idle": "no request to serve",
}


def step_node(case: Case) -> tuple[Node, str]:
    """Return the time of a run as a sum over causes, mean over devices."""
    trace = run(case.plan, case.scenario)
    exposed = {k: float(v) for k, v in trace.exposed.items() if v > 0}
    seconds = float(trace.makespan)
    compute = max(0.0, seconds - sum(exposed.values()))
    parts = [Node("compute", compute, "s", note="kernels run, collectives that they hide too",
                  inputs=_stages(trace))]
    for cause, value in sorted(exposed.items(), key=lambda p: -p[1]):
        name = cause.replace(":", " ")
        note = _CAUSES.get(cause, f"waiting for collectives over {cause.partition(':')[2]}")
        parts.append(Node(name, value, "s", note=note))
    formula = " + ".join(f"{{{p.name}}}" for p in parts)
    name = "step.seconds" if case.training else "run.seconds"
    return Node(name, seconds, "s", formula=formula, inputs=tuple(parts)), (
        "step" if case.training else "run, from the first arrival to the last event")


def _stages(trace: Trace) -> tuple[Node, ...]:
    """Return how long each pipeline stage was at work."""
    if len(trace.plan.ranks) == 1:
        return ()
    busy = trace.tasks.end - trace.tasks.start
    return tuple(
        Node(f"stage {r.stage} at work", float(busy[trace.tasks.rank == r.stage].sum()), "s")
        for r in trace.plan.ranks
    )
