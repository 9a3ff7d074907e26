"""The elements of a block that rules can name, and the names that patterns see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llamasim.language import glob_matches
from llamasim.language.ast import Glob
from llamasim.model.graph import Block, Op


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


def selected(
    block: Block, name: str, globs: Iterable[Glob], excepts: Iterable[Glob], scope: str | None
) -> bool:
    """Whether an element's full name is within a rule's patterns (if it has any)."""
    chosen = tuple(globs)
    if chosen and not any(_names(g.text, block, name) for g in chosen):
        return False
    if any(_names(g.text, block, name) for g in excepts):
        return False
    return scope is None or _names(scope, block, name)


def _names(glob: str, block: Block, name: str) -> bool:
    """Whether a pattern names an element; one that begins with a model's name, only that model's.
    """
    owner = f"{block.owner}."
    if glob.startswith(owner):
        return glob_matches(glob, owner + name)
    return glob_matches(glob, name)


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
