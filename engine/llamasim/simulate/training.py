"""A training step: from the plan to its trace."""

from __future__ import annotations

import attrs
import numpy as np

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario
from llamasim.simulate.costing import step_timings, weighted
from llamasim.simulate.levels import Level, table
from llamasim.simulate.memory import (
    Passes,
    Timeline,
    fit,
    host_activations,
    training_levels,
    with_reserve,
)
from llamasim.simulate.pipeline import Outcome, step
from llamasim.simulate.stage import SEND
from llamasim.simulate.timings import Flow
from llamasim.simulate.trace import Floats, Ints, Links, Tasks, Trace

COMPUTE, COMM, P2P = 0, 1, 2


def train(plan: Plan, scenario: Scenario) -> Trace:
    """Simulate one optimizer step."""
    outcome = step(step_timings(plan, scenario))
    passes, rows = Passes(plan), _rows(outcome)
    levels: list[dict[str, Level]] = [
        with_reserve(
            training_levels(plan, rank, Timeline.of(stage), scenario, passes),
            scenario, gives_back=True,
        )
        for rank, stage in zip(plan.ranks, outcome.stages, strict=True)
    ]
    return Trace(
        scenario=scenario,
        plan=plan,
        makespan=outcome.makespan,
        tasks=_tasks(outcome, rows),
        memory=table(enumerate(levels)),
        links=_links(rows),
        fits=tuple(
            fit(plan, i, v, scenario,
                host_activations(plan, plan.ranks[i], outcome.stages[i]))
            for i, v in enumerate(levels)
        ),
        exposed=weighted(
            (rank.multiplicity, outcome.waits(i)) for i, rank in enumerate(plan.ranks)
        ),
    )


@attrs.frozen(eq=False)
class _Rows:
    """What stages did beside the tasks of their lists, as columns; `flow` is -1 where nothing is
    sent, else the number of a flow.
    """

    stage: Ints
    kind: Ints
    chunk: Ints
    batch: Ints
    flow: Ints
    start: Floats
    end: Floats
    bytes: Floats
    flows: tuple[Flow, ...]


def _rows(outcome: Outcome) -> _Rows:
    rows = [row for stage in outcome.stages for row in stage.rows]
    kind, chunk, batch, start, end, sent, size = zip(*rows, strict=True) if rows else ((),) * 7
    flows = {id(flow): flow for flow in sent if flow is not None}
    number = {key: i for i, key in enumerate(flows)}
    columns = (kind, chunk, batch, [number.get(id(flow), -1) for flow in sent])
    kinds, chunks, batches, numbers = (np.array(c, dtype=np.int32) for c in columns)
    starts, ends, sizes = (np.array(c, dtype=np.float64) for c in (start, end, size))
    counts = [len(s.rows) for s in outcome.stages]
    stages = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return _Rows(
        stages, kinds, chunks, batches, numbers, starts, ends, sizes, tuple(flows.values()),
    )


def _tasks(outcome: Outcome, rows: _Rows) -> Tasks:
    order = np.concatenate([s.tasks for s in outcome.stages])
    counts = [len(s.tasks) for s in outcome.stages]
    ranks = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    beside = np.where(rows.kind == SEND, P2P, COMM).astype(np.int32)
    beside[rows.flow < 0] = COMPUTE
    # A stage's own tasks, then what ran beside them.
    place = np.argsort(np.concatenate((ranks, rows.stage)), kind="stable")

    def joined(own: Ints, other: Ints) -> Ints:
        return np.concatenate((own, other))[place]

    return Tasks(
        joined(ranks, rows.stage), joined(order[:, 0], rows.kind),
        joined(order[:, 1], rows.chunk), joined(order[:, 2], rows.batch),
        np.concatenate([*(s.starts for s in outcome.stages), rows.start])[place],
        np.concatenate([*(s.ends for s in outcome.stages), rows.end])[place],
        joined(np.zeros_like(ranks), beside),
    )


def _links(rows: _Rows) -> Links:
    sent = rows.flow >= 0
    return Links(
        rows.stage[sent], rows.flow[sent], tuple((f.name, f.axis) for f in rows.flows),
        rows.start[sent], rows.end[sent], rows.bytes[sent],
    )
