"""Expressions of the syntax tree, from Lark's trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lark import Token, Tree

from llamasim.diagnostics import Source, Span
from llamasim.language import ast
from llamasim.language.caps import MOST_DEPTH, MOST_NODES

Node = Any

_BINARY: Mapping[str, Any] = {
    "or_": "or", "and_": "and", "divides": "divides", "plus": "+", "minus": "-", "times": "*",
    "over": "/", "pow": "^",
}


class TooLarge(Exception):  # noqa: N818 - becomes a diagnostic, never reaches a user
    """A file with more nodes, or a deeper expression, than the caps allow."""

    def __init__(self, span: Span, message: str) -> None:
        super().__init__(message)
        self.span = span
        self.message = message


class ExprBuilder:
    """Builds expressions; counts nodes and depth."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.nodes = 0
        self._here: Node = None

    def span(self, node: Tree[Token] | Token) -> Span:
        """Return the place of a tree or a token."""
        at = node if isinstance(node, Token) else node.meta
        line, column = at.line or 1, at.column or 1
        return Span(self.source, line, column, at.end_line or line, at.end_column or column + 1)

    def enter(self, depth: int) -> None:
        """Count a node.

        Raises:
            TooLarge: a cap is exceeded.

        """
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise TooLarge(self.span(self._here), f"this file has more than {MOST_NODES} nodes")
        if depth > MOST_DEPTH:
            raise TooLarge(
                self.span(self._here), f"this expression is nested more than {MOST_DEPTH} deep"
            )

    def number(self, token: Token) -> float:
        """Return the value of a number; too large a one is a `TooLarge`."""
        value = float(str(token).replace("_", ""))
        if value > _LARGEST:
            raise TooLarge(self.span(token), "this number is too large")
        return value

    def expr(self, node: Node, depth: int = 1) -> ast.Expr:
        """Build an expression."""
        if isinstance(node, Tree) and not node.meta.empty:
            self._here = node
        self.enter(depth)
        kids, span, kind = node.children, self.span(node), node.data
        operator = _BINARY.get(kind)
        if operator is not None:
            return self._binary(span, operator, kids[0], kids[1], depth)
        if kind == "path":
            return ast.Path(span, tuple(str(k) for k in kids))
        if kind == "number":
            return ast.Number(span, self.number(kids[0]))
        if kind == "quantity":
            return ast.Number(span, self.number(kids[0]), str(kids[1]))
        if kind == "percent":
            return ast.Number(span, self.number(kids[0]), "%")
        if kind == "compare":
            operator = str(kids[1])
            return self._binary(span, operator, kids[0], kids[2], depth)
        return self._other(span, kind, kids, depth)

    def _binary(self, span: Span, op: Any, left: Node, right: Node, depth: int) -> ast.Expr:
        return ast.Binary(span, op, self.expr(left, depth + 1), self.expr(right, depth + 1))

    def _other(self, span: Span, kind: str, kids: list[Node], depth: int) -> ast.Expr:
        deeper = depth + 1
        if kind == "yes" or kind == "no":
            return ast.Bool(span, kind == "yes")
        if kind == "not_":
            return ast.Unary(span, "not", self.expr(kids[0], deeper))
        if kind == "negate":
            return ast.Unary(span, "-", self.expr(kids[0], deeper))
        if kind == "call":
            args = tuple(self.expr(k, deeper) for k in kids[1:] if k is not None)
            return ast.Call(span, str(kids[0]), args)
        if kind == "among":
            options = tuple(self.expr(k, deeper) for k in kids[1].children)
            return ast.Among(span, self.expr(kids[0], deeper), options)
        assert kind == "cond", kind
        test, then, other = (self.expr(k, deeper) for k in kids)
        return ast.Cond(span, test, then, other)


_LARGEST = 1e30
