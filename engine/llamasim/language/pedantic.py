"""Advice about rule files that are right: what readers, reviewers and checks could use more of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.language.ast import (
    Advise,
    Axis,
    Binary,
    Bring,
    Call,
    Claim,
    Const,
    Function,
    Glob,
    Import,
    Module,
    Number,
    Param,
    Path,
    Requires,
    SourceDecl,
    Technique,
    Test,
)
from llamasim.language.bind import name_span
from llamasim.language.check import whole_scope
from llamasim.language.check_members import TechniqueCheck
from llamasim.language.infer import Infer
from llamasim.language.load import Program, spoken_of
from llamasim.language.scope import axes_of
from llamasim.language.truth import truth_of
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import BUILTIN_AXES

_BINARY = ("KiB", "MiB", "GiB", "TiB", "PiB")
_DECIMAL = ("kB", "MB", "GB", "TB", "PB")
_MEMORY = ("cluster.memory", "cluster.host.memory", "cluster.device.memory")


def pedantic(module: Module, program: Program) -> list[Diagnostic]:
    """Return advice about a module that has no error."""
    found = [*_unused(module, program), *_mixed(module)]
    scope = whole_scope(module, program)
    tested = {
        module.full_name(g.target) for i in module.items if isinstance(i, Test)
        for g in i.givens if g.what == "use" and g.target
    }
    for item in module.items:
        if isinstance(item, Technique):
            if f"{module.name}.{item.name}" not in tested:
                found.append(_advice(
                    "W0210", f"no test uses `{item.name}`", name_span(item.span, item.name),
                    'add `test "..." { given use ' + item.name + "  expect ... within ... }`"))
            known = TechniqueCheck(scope, item, program)
            known.run()
            found += _technique(item, known.infer())
    return sorted(found, key=lambda d: (d.labels[0].span.line, d.labels[0].span.column))


def _advice(code: str, message: str, at: Span, way: str, why: str = "") -> Diagnostic:
    return Diagnostic(code, message, (Label(at),), severity="warning", why=why, help=(way,))


def _technique(item: Technique, infer: Infer) -> Iterator[Diagnostic]:
    at = name_span(item.span, item.name)
    if not any(isinstance(m, Claim) for m in item.members):
        yield _advice(
            "W0211", f"`{item.name}` claims nothing about accuracy", at,
            "add `claim loss_delta: 0..0 from SOURCE`, or what a source measured",
            why="reports say of it that there is no evidence")
    if not item.doc:
        yield _advice("W0212", f"`{item.name}` has no description", at,
                      "say in a line of `///` above it what it does")
    for member in item.members:
        if isinstance(member, Param):
            yield from _param(member)
        elif isinstance(member, Claim):
            yield from _claim(member)
        elif isinstance(member, Advise | Requires):
            yield from _condition(member, infer)


def _param(param: Param) -> Iterator[Diagnostic]:
    at = name_span(param.span, param.name)
    if not param.doc:
        yield _advice("W0212", f"the parameter `{param.name}` has no description", at,
                      "say in a line of `///` above it what it is, with its unit")
    kind = TYPES.get(param.type)
    if param.domain is None and kind is not None and kind.kind == "number":
        yield _advice("W0216", f"nothing bounds `{param.name}`", at,
                      f"write `param {param.name}: {param.type} in LOW..HIGH`",
                      why="a wrong unit or a slip of the pen goes unnoticed")


def _claim(claim: Claim) -> Iterator[Diagnostic]:
    exact = all(isinstance(e, Number) and e.value == 0 for e in (claim.low, claim.high))
    if claim.scope is None and not exact:
        yield _advice(
            "W0214", f"this claim does not say what `{claim.metric}` was measured on",
            name_span(claim.span, claim.metric), 'add `for "wikitext2"` or so behind its range',
            why="a figure is worth little without its data set")


def _condition(member: Advise | Requires, infer: Infer) -> Iterator[Diagnostic]:
    holds = truth_of(member.test, infer.look)
    if holds is None:
        return
    word = "advise" if isinstance(member, Advise) else "requires"
    told = "says nothing" if holds else "always speaks"
    yield _advice("W0217", f"this `{word}` {told}: its condition is always "
                  f"{'true' if holds else 'false'}", member.test.span,
                  "remove it, or compare something that can be otherwise")


# What nothing uses.


def _unused(module: Module, program: Program) -> Iterator[Diagnostic]:
    paths, calls, globs = set[str](), set[str](), set[str]()
    for node in _nodes(module):
        if isinstance(node, Path):
            paths.add(node.text)
        elif isinstance(node, Call):
            calls.add(node.name)
        elif isinstance(node, Glob):
            globs |= set(node.text.split("."))
    sources = {s for i in module.items if isinstance(i, Technique) for m in i.members
               if isinstance(m, Claim) for s in m.sources}
    for item in module.items:
        used: Iterable[str]
        if isinstance(item, SourceDecl):
            noun, used = "source", sources
        elif isinstance(item, Const):
            noun, used = "constant", paths
        elif isinstance(item, Function):
            noun, used = "function", calls
        else:
            continue
        if item.name not in used and not (noun == "source" and _spoken_of(item.name, module)):
            yield _advice("W0213", f"the {noun} `{item.name}` is not used",
                          name_span(item.span, item.name),
                          "name it in a claim or a remark, or remove it" if noun == "source" else
                          "use it, or remove it")
    for imported in module.imports:
        if not _used(imported, module, program, paths | _axes_named(module), globs):
            yield _advice("W0213", f"nothing of `{imported.module}` is used here", imported.span,
                          "remove the import")


def _spoken_of(source: str, module: Module) -> bool:
    """Whether a remark or a description names a source: then it says where something is from."""
    return len(re.findall(rf"\b{re.escape(source)}\b", module.span.source.text)) > 1


def _used(
    imported: Import, module: Module, program: Program, names: set[str], globs: set[str]
) -> bool:
    other = program.modules.get(imported.module)
    if other is None:
        return True
    if any(module.full_name(n).startswith(f"{imported.module}.") for n, _ in spoken_of(module)):
        return True
    if (set(axes_of(other, program)) - set(BUILTIN_AXES)) & names:
        return True
    brought = {m.name for i in other.items if isinstance(i, Technique) for m in i.members
               if isinstance(m, Bring)}
    return bool(brought & globs)


def _axes_named(module: Module) -> set[str]:
    """Return every axis that effects and axes name."""
    found = {str(getattr(n, "axis", "")) for n in _nodes(module)}
    return found | {n.inside for n in _nodes(module) if isinstance(n, Axis) and n.inside}


def _nodes(thing: Any) -> Iterator[Any]:
    """Yield every node of a tree."""
    if isinstance(thing, tuple):
        for part in thing:
            yield from _nodes(part)
    elif attrs.has(type(thing)) and not isinstance(thing, Span):
        yield thing
        for field in attrs.fields(type(thing)):
            yield from _nodes(getattr(thing, field.name))


# Prefixes.


def _mixed(module: Module) -> Iterator[Diagnostic]:
    """Find sums and comparisons of decimal amounts with binary ones."""
    for node in _nodes(module):
        if not isinstance(node, Binary) or node.op in ("*", "/", "^", "and", "or", "divides"):
            continue
        sides = [list(_nodes(s)) for s in (node.left, node.right)]
        for here, there in (sides, sides[::-1]):
            decimal = next((n for n in here if isinstance(n, Number) and n.unit in _DECIMAL), None)
            binary = next((n for n in there if _is_binary(n)), None)
            if decimal is not None and binary is not None and decimal.unit is not None:
                yield _mix(decimal, decimal.unit, binary)


def _is_binary(node: Any) -> bool:
    if isinstance(node, Number):
        return node.unit in _BINARY
    return isinstance(node, Path) and node.text in _MEMORY


def _mix(decimal: Number, unit: str, binary: Number | Path) -> Diagnostic:
    other = _BINARY[_DECIMAL.index(unit)]
    less = 100 * (1 - 1000.0 ** (_DECIMAL.index(unit) + 1) / 1024.0 ** (_DECIMAL.index(unit) + 1))
    return Diagnostic(
        "W0215", f"{unit} meets {binary.span.text}",
        (Label(decimal.span, "decimal"), Label(binary.span, "binary", primary=False)),
        severity="warning", why=f"a {unit} is {less:.1f} % less than a {other}",
        help=(f"write it in {other} if that is what is meant",))
