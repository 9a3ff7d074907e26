"""Lower a model with its techniques to a plan: per-device work, memory, stages, schedule."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.plan.blocks import BlockLowering, lower_block, only_forward, split_backward
from llamasim.plan.gradients import gathers_after_update, update
from llamasim.plan.identity import plan_hash
from llamasim.plan.limits import idle_axes, limits, untrained, unwindowed
from llamasim.plan.schedule import schedule_of
from llamasim.plan.spec import Chunk, CommWork, Plan, RankClass, Schedule, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import NOTHING, Applied
from llamasim.techniques.mesh import REMAINDER


def lower(applied: Applied, scenario: Scenario) -> tuple[Plan | None, list[Diagnostic]]:
    """Return the plan, or why these techniques cannot run together on this cluster."""
    blocks, diagnostics = lower_blocks(applied, scenario)
    diagnostics += _once(limits(applied), scenario)
    staged = applied.step.get(("", "layout.pipeline_axis"))
    diagnostics += idle_axes(applied, str(staged.value) if staged is not None else None)
    diagnostics += unwindowed(applied, scenario, blocks)
    if scenario.workload.mode == "training":
        diagnostics += untrained(applied)
    schedule, said = schedule_of(applied, scenario)
    diagnostics += said
    if schedule is None or any(d.is_error for d in diagnostics):
        return None, diagnostics
    graph, workload = applied.graph, scenario.workload
    training = workload.mode == "training"
    plan = Plan(
        mode=workload.mode,
        axes=tuple(a for a in applied.mesh.axes if a.size > 1),
        blocks=tuple(
            split_backward(b.plan) if schedule.pipeline == "zero_bubble" else b.plan
            for b in blocks
        ),
        ranks=_ranks(applied, scenario, blocks),
        schedule=schedule,
        pipeline_send=_send(applied, blocks),
        replicas=applied.mesh.size(REMAINDER),
        step_shape=_shape(scenario, schedule),
        model_flops_per_token=_linear_flops(applied, training=training),
        attention_flops_per_pair=_attention_flops(applied, training=training),
        params=graph.params,
        active_params=graph.active_params,
        claims=applied.claims,
        ledger=applied.ledger,
        techniques=applied.techniques,
    )
    return attrs.evolve(plan, hash=plan_hash(plan, scenario)), diagnostics


def lower_blocks(
    applied: Applied, scenario: Scenario
) -> tuple[list[BlockLowering], list[Diagnostic]]:
    """Lower each class of layers, following placements from the embedding to the head."""
    found: dict[int, BlockLowering] = {}
    diagnostics: list[Diagnostic] = []
    order = [0, *applied.class_of, len(applied.blocks) - 1]
    entering: dict[str, str] = {}
    for index in order:
        if index in found:
            entering = found[index].leaving
            continue
        lowered, said = lower_block(applied, applied.blocks[index], scenario, entering)
        if lowered.leaving != entering and order.count(index) > 1:
            # Most layers of a class follow one of their own kind.
            lowered, said = lower_block(
                applied, applied.blocks[index], scenario, lowered.leaving
            )
        found[index] = lowered
        entering = lowered.leaving
        diagnostics += said
    if diagnostics:
        diagnostics = _once(diagnostics, scenario)
    idle = _before_training(applied, order)
    lowered_blocks = [found[i] for i in range(len(applied.blocks))]
    return [
        attrs.evolve(b, plan=only_forward(b.plan)) if i in idle else b
        for i, b in enumerate(lowered_blocks)
    ], diagnostics


def _before_training(applied: Applied, order: list[int]) -> set[int]:
    """Return the classes all of whose blocks come before the first one that is trained.

    Nothing asks for their gradients, so they have no backward pass and keep nothing for one.
    """
    trained = {
        i for i, facts in enumerate(applied.blocks)
        if any(facts.trainable(n) for n, w in facts.block.weights.items() if not w.tied)
    }
    first = next((k for k, i in enumerate(order) if i in trained), len(order))
    return set(order[:first]) - set(order[first:])


def _once(diagnostics: list[Diagnostic], scenario: Scenario) -> list[Diagnostic]:
    """Say each thing once, and point at `use`."""
    span = scenario.spans.get("use") or scenario.spans.get("workload")
    seen: dict[str, Diagnostic] = {}
    for d in diagnostics:
        labels = d.labels or ((Label(span, "these techniques"),) if span else ())
        seen.setdefault(d.message, attrs.evolve(d, labels=labels))
    return list(seen.values())


def _ranks(
    applied: Applied, scenario: Scenario, blocks: list[BlockLowering]
) -> tuple[RankClass, ...]:
    stages, chunks = applied.stages, applied.chunks
    slots: list[list[int]] = [[] for _ in range(stages * chunks)]
    for layer, slot in enumerate(applied.chunk_of):
        slots[slot].append(applied.class_of[layer])
    slots[0].insert(0, 0)
    slots[-1].append(len(blocks) - 1)
    ranks = []
    for stage in range(stages):
        mine = tuple(Chunk(s, tuple(slots[s])) for s in range(stage, len(slots), stages))
        ranks.append(_rank(stage, mine, applied, scenario, blocks))
    return tuple(ranks)


def _rank(
    stage: int,
    chunks: tuple[Chunk, ...],
    applied: Applied,
    scenario: Scenario,
    blocks: list[BlockLowering],
) -> RankClass:
    devices = scenario.cluster.devices // applied.stages
    static = applied.step.get(("", "cost.static_bytes"), NOTHING).add / 8
    if scenario.workload.mode != "training":
        return RankClass(stage, devices, chunks, static)
    counts: dict[int, int] = {}
    for chunk in chunks:
        for block in chunk.blocks:
            counts[block] = counts.get(block, 0) + 1
    held = [(blocks[b].local, n) for b, n in sorted(counts.items())]
    gathers: dict[tuple[object, ...], CommWork] = {}
    for local, count in held:
        for work in gathers_after_update(local):
            key = (work.group, work.hidden)
            before = gathers[key].bytes_fixed if key in gathers else 0.0
            gathers[key] = attrs.evolve(work, bytes_fixed=before + count * work.bytes_fixed)
    return RankClass(stage, devices, chunks, static, update(held, scenario.workload.optimizer),
                     step_start=tuple(gathers.values()))


def _send(applied: Applied, blocks: list[BlockLowering]) -> CommWork | None:
    if applied.stages == 1:
        return None
    return boundary(applied, blocks, str(applied.step[("", "layout.pipeline_axis")].value))


def boundary(applied: Applied, blocks: Sequence[BlockLowering], axis: str) -> CommWork:
    """Return the transfer of a micro-batch between neighbouring stages along an axis."""
    local = blocks[applied.class_of[-1]].local
    name = applied.blocks[applied.class_of[-1]].block.output
    size = local.features(name) * local.rows(name) * local.wire_bits("activation", name) / 8
    return CommWork("boundary", "send", applied.mesh.group(axis), bytes_per_token=size,
                    stream="p2p", hidden=1.0, reason="boundary between pipeline stages")


def _shape(scenario: Scenario, schedule: Schedule) -> StepShape:
    w = scenario.workload
    if w.mode == "training":
        return StepShape.of(schedule.micro_batch, w.sequence)
    return StepShape.of(w.batch, w.prompt.mean)


def _linear_flops(applied: Applied, *, training: bool) -> float:
    """Two FLOP a parameter and token forward, two more for each of the two gradients."""
    if not training:
        return 2.0 * applied.graph.active_params
    trained = 0.0
    for facts in applied.blocks:
        each = sum(w.elements * w.routed for n, w in facts.block.weights.items()
                   if not w.tied and facts.trainable(n))
        trained += each * max(1, len(facts.layers))
    return 4.0 * applied.graph.active_params + 2.0 * trained


def _attention_flops(applied: Applied, *, training: bool) -> float:
    """Two products of 2 * head_dim FLOP a head, layer and pair; three times that in training."""
    m = applied.graph.model
    value_dim = m.value_head_dim or m.head_dim
    forward = 2.0 * m.layers * m.heads * (m.head_dim + value_dim)
    return forward * (3.0 if training else 1.0)
