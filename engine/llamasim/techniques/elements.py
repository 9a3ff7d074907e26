"""The elements of a block that rules can name, and the weights that techniques bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from llamasim.language import glob_matches
from llamasim.language.ast import Glob
from llamasim.model.graph import Activation, Block, Dim, Op, Weight


def element_names(block: Block, element: str) -> dict[str, str]:
    """Return the names of a block's elements of one kind, each with what it stands for.

    An op's first input has a second name, `OP.input`.
    """
    if element in ("weight", "grad", "optimizer"):
        return {n: n for n, w in block.weights.items() if not w.tied or element == "weight"}
    if element in ("activation", "activation_grad"):
        names = {n: n for n in block.activations}
        return names | {f"{op.name}.input": op.inputs[0] for op in block.ops}
    if element == "kv_cache":
        return {n: n for n in block.caches}
    if element == "op":
        return {op.name: op.name for op in block.ops}
    return {"": ""}


def full_name(block: Block, index: int | None, name: str) -> str:
    """Return the name that globs see: `layers.3.attn.q`, or the bare name outside layers."""
    if index is None:
        return name
    return f"layers.{index}.{name}" if name else f"layers.{index}"


def selected(name: str, globs: Iterable[Glob], excepts: Iterable[Glob], scope: str | None) -> bool:
    """Whether a full name is within a rule's patterns (all names when there are none)."""
    chosen = list(globs)
    if chosen and not any(glob_matches(g.text, name) for g in chosen):
        return False
    if any(glob_matches(g.text, name) for g in excepts):
        return False
    return scope is None or glob_matches(scope, name)


@attrs.frozen
class Brought:
    """A weight that a technique adds beside a matrix product: (in, out) and whether it trains."""

    target: str
    name: str
    dim_in: int
    dim_out: int


def with_paths(block: Block, brought: Iterable[Brought]) -> Block:
    """Return the block with brought weights as paths beside their targets.

    The first weight of a path takes the target's input, each next one the previous one's output;
    the last one's output joins the target's.
    """
    paths: dict[str, list[Brought]] = {}
    for b in brought:
        paths.setdefault(b.target, []).append(b)
    if not paths:
        return block
    weights: dict[str, Weight] = dict(block.weights)
    activations: dict[str, Activation] = dict(block.activations)
    ops: list[Op] = []
    for op in block.ops:
        ops.append(op)
        source = op.inputs[0]
        for b in paths.get(op.name, ()):
            source = _add_path(b, op.name, source, weights, activations, ops)
    return attrs.evolve(block, weights=weights, activations=activations, ops=tuple(ops))


def _add_path(
    b: Brought,
    target: str,
    source: str,
    weights: dict[str, Weight],
    activations: dict[str, Activation],
    ops: list[Op],
) -> str:
    name = f"{target}.{b.name}"
    weights[name] = Weight(name, (Dim("dim_in", b.dim_in), Dim("dim_out", b.dim_out)))
    activations[name] = Activation(name, (Dim("path", b.dim_out),))
    ops.append(Op(name, "matmul", (source,), name, name, (source,)))
    return name


def op_of(block: Block, element: str) -> Mapping[str, Op]:
    """Return which op stands for each element: a weight's user, an activation's maker."""
    if element in ("weight", "grad", "optimizer"):
        users = {op.weight: op for op in block.ops if op.weight}
        return {n: users[n.removesuffix(".bias")] for n in block.weights
                if n.removesuffix(".bias") in users}
    if element == "kv_cache":
        makers = {op.output: op for op in block.ops}
        return {n: makers[n] for n in block.caches if n in makers}
    return {op.output: op for op in block.ops}
