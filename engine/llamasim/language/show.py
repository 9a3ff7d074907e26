"""Rule files as text, in one layout: two blanks of indent, one statement a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import attrs

from llamasim.diagnostics import Span
from llamasim.language import ast
from llamasim.language.show_expr import show_expr
from llamasim.language.show_parts import show_effect, show_head, show_range
from llamasim.language.wrap import WIDTH, wrapped

_INDENT = "  "


class Layout(Protocol):
    """What a text keeps beside its meaning: remarks and blank lines."""

    def before(self, span: Span) -> Iterable[str]:
        """Return remarks that stand before a statement, and blank lines as empty texts."""

    def behind(self, span: Span) -> str:
        """Return the remark behind the last line of a statement."""

    def opening(self, span: Span) -> str:
        """Return the remark behind the line that opens a block."""

    def closing(self, span: Span) -> Iterable[str]:
        """Return remarks between a block's last statement and its end."""

    def busy(self, span: Span) -> bool:
        """Whether a remark stands inside a statement."""

    def number(self, number: ast.Number) -> str | None:
        """Return how a number was written."""


@attrs.frozen
class Plain:
    """No remarks, and a blank line before each declaration with a body."""

    def before(self, span: Span) -> Iterable[str]:
        """Return nothing."""
        return ()

    def behind(self, span: Span) -> str:
        """Return nothing."""
        return ""

    def opening(self, span: Span) -> str:
        """Return nothing."""
        return ""

    def closing(self, span: Span) -> Iterable[str]:
        """Return nothing."""
        return ()

    def busy(self, span: Span) -> bool:
        """Return False."""
        return False

    def number(self, number: ast.Number) -> str | None:
        """Return None."""
        return None


def show(module: ast.Module, layout: Layout | None = None) -> str:
    """Return a module as text; parsing it gives an equal module."""
    printer = _Printer(layout or Plain())
    printer.module(module)
    return "\n".join(printer.lines).strip("\n") + "\n"


@attrs.define
class _Printer:
    """Writes statements, each with its remarks and descriptions, into lines."""

    layout: Layout
    lines: list[str] = attrs.field(factory=list)

    def expr(self, expr: ast.Expr) -> str:
        return show_expr(expr, self.layout.number)

    def module(self, module: ast.Module) -> None:
        source = module.span.source
        start = Span(source, module.span.line, 1, module.span.line, 1)
        self.lines += self.layout.before(start)
        self.lines.append(f"edition {module.edition}{self.layout.opening(module.span)}")
        self.lines.append(f"module {module.name}")
        for position, imported in enumerate(module.imports):
            if not position:
                self._blank()
            alias = f" as {imported.alias}" if imported.alias else ""
            self._statement(imported.span, "", "", f"import {imported.module}{alias}")
        before: ast.Item | None = None
        for item in module.items:
            if before is None or not _together(before, item):
                self._blank()
            self._item(item)
            before = item
        self.lines += self.layout.closing(module.span)

    def _blank(self) -> None:
        if self.lines and self.lines[-1]:
            self.lines.append("")

    def _statement(self, span: Span, indent: str, doc: str, text: str) -> None:
        self._lead(span, indent, doc)
        self.lines += wrapped(text, indent)
        self.lines[-1] += self.layout.behind(span)

    def _lead(self, span: Span, indent: str, doc: str) -> None:
        for line in self.layout.before(span):
            if line:
                self.lines.append(indent + line)
            elif not self.lines[-1].endswith("{"):
                self._blank()
        if doc:
            self.lines += [f"{indent}/// {line}".rstrip() for line in doc.split("\n")]

    def _block(
        self, span: Span, indent: str, doc: str, head: str, body: Sequence[Callable[[str], None]]
    ) -> None:
        self._lead(span, indent, doc)
        self.lines += wrapped(f"{head} {{", indent)
        self.lines[-1] += self.layout.opening(span)
        for write in body:
            write(indent + _INDENT)
        for line in self.layout.closing(span):
            if line:
                self.lines.append(indent + _INDENT + line)
        self.lines.append(f"{indent}}}{self.layout.behind(span)}")

    def _item(self, item: ast.Item) -> None:
        if isinstance(item, ast.Technique):
            body = [self._writer(m) for m in item.members]
            self._block(item.span, "", item.doc, f"technique {item.name}", body)
        elif isinstance(item, ast.Test):
            self._test(item)
        else:
            self._statement(item.span, "", item.doc, show_head(item, self.expr))

    def _writer(self, member: ast.Member) -> Callable[[str], None]:
        return lambda indent: self._member(member, indent)

    def _member(self, member: ast.Member, indent: str) -> None:
        head = show_head(member, self.expr)
        if isinstance(member, ast.Bring) and len(indent + head) > WIDTH and member.fields:
            self._bring(member, indent, head)
            return
        if not isinstance(member, ast.Rule):
            self._statement(member.span, indent, member.doc, head)
            return
        effects = [show_effect(e, self.expr) for e in member.effects]
        inline = f"{head} {{ {effects[0]} }}" if effects else f"{head} {{ }}"
        fits = len(effects) < 2 and not self.layout.busy(member.span)
        if fits and (not effects or len(indent + inline) <= WIDTH):
            self._statement(member.span, indent, member.doc, inline)
            return
        body = [self._line(e.span, t) for e, t in zip(member.effects, effects, strict=True)]
        self._block(member.span, indent, member.doc, head, body)

    def _bring(self, member: ast.Bring, indent: str, text: str) -> None:
        """Write a long `bring` with its fields on lines of their own."""
        head, _, fields = text.rpartition(" { ")
        self._lead(member.span, indent, member.doc)
        self.lines += wrapped(f"{head} {{", indent)
        self.lines += wrapped(fields.removesuffix(" }"), indent + _INDENT, "")
        self.lines.append(f"{indent}}}{self.layout.behind(member.span)}")

    def _line(self, span: Span, text: str) -> Callable[[str], None]:
        return lambda indent: self._statement(span, indent, "", text)

    def _test(self, test: ast.Test) -> None:
        body = [self._line(g.span, _given(g, self.expr)) for g in test.givens]
        body += [self._line(e.span, _expect(e, self.expr)) for e in test.expects]
        self._block(test.span, "", test.doc, f'test "{test.title}"', body)


def _together(before: ast.Item, item: ast.Item) -> bool:
    """Whether two declarations may follow each other without a blank line."""
    short = (ast.SourceDecl, ast.Const)
    return isinstance(before, short) and type(before) is type(item)


def _given(given: ast.Given, expr: Callable[[ast.Expr], str]) -> str:
    target = f" {given.target}" if given.target else ""
    args = ", ".join(f"{a.name}: {expr(a.value)}" for a in given.args)
    return f"given {given.what}{target}" + (f"({args})" if args else "")


def _expect(expect: ast.Expect, expr: Callable[[ast.Expr], str]) -> str:
    text = f"expect {expr(expect.value)}"
    if expect.low is None or expect.high is None:
        return text
    return f"{text} within {show_range(expect.low, expect.high, expr)}"



