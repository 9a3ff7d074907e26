"""Kernels of a block in one phase: ops that the phase has, with fused ones joined."""

from __future__ import annotations

from collections.abc import Iterable

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

    """

    name: str
    kind: str
    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    saves: tuple[str, ...]

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
    return tuple(_step(g, facts, ops) for g in groups)


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
