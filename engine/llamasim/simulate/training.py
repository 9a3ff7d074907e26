"""A training step: from the plan to its trace."""

from __future__ import annotations

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
from llamasim.simulate.trace import Links, Tasks, Trace

COMPUTE, COMM, P2P = 0, 1, 2


def train(plan: Plan, scenario: Scenario) -> Trace:
    """Simulate one optimizer step."""
    outcome = step(step_timings(plan, scenario))
    passes = Passes(plan)
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
        tasks=_tasks(outcome),
        memory=table(enumerate(levels)),
        links=_links(outcome),
        fits=tuple(
            fit(plan, i, v, scenario,
                host_activations(plan, plan.ranks[i], outcome.stages[i]))
            for i, v in enumerate(levels)
        ),
        exposed=weighted(
            (rank.multiplicity, outcome.waits(i)) for i, rank in enumerate(plan.ranks)
        ),
    )


def _tasks(outcome: Outcome) -> Tasks:
    kinds, chunks, batches, starts, ends, streams, ranks = ([] for _ in range(7))
    for index, stage in enumerate(outcome.stages):
        order = np.array(stage.order, dtype=np.int32).reshape(-1, 3)
        rows = stage.rows
        kinds += [order[:, 0], np.array([r[0] for r in rows], dtype=np.int32)]
        chunks += [order[:, 1], np.array([r[1] for r in rows], dtype=np.int32)]
        batches += [order[:, 2], np.array([r[2] for r in rows], dtype=np.int32)]
        starts += [np.array(stage.starts), np.array([r[3] for r in rows])]
        ends += [np.array(stage.ends), np.array([r[4] for r in rows])]
        beside = [COMPUTE if r[5] is None else P2P if r[0] == SEND else COMM for r in rows]
        streams += [np.zeros(len(order), dtype=np.int32), np.array(beside, dtype=np.int32)]
        ranks.append(np.full(len(order) + len(rows), index, dtype=np.int32))
    return Tasks(
        np.concatenate(ranks), np.concatenate(kinds), np.concatenate(chunks),
        np.concatenate(batches), np.concatenate(starts), np.concatenate(ends),
        np.concatenate(streams),
    )


def _links(outcome: Outcome) -> Links:
    rows = [
        (index, r[5], r[3], r[4], r[6])
        for index, stage in enumerate(outcome.stages) for r in stage.rows if r[5] is not None
    ]
    return Links(
        np.array([r[0] for r in rows], dtype=np.int32),
        tuple(r[1].name for r in rows),
        tuple(r[1].axis for r in rows),
        np.array([r[2] for r in rows]),
        np.array([r[3] for r in rows]),
        np.array([r[4] for r in rows]),
    )
