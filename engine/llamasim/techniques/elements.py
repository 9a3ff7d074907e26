"""The elements of a block that rules can name, and the names that patterns see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from llamasim.language import glob_matches
from llamasim.language.ast import Glob
from llamasim.model.graph import Block, Op

#: What a pattern needs to tell one layer from another.
_DIGIT = re.compile(r"\d")


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


def texts(globs: Iterable[Glob]) -> tuple[str, ...]:
    """Return patterns as they are written."""
    return tuple(g.text for g in globs)


def matched(
    block: Block, index: int | None, element: str, globs: tuple[str, ...],
    excepts: tuple[str, ...], scope: str | None,
) -> tuple[str, ...]:
    """Return the elements of a block that patterns and a scope select, those of `excepts` apart."""
    if index is not None and not any(_DIGIT.search(t) for t in (*globs, *excepts, scope or "")):
        index = 0  # no pattern tells one layer from another
    names = tuple(element_names(block, element).items())
    return _matched(block.owner, index, names, globs, excepts, scope)


@lru_cache(maxsize=8192)
def _matched(
    owner: str, index: int | None, names: tuple[tuple[str, str], ...], globs: tuple[str, ...],
    excepts: tuple[str, ...], scope: str | None,
) -> tuple[str, ...]:
    chosen, left_out = set(), set()
    for name, real in names:
        full = full_name(index, name)
        if selected(owner, full, globs, scope):
            chosen.add(real)
        if excepts and selected(owner, full, excepts, None):
            left_out.add(real)
    return tuple(sorted(chosen - left_out))


def full_name(index: int | None, name: str) -> str:
    """Return the name that globs see: `layers.3.attn.q`, or the bare name outside layers."""
    if index is None:
        return name
    return f"layers.{index}.{name}" if name else f"layers.{index}"


def selected(owner: str, name: str, globs: Sequence[str], scope: str | None) -> bool:
    """Whether an element's full name is within patterns (if there are any) and a scope (if there
    is one); `owner` is the model that it belongs to.
    """
    if globs and not any(_names(g, owner, name) for g in globs):
        return False
    return scope is None or _names(scope, owner, name)


def _names(glob: str, owner: str, name: str) -> bool:
    """Whether a pattern names an element; one that begins with a model's name, only that model's.
    """
    if glob.startswith(f"{owner}."):
        return glob_matches(glob, f"{owner}.{name}")
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
