"""Bounds what a rule file says once its names are written out.

Rules are total because lets, constants and functions only stand for expressions given earlier: all
of them could be written out. A few lines that each use the one before twice would be written out
to more than any machine works through, so the size and the depth of what they stand for are capped
before anything else of a file is checked.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.language.ast import (
    Among,
    Call,
    Const,
    Expr,
    Function,
    Let,
    Module,
    Path,
    Technique,
    children,
)
from llamasim.language.caps import MOST_DEPTH, MOST_EXPANDED


@attrs.frozen
class _Size:
    """How large an expression is when it is written out."""

    nodes: int
    depth: int


def expansion_problem(module: Module) -> Diagnostic | None:
    """Return that a file says too much, at the declaration with which it does; None if not."""
    names: dict[str, _Size] = {}
    total = 0
    for item in module.items:
        inner = dict(names) if isinstance(item, Technique) else names
        for part in item.members if isinstance(item, Technique) else (item,):
            sizes = [_size(e, inner) for e in _expressions(part)]
            total += sum(s.nodes for s in sizes)
            if total > MOST_EXPANDED:
                return _too_large(part.span, f"has more than {MOST_EXPANDED:,} nodes")
            deep = max((s.depth for s in sizes), default=0)
            if deep > MOST_DEPTH:
                return _too_large(part.span, f"is nested more than {MOST_DEPTH} deep")
            if isinstance(part, Const | Function | Let):
                inner[part.name] = sizes[0]
    return None


def _too_large(span: Span, how: str) -> Diagnostic:
    return Diagnostic(
        "E0107", f"with its names written out, this file {how}", (Label(span, "exceeded here"),),
        why="names stand for expressions, and each use of one is worked out anew",
        help=("use the names of other expressions less often within one another",),
    )


def _size(expr: Expr, names: dict[str, _Size]) -> _Size:
    inner = [_size(e, names) for e in children(expr)]
    if isinstance(expr, Among):  # what is looked for is compared with every option
        inner += inner[:1] * (len(expr.options) - 1)
    if isinstance(expr, Call) and expr.name in names:
        inner.append(names[expr.name])
    elif isinstance(expr, Path) and len(expr.parts) == 1 and expr.parts[0] in names:
        inner.append(names[expr.parts[0]])
    return _Size(1 + sum(s.nodes for s in inner), 1 + max((s.depth for s in inner), default=0))


def _expressions(value: object) -> Iterable[Expr]:
    """Yield the outermost expressions of a declaration, whatever its kind."""
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _expressions(part)
    elif not isinstance(value, Span) and attrs.has(kind := type(value)):
        for field in attrs.fields(kind):
            yield from _expressions(getattr(value, field.name))
