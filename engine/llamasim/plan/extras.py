"""Further models that run within the steps: a draft that proposes, a teacher that is imitated.

Such a model goes through the same techniques on the same devices, is never trained, and becomes
blocks of the plan beside the first chunk of every stage, so that memory, cache, time and tables
need to know nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from llamasim.diagnostics import Diagnostic
from llamasim.model.graph import Graph
from llamasim.plan.spec import BlockPlan, Chunk, CommWork, OpWork, Plan, Work
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import Applied, ExtraRun

#: Lowers a further model under some scenario, given the uses that run further models.
Lower = Callable[[Graph, Scenario, frozenset[str]], tuple[Plan | None, list[Diagnostic]]]


def with_extras(
    plan: Plan, applied: Applied, scenario: Scenario, lower: Lower
) -> tuple[Plan | None, list[Diagnostic]]:
    """Return the plan with the further models that its techniques run."""
    running = frozenset(e.instance for e in applied.extras)
    diagnostics: list[Diagnostic] = []
    for extra in applied.extras:
        under = attrs.evolve(scenario, model=extra.graph.model)
        other, said = lower(extra.graph, under, running)
        diagnostics += [
            attrs.evolve(d, message=f"for {extra.name} ({extra.graph.model.name}): {d.message}")
            for d in said if d.is_error
        ]
        if other is None:
            return None, diagnostics
        plan = _joined(plan, other, extra)
    return plan, diagnostics


def _joined(plan: Plan, other: Plan, extra: ExtraRun) -> Plan:
    first = len(plan.blocks)
    rows = plan.schedule.rows
    blocks = tuple(_block(b, extra, rows) for b in other.blocks)
    ranks = []
    for mine, theirs in zip(plan.ranks, other.ranks, strict=True):
        added = tuple(first + b for c in theirs.chunks for b in c.blocks)
        chunk = mine.chunks[0]
        chunks = (Chunk(chunk.order, (*added, *chunk.blocks)), *mine.chunks[1:])
        ranks.append(attrs.evolve(mine, chunks=chunks))
    return attrs.evolve(plan, blocks=(*plan.blocks, *blocks), ranks=tuple(ranks))


def _block(block: BlockPlan, extra: ExtraRun, rows: float) -> BlockPlan:
    work: Mapping[str, tuple[Work, ...]] = {
        phase: tuple(_repeated(w, extra.times[phase], rows if phase == "decode" else 1.0)
                     for w in works)
        if phase in extra.times and phase != "backward" else ()
        for phase, works in block.work.items()
    }
    name = f"{extra.name}.{block.name}"
    return attrs.evolve(block, name=name, work=work, reduce=(), owner=extra.name)


def _repeated(work: Work, times: float, rows: float) -> Work:
    """Return work that runs some times a step, each on one in `rows` of the step's tokens."""
    if isinstance(work, CommWork):
        by_token = 1.0 if work.basis == "sequences" else rows
        return attrs.evolve(
            work, runs=work.runs * times, bytes_per_token=work.bytes_per_token / by_token
        )
    return _repeated_op(work, times, 1.0 if work.basis == "sequences" else rows, rows)


def _repeated_op(op: OpWork, times: float, by_token: float, rows: float) -> OpWork:
    pairs = op.kind in ("scores", "context", "fused_attention")
    return attrs.evolve(
        op,
        runs=op.runs * times,
        rows_share=op.rows_share / by_token,
        flops_scale=op.flops_scale / (rows if pairs else 1.0),
        flops_per_token=op.flops_per_token / by_token,
        read_per_token=op.read_per_token / by_token,
        write_per_token=op.write_per_token / by_token,
        read_per_pair=op.read_per_pair / rows,
        write_per_pair=op.write_per_pair / rows,
    )
