"""Where each activation lies along each mesh axis, and the collectives that follow from it.

A placement is `""` (replicated), `"+"` (each device holds a partial sum) or the name of the dim
that is split. Rules state placements of weights and of some activations; the others follow from
what the ops between them do. Backward movements are the transposes of the forward ones: the
transpose of a gather is a reduce-scatter, of a reduction nothing, of a free slice a gather
(Megatron-LM's conjugate operators, arXiv:1909.08053 section 3; arXiv:2205.05198 section 4.2.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.plan.spec import CommKind
from llamasim.plan.steps import Step
from llamasim.techniques.applied import BlockFacts

REPLICATED, PARTIAL = "", "+"
TOKEN_DIMS = ("seq", "batch")


@attrs.frozen
class Move:
    """A change of placement of one activation at one kernel.

    Attributes:
        step: index of the kernel; the move is before it for an input, after it for an output.
        kind: the collective, or None where a device just keeps its part.

    """

    step: int
    tensor: str
    side: str
    before: str
    after: str
    kind: CommKind | None


@attrs.frozen
class Flow:
    """Placements along one axis.

    Attributes:
        used: placement of (kernel index, input) as the kernel reads it.
        stored: placement of each activation as it is kept.
        moves: forward movements in order.
        leaving: placement of the block's output.
        unresolved: (kernel index, activation) partial sums that reach an op.

    """

    axis: str
    used: dict[tuple[int, str], str]
    stored: dict[str, str]
    moves: tuple[Move, ...]
    leaving: str
    unresolved: tuple[tuple[int, str], ...]


@attrs.define
class _Walk:
    facts: BlockFacts
    axis: str
    stored: dict[str, str]
    used: dict[tuple[int, str], str] = attrs.field(factory=dict)
    moves: list[Move] = attrs.field(factory=list)
    unresolved: list[tuple[int, str]] = attrs.field(factory=list)

    def read(self, index: int, tensor: str, wanted: str | None) -> str:
        """Bring an input where the kernel wants it (anywhere for None); return its placement."""
        held = self.stored.get(tensor, REPLICATED)
        if held == PARTIAL:
            self.unresolved.append((index, tensor))
            held = REPLICATED
        target = held if wanted is None else wanted
        if held != target and not self._seen(tensor, target):
            self.moves.append(Move(index, tensor, "input", held, target, _kind(held, target)))
        self.used[(index, tensor)] = target
        return target

    def _seen(self, tensor: str, target: str) -> bool:
        # q, k and v read one gathered input: it is gathered once.
        return any(m.tensor == tensor and m.after == target and m.side == "input"
                   for m in self.moves)

    def write(self, index: int, tensor: str, result: str) -> None:
        """Store an output, resolved and placed as the rules say."""
        declared = _axis_dim(self.facts, "activation", tensor, self.axis)
        target = result
        if result == PARTIAL:
            if _obliged(self.facts, "activation", tensor, "reduce", self.axis):
                target = declared or REPLICATED
        elif declared is not None:
            target = declared
        if target != result:
            self.moves.append(Move(index, tensor, "output", result, target, _kind(result, target)))
        self.stored[tensor] = target


def flow(facts: BlockFacts, steps: Sequence[Step], axis: str, entering: str) -> Flow:
    """Walk a block's kernels and find all placements along one axis."""
    first = _axis_dim(facts, "activation", facts.block.input, axis)
    if facts.block.kind == "embed" and first in TOKEN_DIMS:
        entering = first or entering  # the loader hands out each device's tokens
    walk = _Walk(facts, axis, {facts.block.input: entering})
    for index, step in enumerate(steps):
        _visit(walk, index, step)
    return Flow(
        axis, walk.used, walk.stored, tuple(walk.moves),
        walk.stored.get(steps[-1].outputs[-1], REPLICATED) if steps else entering,
        tuple(walk.unresolved),
    )


def _visit(walk: _Walk, index: int, step: Step) -> None:
    kind = step.kind
    if kind in ("matmul", "embedding", "router"):
        result = _product(walk, index, step)
    elif kind in ("scores", "context", "fused_attention"):
        result = _attention(walk, index, step)
    elif kind in ("norm", "sample"):
        held = walk.stored.get(step.inputs[0], REPLICATED)
        keep = held in TOKEN_DIMS and kind == "norm"
        result = walk.read(index, step.inputs[0], None if keep else REPLICATED)
    elif kind == "loss":
        # The probabilities that it keeps lie as the logits do; the loss itself is a few scalars.
        result = walk.read(index, step.inputs[0], None)
    else:
        result = _pointwise(walk, index, step)
    for output in step.outputs:
        walk.write(index, output, result)
    for made in step.saves:
        walk.stored.setdefault(made, result)  # a mask lies as the values that it masks


def _product(walk: _Walk, index: int, step: Step) -> str:
    op = step.op
    source = op.inputs[0]
    split = _axis_dim(walk.facts, "weight", op.weight or "", walk.axis)
    if op.kind == "embedding":
        held = walk.read(index, source, None)
        return PARTIAL if split == "vocab" else "hidden" if split == "dim_out" else held
    if split in ("dim_out", "vocab"):
        walk.read(index, source, REPLICATED)
        return walk.facts.block.activations[op.output].features[-1].name
    if split == "dim_in":
        walk.read(index, source, walk.facts.block.activations[source].features[-1].name)
        return PARTIAL
    held = walk.stored.get(source, REPLICATED)
    return walk.read(index, source, None if held in TOKEN_DIMS else REPLICATED)


def _attention(walk: _Walk, index: int, step: Step) -> str:
    first, *others = step.inputs
    held = walk.read(index, first, None)
    for other in others:
        rotated = _obliged(walk.facts, "activation", other, "rotate", walk.axis)
        if held in TOKEN_DIMS:
            # Queries are split along the sequence: every device needs all keys and values,
            # at once or passed round a ring.
            walk.read(index, other, None if rotated else REPLICATED)
        else:
            walk.read(index, other, held)
    return held


def _pointwise(walk: _Walk, index: int, step: Step) -> str:
    held = [walk.stored.get(i, REPLICATED) for i in step.inputs]
    split = [h for h in held if h not in (REPLICATED, PARTIAL)]
    target = split[0] if split and all(s == split[0] for s in split) else REPLICATED
    for name in step.inputs:
        walk.read(index, name, target)
    return target


def _kind(before: str, after: str) -> CommKind | None:
    if before == PARTIAL:
        return "all_reduce" if after == REPLICATED else "reduce_scatter"
    if before == REPLICATED:
        return None
    return "all_gather" if after == REPLICATED else "all_to_all"


def _axis_dim(facts: BlockFacts, element: str, name: str, axis: str) -> str | None:
    for dim, over in facts.shards.get((element, name), ()):
        if over == axis and dim != "flat":
            return dim
    return None


def _obliged(facts: BlockFacts, element: str, name: str, verb: str, axis: str) -> bool:
    return any(o.verb == verb and o.axis == axis
               for o in facts.obligations.get((element, name), ()))
