"""Puts brought weights and ops into a block, beside an op or after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import attrs

from llamasim.model.graph import Activation, Block, Dim, Op, OpKind, Weight


@attrs.frozen
class Brought:
    """What a technique brings to one op.

    Attributes:
        target: the op that it stands beside or follows.
        weight: whether it has a weight of `count` times (dim_in, dim_out); else it is a pointwise
            op of `kind`.
        after: in series after the target; else beside it, from the same input.

    """

    target: str
    name: str
    weight: bool
    after: bool
    dim_in: int
    dim_out: int
    count: int
    kind: str

    @property
    def full(self) -> str:
        """Its name in the block."""
        return f"{self.target}.{self.name}"


class Grafts:
    """A block that grows."""

    def __init__(self, block: Block) -> None:
        self.block = block
        # Where the path beside an op has got to: its next weight reads this.
        self._tails: dict[str, str] = {}
        # The series after an op: its last piece, and how wide its readers expect it.
        self._series: dict[str, tuple[Brought, int]] = {}
        # Weights that read something of another width than their own.
        self.unread: list[tuple[Brought, int]] = []

    def add(self, brought: Brought) -> None:
        """Put one piece in."""
        target = next(op for op in self.block.ops if op.name == brought.target)
        if brought.after:
            self._after(brought, target)
        else:
            self._beside(brought, target)

    def _beside(self, brought: Brought, target: Op) -> None:
        source = self._tails.get(target.name, target.inputs[0])
        at = max(
            k for k, op in enumerate(self.block.ops)
            if op.name == target.name or op.output == source
            or op.name.startswith(f"{target.name}.")
        )
        self._insert(at + 1, brought, source)
        self._tails[target.name] = brought.full

    def _after(self, brought: Brought, target: Op) -> None:
        made = target.output
        at = self.block.ops.index(target)
        ops = tuple(_reading(op, made, brought.full) for op in self.block.ops)
        output = brought.full if self.block.output == made else self.block.output
        width = _width(self.block.activations[made])
        self.block = attrs.evolve(self.block, ops=ops, output=output)
        self._insert(at + 1, brought, made)
        for key, tail in self._tails.items():
            if tail == made:
                self._tails[key] = brought.full
                return  # inside a path beside: its width is the path's own affair
        first = next((k for k, (b, _) in self._series.items() if b.full == target.name), None)
        wanted = width if first is None else self._series[first][1]
        self._series[first or brought.full] = (brought, wanted)

    def _insert(self, at: int, brought: Brought, source: str) -> None:
        block, name = self.block, brought.full
        weights = dict(block.weights)
        if brought.weight:
            self._check_width(brought, block.activations[source])
            dims = (Dim("dim_in", brought.dim_in), Dim("dim_out", brought.dim_out))
            copies = (Dim("copies", brought.count),) if brought.count > 1 else ()
            weights[name] = Weight(name, (*copies, *dims))
            features: tuple[Dim, ...] = (Dim("path", brought.dim_out * brought.count),)
            op = Op(name, "matmul", (source,), name, name, (source,))
        else:
            features = block.activations[source].features
            op = Op(name, cast(OpKind, brought.kind), (source,), name, None, (source,))
        ops = (*block.ops[:at], op, *block.ops[at:])
        activations = {**block.activations, name: Activation(name, features)}
        self.block = attrs.evolve(block, weights=weights, activations=activations, ops=ops)

    def _check_width(self, brought: Brought, read: Activation) -> None:
        # A size of 1 is a vector of factors; copies read the same input, or each its own part.
        width = _width(read)
        fits = brought.dim_in in (1, width) or brought.dim_in * brought.count == width
        if not fits and all(d.name != "routes" for d in read.features):
            self.unread.append((brought, width))

    def misfits(self) -> Iterator[tuple[Brought, tuple[int, int]]]:
        """Yield the ends of series that are not as wide as what they replace."""
        for last, wanted in self._series.values():
            width = _width(self.block.activations[last.full])
            if width != wanted:
                yield last, (width, wanted)


def _width(activation: Activation) -> int:
    count = 1
    for dim in activation.features:
        count *= dim.size
    return count


def _reading(op: Op, old: str, new: str) -> Op:
    return attrs.evolve(
        op, inputs=tuple(new if i == old else i for i in op.inputs),
        saves=tuple(new if s == old and old in op.inputs else s for s in op.saves),
    )
