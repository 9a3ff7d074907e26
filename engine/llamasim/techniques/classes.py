"""Layers that every rule treats alike are one class, so that 126 layers cost what two do."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence

from llamasim.language import EvalError, Missing, Value, evaluate
from llamasim.language.ast import (
    Among,
    Binary,
    Call,
    Cond,
    Effect,
    Exchange,
    Expr,
    Overlap,
    Path,
    Place,
    Rule,
    Unary,
    Write,
)
from llamasim.model.graph import Block
from llamasim.techniques.elements import matched, texts
from llamasim.techniques.environment import Env
from llamasim.techniques.instances import Instance
from llamasim.techniques.mesh import Mesh

_LAYER_NUMBER = re.compile(r"layers\.[^.]*\d|(?:^|\.)\d")


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the direct parts of an expression."""
    if isinstance(expr, Unary):
        return (expr.operand,)
    if isinstance(expr, Binary):
        return (expr.left, expr.right)
    if isinstance(expr, Cond):
        return (expr.test, expr.then, expr.other)
    if isinstance(expr, Among):
        return (expr.item, *expr.options)
    return expr.args if isinstance(expr, Call) else ()


def effect_values(effect: Effect) -> tuple[Expr, ...]:
    """Return the expressions that an effect evaluates."""
    if isinstance(effect, Write):
        return (effect.value,)
    if isinstance(effect, Overlap | Place) and effect.share is not None:
        return (effect.share,)
    if isinstance(effect, Exchange):
        return (effect.amount,)
    return ()


def reads_layer(expr: Expr, lets: Mapping[str, Expr]) -> bool:
    """Whether an expression depends on which layer it is evaluated for."""
    if isinstance(expr, Path):
        let = lets.get(expr.parts[0]) if len(expr.parts) == 1 else None
        return expr.parts[0] == "layer" or (let is not None and reads_layer(let, lets))
    return any(reads_layer(c, lets) for c in children(expr))


def signatures(
    rules: Sequence[tuple[Instance, Rule]],
    block: Block,
    views: Mapping[int, Mapping[str, Value]],
    names: Mapping[tuple[str, ...], Value],
    mesh: Mesh,
) -> dict[int, Hashable]:
    """Return for each layer of a block what the rules can tell apart about it."""
    varying: list[tuple[Instance, list[Expr]]] = []
    patterns: list[tuple[Instance, Rule]] = []
    for instance, rule in rules:
        exprs = [rule.where] if rule.where is not None else []
        exprs += [v for e in rule.effects for v in effect_values(e)]
        exprs += rule.tokens or ()
        exprs = [e for e in exprs if reads_layer(e, instance.lets)]
        if exprs:
            varying.append((instance, exprs))
        texts = [g.text for g in (*rule.globs, *rule.excepts)] + [instance.use.scope or ""]
        if any(_LAYER_NUMBER.search(t) for t in texts):
            patterns.append((instance, rule))
    result: dict[int, Hashable] = {}
    for index in block.layers:
        env = [Env(i, names, mesh, views[index]) for i, _ in varying]
        values = tuple(_key(x, e) for e, (_, xs) in zip(env, varying, strict=True) for x in xs)
        result[index] = (values, _matches(block, index, patterns))
    return result


def _matches(
    block: Block, index: int, patterns: Sequence[tuple[Instance, Rule]]
) -> tuple[Hashable, ...]:
    return tuple(
        matched(block, index, rule.element, texts(rule.globs), texts(rule.excepts),
                instance.use.scope)
        for instance, rule in patterns
    )


def _key(expr: Expr, env: Env) -> Hashable:
    # The largest parts that depend on the layer alone tell layers apart; the rest is the same.
    try:
        return evaluate(expr, env)
    except (Missing, EvalError):
        if isinstance(expr, Path):
            let = env.instance.lets.get(expr.text)
            return () if let is None else _key(let, env)
        return tuple(_key(c, env) for c in children(expr))
