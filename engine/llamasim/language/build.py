"""From Lark's trees to the typed syntax tree, written out so that mypy sees every field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lark import Token, Tree

from llamasim.diagnostics import Source, Span
from llamasim.language import ast
from llamasim.language.build_expr import ExprBuilder, TooLarge

__all__ = ["Builder", "TooLarge"]

#: A node of Lark: a tree, a token, or None where an optional part is absent.
Node = Any


class Builder(ExprBuilder):
    """Builds one module; counts its nodes and their depth."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._members: Mapping[str, Callable[[Node, str], Any]] = {
            "param": self._param,
            "let": self._let,
            "axis": self._axis,
            "extra_model": self._extra_model,
            "bring": self._bring,
            "requires": self._requires,
            "advise": self._advise,
            "conflicts": self._conflicts,
            "refines": self._refines,
            "claim": self._claim,
            "rule": self._rule,
            "source": self._source,
            "constant": self._constant,
            "function": self._function,
            "technique": self._technique,
            "test": self._test,
        }
        self._effects: Mapping[str, Callable[[Node, Span], ast.Effect]] = {
            "set": lambda n, s: self._write("set", n[0], n[1], s),
            "scale": lambda n, s: self._write("scale", n[0], n[1], s),
            "add": lambda n, s: self._write("add", n[1], n[0], s),
            "cap": lambda n, s: self._write("cap", n[0], n[1], s),
            "raise_": lambda n, s: self._write("raise", n[0], n[1], s),
            "shard": lambda n, s: ast.Shard(s, str(n[0]), str(n[1])),
            "reduce": lambda n, s: ast.Reduce(s, str(n[0])),
            "gather": lambda n, s: ast.Gather(s, str(n[0]), _text(n[1])),
            "exchange": lambda n, s: ast.Exchange(s, self.expr(n[0]), str(n[1])),
            "send": lambda n, s: ast.Send(s, str(n[0])),
            "rotate": lambda n, s: ast.Rotate(s, str(n[0])),
            "place": lambda n, s: ast.Place(s, str(n[1]), self._maybe(n[0])),
            "drop": lambda n, s: ast.Drop(s),
            "keep": lambda n, s: ast.Keep(s),
            "fuse": lambda n, s: ast.Fuse(s, str(n[0])),
            "run": lambda n, s: ast.Run(s, str(n[0]), self.expr(n[1])),
            "overlap": lambda n, s: ast.Overlap(s, str(n[0]), str(n[1]), self._maybe(n[2])),
        }

    def module(self, tree: Tree[Token]) -> ast.Module:
        """Return the module of a whole file.

        Raises:
            TooLarge: more nodes, or deeper ones, than the caps allow.

        """
        kids: list[Node] = tree.children
        imports = tuple(self._import(k) for k in kids[2:] if k.data == "import_")
        items = tuple(self._documented(k) for k in kids[2:] if k.data == "item")
        edition = int(self.number(kids[0].children[0]))
        name = dotted(kids[1].children[0])
        return ast.Module(self.span(tree), edition, name, imports, items)

    def _import(self, tree: Node) -> ast.Import:
        module, alias = tree.children
        return ast.Import(self.span(tree), dotted(module), _text(alias))

    def _documented(self, tree: Node) -> Any:
        """Build an item or a member, given as its doc lines and itself."""
        doc, thing = tree.children
        self._here = thing
        self.enter(0)
        return self._members[thing.data](thing, _doc(doc))

    # Declarations.

    def _source(self, tree: Node, doc: str) -> ast.SourceDecl:
        name, text = tree.children
        return ast.SourceDecl(self.span(tree), str(name), unquote(text), doc)

    def _constant(self, tree: Node, doc: str) -> ast.Const:
        name, kind, value = tree.children
        return ast.Const(self.span(tree), str(name), str(kind), self.expr(value), doc)

    def _function(self, tree: Node, doc: str) -> ast.Function:
        name, *formals, kind, body = tree.children
        pairs = tuple((str(f.children[0]), str(f.children[1])) for f in formals if f is not None)
        return ast.Function(self.span(tree), str(name), pairs, str(kind), self.expr(body), doc)

    def _technique(self, tree: Node, doc: str) -> ast.Technique:
        name, *members = tree.children
        built = tuple(self._documented(m) for m in members)
        return ast.Technique(self.span(tree), str(name), built, doc)

    # Members.

    def _param(self, tree: Node, doc: str) -> ast.Param:
        name, kind, domain, default = tree.children
        span = self.span(tree)
        return ast.Param(
            span, str(name), str(kind), self._domain(domain), self._maybe(default), doc
        )

    def _domain(self, tree: Node) -> ast.Domain | None:
        if tree is None:
            return None
        parts = tuple(self.expr(k) for k in tree.children)
        if tree.data == "range":
            return ast.RangeDomain(self.span(tree), parts[0], parts[1])
        return ast.SetDomain(self.span(tree), parts)

    def _let(self, tree: Node, doc: str) -> ast.Let:
        name, value = tree.children
        return ast.Let(self.span(tree), str(name), self.expr(value), doc)

    def _axis(self, tree: Node, doc: str) -> ast.Axis:
        name, size, inside = tree.children
        return ast.Axis(self.span(tree), str(name), self.expr(size), _text(inside), doc)

    def _extra_model(self, tree: Node, doc: str) -> ast.ExtraModel:
        name, value = tree.children
        return ast.ExtraModel(self.span(tree), str(name), self.expr(value), doc)

    def _bring(self, tree: Node, doc: str) -> ast.Bring:
        what, name, where, pattern, *fields = tree.children
        built = tuple(
            ast.BringField(self.span(f), str(f.children[0]), self.expr(f.children[1]))
            for f in fields if f is not None
        )
        # The checker reports a `what` that is neither.
        kind: Any = str(what)
        after = where.data == "bring_after"
        return ast.Bring(self.span(tree), kind, str(name), self._globs(pattern), built, doc, after)

    def _requires(self, tree: Node, doc: str) -> ast.Requires:
        test, message = tree.children
        return ast.Requires(self.span(tree), self.expr(test), unquote_maybe(message), doc)

    def _advise(self, tree: Node, doc: str) -> ast.Advise:
        test, message = tree.children
        return ast.Advise(self.span(tree), self.expr(test), unquote(message), doc)

    def _conflicts(self, tree: Node, doc: str) -> ast.Conflicts:
        other, because = tree.children
        return ast.Conflicts(self.span(tree), dotted(other), unquote_maybe(because), doc)

    def _refines(self, tree: Node, doc: str) -> ast.Refines:
        other, because = tree.children
        return ast.Refines(self.span(tree), dotted(other), unquote_maybe(because), doc)

    def _claim(self, tree: Node, doc: str) -> ast.Claim:
        metric, band, scope, when, sources, note = tree.children
        low, high = (self.expr(k) for k in band.children)
        return ast.Claim(
            self.span(tree), str(metric), low, high, unquote_maybe(scope), self._maybe(when),
            _names(sources), unquote_maybe(note), doc,
        )

    def _rule(self, tree: Node, doc: str) -> ast.Rule:
        element, of, excepts, tokens, phases, where, *effects = tree.children
        span = None if tokens is None else tuple(self.expr(k) for k in tokens.children)
        return ast.Rule(
            self.span(tree), str(element), self._globs(of), self._globs(excepts), _names(phases),
            self._maybe(where), tuple(self._effect(e) for e in effects), doc,
            None if span is None else (span[0], span[1]),
        )

    def _globs(self, tree: Node) -> tuple[ast.Glob, ...]:
        if tree is None:
            return ()
        return tuple(self.glob(k) for k in tree.children)

    def glob(self, tree: Node) -> ast.Glob:
        """Build one pattern."""
        self._here = tree
        self.enter(0)
        return ast.Glob(self.span(tree), str(tree.children[0]))

    # Effects.

    def _effect(self, tree: Node) -> ast.Effect:
        self._here = tree
        self.enter(0)
        return self._effects[tree.data](tree.children, self.span(tree))

    def _write(self, verb: Any, cell: Node, value: Node, span: Span) -> ast.Write:
        return ast.Write(span, verb, dotted(cell), self.expr(value))

    def _maybe(self, node: Node) -> ast.Expr | None:
        return None if node is None else self.expr(node)

    # Tests.

    def _test(self, tree: Node, doc: str) -> ast.Test:
        title, *lines = tree.children
        givens = tuple(
            self._given(g) for k in lines if k.data == "given_line" for g in k.children
        )
        expects = tuple(self._expect(k) for k in lines if k.data == "expect")
        return ast.Test(self.span(tree), unquote(title), givens, expects, doc)

    def _given(self, tree: Node) -> ast.Given:
        what, target, *args = tree.children
        built = tuple(
            ast.Arg(self.span(a), str(a.children[0]), self.expr(a.children[1]))
            for a in args if a is not None
        )
        name = None if target is None else dotted(target)
        return ast.Given(self.span(tree), str(what), name, built)

    def _expect(self, tree: Node) -> ast.Expect:
        value, band = tree.children
        low, high = (None, None) if band is None else (self.expr(k) for k in band.children)
        return ast.Expect(self.span(tree), self.expr(value), low, high)


def dotted(tree: Node) -> str:
    """Return a `path` of the grammar as text."""
    return ".".join(tree.children)


def unquote(token: Token) -> str:
    """Return a string without its quotes."""
    return str(token)[1:-1]


def unquote_maybe(token: Token | None) -> str | None:
    """Return a string without its quotes, where there is one."""
    return None if token is None else unquote(token)


def _text(token: Token | None) -> str | None:
    return None if token is None else str(token)


def _names(tree: Node) -> tuple[str, ...]:
    return () if tree is None else tuple(str(k) for k in tree.children)


def _doc(tree: Node) -> str:
    return "\n".join(str(line)[3:].removeprefix(" ").rstrip() for line in tree.children)


