"""Short ways to parse pieces of the language in tests."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Source
from llamasim.language import Program, Value, check, evaluate, parse
from llamasim.language.ast import Const, Expr, Function, Member, Module

HEAD = "edition 2026\nmodule m\n"


def module_of(text: str) -> Module:
    """Parse a file that must be right."""
    module, found = parse(Source("m.rules", text))
    assert not found, [d.message for d in found]
    assert module is not None
    return module


def expr_of(text: str) -> Expr:
    """Parse an expression."""
    item = module_of(f"{HEAD}const x: Real = {text}\n").items[0]
    assert isinstance(item, Const)
    return item.value


def members_of(text: str) -> tuple[Member, ...]:
    """Parse members of a technique."""
    technique = module_of(f"{HEAD}technique t {{\n{text}\n}}\n").technique("t")
    assert technique is not None
    return technique.members


def found_in(text: str) -> list[Diagnostic]:
    """Return what is wrong with a file."""
    module, found = parse(Source("m.rules", text))
    return found + (check(Program({module.name: module})) if module else [])


def codes(members: str, before: str = "") -> list[str]:
    """Return the codes of what is wrong with members of a technique."""
    return [d.code for d in found_in(f"{HEAD}{before}\ntechnique t {{\n{members}\n}}\n")]


@attrs.frozen
class Names:
    """An environment of plain names."""

    values: Mapping[str, Value] = attrs.field(factory=dict)
    functions: Mapping[str, Function] = attrs.field(factory=dict)
    calls: Mapping[str, Value] = attrs.field(factory=dict)

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        return self.values.get(".".join(path))

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        return self.calls.get(name)

    def function(self, name: str) -> Function | None:
        return self.functions.get(name)


def value_of(text: str, **names: Value) -> Value:
    """Evaluate an expression."""
    return evaluate(expr_of(text), Names(names))
