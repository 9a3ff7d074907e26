"""Statements as text: members, effects and declarations without their bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from llamasim.language import ast

#: Prints an expression.
Show: TypeAlias = Callable[[ast.Expr], str]


def show_head(node: Any, show: Show) -> str:
    """Return a declaration or a member on one line; of a rule the part before its block."""
    return _HEADS[type(node)](node, show)


def show_effect(effect: ast.Effect, show: Show) -> str:
    """Return an effect on one line."""
    return _EFFECTS[type(effect)](effect, show)


def _string(keyword: str, text: str | None) -> str:
    return "" if text is None else f' {keyword} "{text}"'


def _pattern(globs: Iterable[ast.Glob]) -> str:
    texts = [g.text for g in globs]
    return texts[0] if len(texts) == 1 else f"{{{', '.join(texts)}}}"


def show_range(low: ast.Expr, high: ast.Expr, show: Show) -> str:
    """Return a range; its ends are sums."""
    return f"{_end(low, show)}..{_end(high, show)}"


def _end(expr: ast.Expr, show: Show) -> str:
    text = show(expr)
    loose = isinstance(expr, ast.Cond | ast.Among) or (
        isinstance(expr, ast.Unary) and expr.op == "not"
    ) or (isinstance(expr, ast.Binary) and expr.op not in ("+", "-", "*", "/", "^"))
    return f"({text})" if loose else text


def _param(m: ast.Param, show: Show) -> str:
    text = f"param {m.name}: {m.type}"
    if isinstance(m.domain, ast.RangeDomain):
        text += f" in {show_range(m.domain.low, m.domain.high, show)}"
    elif m.domain is not None:
        text += f" in {{{', '.join(show(o) for o in m.domain.options)}}}"
    return text if m.default is None else f"{text} = {show(m.default)}"


def _axis(m: ast.Axis, show: Show) -> str:
    inside = f" inside {m.inside}" if m.inside else ""
    return f"axis {m.name} size {show(m.size)}{inside}"


def _bring(m: ast.Bring, show: Show) -> str:
    fields = ", ".join(f"{f.name}: {show(f.value)}" for f in m.fields)
    where = "after" if m.after else "on"
    body = f"{{ {fields} }}" if fields else "{ }"
    return f"bring {m.what} {m.name} {where} {_pattern(m.globs)} {body}"


def _claim(m: ast.Claim, show: Show) -> str:
    when = "" if m.when is None else f" when {show(m.when)}"
    return (f"claim {m.metric}: {show_range(m.low, m.high, show)}{_string('for', m.scope)}{when}"
            f" from {', '.join(m.sources)}{_string('note', m.note)}")


def _rule(m: ast.Rule, show: Show) -> str:
    text = f"on {m.element}"
    if m.globs:
        text += f" of {_pattern(m.globs)}"
    if m.excepts:
        text += f" except {_pattern(m.excepts)}"
    if m.tokens is not None:
        text += f" tokens {show_range(*m.tokens, show)}"
    if m.phases:
        text += f" during {', '.join(m.phases)}"
    return text if m.where is None else f"{text} where {show(m.where)}"


def _function(m: ast.Function, show: Show) -> str:
    formals = ", ".join(f"{n}: {t}" for n, t in m.formals)
    return f"fn {m.name}({formals}): {m.type} = {show(m.body)}"


_HEADS: Mapping[type, Callable[[Any, Show], str]] = {
    ast.SourceDecl: lambda m, _: f'source {m.name} = "{m.text}"',
    ast.Const: lambda m, s: f"const {m.name}: {m.type} = {s(m.value)}",
    ast.Function: _function,
    ast.Param: _param,
    ast.Let: lambda m, s: f"let {m.name} = {s(m.value)}",
    ast.Axis: _axis,
    ast.ExtraModel: lambda m, s: f"model {m.name} = {s(m.value)}",
    ast.Bring: _bring,
    ast.Requires: lambda m, s: f"requires {s(m.test)}{_string('else', m.message)}",
    ast.Advise: lambda m, s: f"advise {s(m.test)}{_string('else', m.message)}",
    ast.Conflicts: lambda m, _: f"conflicts with {m.other}{_string('because', m.because)}",
    ast.Refines: lambda m, _: f"refines {m.other}{_string('because', m.because)}",
    ast.Claim: _claim,
    ast.Rule: _rule,
}

_WRITES: Mapping[str, str] = {
    "set": "set {c} = {v}", "scale": "scale {c} by {v}", "add": "add {v} to {c}",
    "cap": "cap {c} at {v}", "raise": "raise {c} to {v}",
}


def _overlap(e: ast.Overlap, show: Show) -> str:
    share = "" if e.share is None else f" up to {show(e.share)}"
    return f"overlap {e.what} with {e.stream}{share}"


_EFFECTS: Mapping[type, Callable[[Any, Show], str]] = {
    ast.Write: lambda e, s: _WRITES[e.verb].format(c=e.cell, v=s(e.value)),
    ast.Shard: lambda e, _: f"shard {e.dim} over {e.axis}",
    ast.Reduce: lambda e, _: f"reduce over {e.axis}",
    ast.Gather: lambda e, _: f"gather over {e.axis}" + (f" until {e.until}" if e.until else ""),
    ast.Exchange: lambda e, s: f"exchange {s(e.amount)} over {e.axis}",
    ast.Send: lambda e, _: f"send over {e.axis}",
    ast.Rotate: lambda e, _: f"rotate over {e.axis}",
    ast.Place: lambda e, s: f"place on {e.where}" if e.share is None else (
        f"place {_end(e.share, s)} on {e.where}"),
    ast.Drop: lambda e, _: "drop",
    ast.Keep: lambda e, _: "keep",
    ast.Fuse: lambda e, _: f"fuse as {e.name}",
    ast.Run: lambda e, s: f"run {e.model} times {s(e.times)}",
    ast.Overlap: _overlap,
}
