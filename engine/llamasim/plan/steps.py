"""Kernels of a block in one phase: ops that the phase has, with fused ones joined."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import attrs

from llamasim.model.graph import Op
from llamasim.techniques.applied import BlockFacts


@attrs.frozen
class Step:
    """One kernel: an op, or several that a technique fuses.

    Attributes:
        inputs, outputs: activations that enter it and that leave it; what flows between its own
            ops is never in memory.
        saves: activations that its backward pass needs.
        quiet: activations that it need not read or write, because a fused neighbour hands them on.
        on_chip: those of them that are never in memory, nor are their gradients.
        kernels: how many are launched: of fused products one in all.

    """

    name: str
    kind: str
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    saves: tuple[str, ...]
    quiet: frozenset[str] = frozenset()
    on_chip: frozenset[str] = frozenset()
    kernels: float = 1.0

    @property
    def op(self) -> Op:
        """The only op, or the first one."""
        return self.ops[0]


def steps_of(facts: BlockFacts, phase: str) -> tuple[Step, ...]:
    """Return a block's kernels in a phase (`backward` has those of `forward`)."""
    wanted = "forward" if phase == "backward" else phase
    ops = _present(facts.block.ops, wanted)
    groups: list[list[Op]] = []
    for op in ops:
        group = facts.fused.get(op.name)
        if groups and group is not None and facts.fused.get(groups[-1][-1].name) == group:
            groups[-1].append(op)
        else:
            groups.append([op])
    steps: list[Step] = []
    for group_ops in groups:
        if len(group_ops) > 1 and any(op.weight for op in group_ops):
            steps += _with_products(group_ops, facts, ops, training=wanted == "forward")
        else:
            steps.append(_step(group_ops, facts, ops))
    return tuple(steps)


def _with_products(
    group: list[Op], facts: BlockFacts, ops: tuple[Op, ...], *, training: bool
) -> list[Step]:
    """Return fused ops with products among them, each costed by its own shape.

    What one makes and only others of the group read stays on the chip, unless the backward pass
    needs it; what several read is read once.
    """
    inside = {op.name for op in group}
    made = {op.output for op in group}
    leaving = {i for op in ops if op.name not in inside for i in op.inputs}
    if facts.block.kind != "head" or facts.block.output not in facts.dropped:
        leaving.add(facts.block.output)
    if training:
        leaving |= {s for op in ops for s in _saves(op, facts)} - facts.dropped
    steps: list[Step] = []
    seen: set[str] = set()
    for op in group:
        kept_on_chip = {n for n in (*op.inputs, op.output) if n in made and n not in leaving}
        handed_on = {i for i in op.inputs if i in made or i in seen}
        seen.update(op.inputs)
        step = _step([op], facts, ops)
        steps.append(attrs.evolve(
            step, quiet=frozenset(kept_on_chip | handed_on), on_chip=frozenset(kept_on_chip),
            kernels=0.0 if steps else 1.0,
        ))
    return steps


def pieces(steps: Iterable[Step], local: HasFacts) -> dict[str, int]:
    """Return into how many parts, one after another, the rows of activations are cut: of those
    that only kernels with as many parts make and read.
    """
    made: dict[str, int] = {}
    steps = tuple(steps)
    for step in steps:
        for name in (*step.outputs, *step.saves):
            made.setdefault(name, step_pieces(step, local.facts))
    for step in steps:
        for name in step.inputs:
            if name in made:
                made[name] = min(made[name], step_pieces(step, local.facts))
    return {n: k for n, k in made.items() if k > 1}


def step_pieces(step: Step, facts: BlockFacts) -> int:
    """Return into how many parts a kernel cuts its rows."""
    return max(1, *(int(facts.number("op", op.name, "op.pieces", 1.0)) for op in step.ops))


class HasFacts(Protocol):
    """Something that has a block's facts."""

    @property
    def facts(self) -> BlockFacts:
        """The facts."""


def _present(ops: Iterable[Op], phase: str) -> tuple[Op, ...]:
    """Drop ops that the phase lacks; what read their output reads their input instead."""
    renamed: dict[str, str] = {}
    kept: list[Op] = []
    for op in ops:
        inputs = tuple(renamed.get(i, i) for i in op.inputs)
        if op.phases and phase not in op.phases:
            renamed[op.output] = inputs[0]
            continue
        saves = tuple(renamed.get(s, s) for s in op.saves)
        kept.append(attrs.evolve(op, inputs=inputs, saves=saves))
    return tuple(kept)


def _step(group: list[Op], facts: BlockFacts, ops: tuple[Op, ...]) -> Step:
    if len(group) == 1:
        op = group[0]
        return Step(op.name, op.kind, (op,), op.inputs, (op.output,), _saves(op, facts))
    made = {op.output for op in group}
    inputs = tuple(dict.fromkeys(i for op in group for i in op.inputs if i not in made))
    inside = {op.name for op in group}
    read_later = {i for op in ops if op.name not in inside for i in op.inputs}
    outputs = tuple(
        op.output for op in group if op.output in read_later or op.output == facts.block.output
    ) or (group[-1].output,)
    kinds = {op.kind for op in group}
    kind = "fused_attention" if {"scores", "context"} <= kinds else "fused"
    # What is made inside is made again in the backward pass, from the inputs.
    saves = tuple(dict.fromkeys([*inputs, *outputs])) if kind == "fused_attention" else inputs
    return Step(facts.fused[group[0].name], kind, tuple(group), inputs, outputs, saves)


def _saves(op: Op, facts: BlockFacts) -> tuple[str, ...]:
    if op.kind == "matmul" and op.weight and not facts.trainable(op.weight):
        return ()  # its input serves the weight's gradient alone
    return op.saves
