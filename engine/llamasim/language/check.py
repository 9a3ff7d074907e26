"""Checks rule files before anything runs: names, types, dimensions, strata, ranges."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.language.ast import Const, Function, Module, SourceDecl, Technique, Test
from llamasim.language.bind import ConstantEnv, type_problem
from llamasim.language.caps import MOST_BROUGHT, MOST_FINDINGS
from llamasim.language.check_members import TechniqueCheck
from llamasim.language.check_tests import check_test
from llamasim.language.evaluate import EvalError, Missing, evaluate
from llamasim.language.expanded import expansion_problem
from llamasim.language.infer import Infer
from llamasim.language.kinds import Kind, Known, number
from llamasim.language.load import Program
from llamasim.language.scope import (
    Declared,
    ModuleScope,
    axes_of,
    declare,
    element_names,
    keyword_name,
    kind_of_type,
    name_in,
)
from llamasim.language.types import TYPES
from llamasim.units import Quantity

EDITION = 2026


def check(program: Program) -> list[Diagnostic]:
    """Return what is wrong with the modules of a program, file by file."""
    found: list[Diagnostic] = []
    for name in sorted(program.modules):
        found += check_module(program.modules[name], program)
    return found


def check_module(
    module: Module, program: Program, said: Sequence[Diagnostic] = ()
) -> list[Diagnostic]:
    """Return what is wrong with one module; the program says what its imports declare.

    `said` is what was found when it was read: where statements were not understood, what they may
    have declared is not missed.
    """
    too_large = expansion_problem(module)
    if too_large is not None:
        return [too_large]
    diagnostics: list[Diagnostic] = []
    if module.edition != EDITION:
        diagnostics.append(_edition(module))
    scope = ModuleScope(module, axes_of(module, program), element_names(module, program))
    if scope.elements.crowded:
        return [_crowded(module)]
    _duplicates(module, diagnostics)
    for item in module.items:
        if len(diagnostics) >= MOST_FINDINGS:
            break
        if isinstance(item, Const):
            _constant(item, scope, diagnostics)
        elif isinstance(item, Function):
            _function(item, scope, diagnostics)
        elif isinstance(item, Technique):
            diagnostics += TechniqueCheck(scope, item, program).run()
        elif isinstance(item, Test):
            diagnostics += check_test(item, module, program)
    if any(i.module not in program.modules for i in module.imports):
        # What is not found may be what the missing module declares.
        diagnostics = [d for d in diagnostics if not _could_be_imported(d)]
    lost = {d.labels[0].span.line for d in said if d.is_error and d.code in _UNREAD}
    if lost:
        diagnostics = [d for d in diagnostics
                       if not _could_be_lost(d) and d.labels[0].span.line not in lost]
    return list(dict.fromkeys(diagnostics))[:MOST_FINDINGS]


def whole_scope(module: Module, program: Program) -> ModuleScope:
    """Return all that a module declares for its techniques, whatever is wrong with it."""
    scope = ModuleScope(module, axes_of(module, program), element_names(module, program))
    for item in module.items:
        if isinstance(item, Const):
            _constant(item, scope, [])
        elif isinstance(item, Function):
            _function(item, scope, [])
    return scope


def _could_be_imported(found: Diagnostic) -> bool:
    return found.code == "E0216" or (found.code == "E0207" and " axis" in found.message)


#: Findings behind which a statement, or the rest of one, is not understood.
_UNREAD = ("E0101", "E0104", "E0105", "E0106")
#: Findings that a declaration or a use that was not understood may explain.
_LOST = ("E0202", "E0211", "E0212", "E0221", "E0230", "E0233", "W0201", "W0203", "W0206")


def _could_be_lost(found: Diagnostic) -> bool:
    return found.code in _LOST or _could_be_imported(found)


def _edition(module: Module) -> Diagnostic:
    span = module.span
    at = Span(span.source, span.line, span.column, span.line, len(span.source.line(span.line)) + 1)
    return Diagnostic(
        "E0102", f"there is no edition {module.edition} of the rules language",
        (Label(at, "unknown edition"),), help=(f"write `edition {EDITION}`",))


def _crowded(module: Module) -> Diagnostic:
    return Diagnostic(
        "E0107", f"this file and its imports bring more than {MOST_BROUGHT} weights and ops",
        (Label(module.span, "here"),),
        why="each `bring` may stand beside what others bring, so a few can make very many",
        help=("narrow their patterns, as in `bring weight a on *.attn.q`",))


def _duplicates(module: Module, diagnostics: list[Diagnostic]) -> None:
    sources: dict[str, Declared] = {}
    others: dict[str, Declared] = {}
    for item in module.items:
        if isinstance(item, SourceDecl):
            declare(sources, item.name, "source", item.span, diagnostics)
        elif not isinstance(item, Test):
            what = {Const: "constant", Function: "function"}.get(type(item), "technique")
            declare(others, item.name, what, item.span, diagnostics)
            keyword_name(item.name, item.span, diagnostics)


def _constant(item: Const, scope: ModuleScope, diagnostics: list[Diagnostic]) -> None:
    infer = scope.infer()
    wanted = kind_of_type(item.type, item.span, diagnostics)
    kind = infer.infer(item.value)
    if kind.word is not None and wanted.name == "number":
        kind = infer.unknown_word(item.value.span, kind.word)
    if infer.reads:
        infer.report("E0202", "a constant reads nothing of the scenario",
                     [(infer.reads[0].span, "not constant")], help=("use `let` in a technique",))
    _fits(infer, item.name, item.value.span, kind, wanted)
    if not infer.diagnostics and wanted.name != "any":
        kind = _worked_out(item, scope, infer, kind)
    diagnostics += infer.diagnostics
    scope.names[item.name] = Known("constant", _joined(kind, wanted), item.span, item.value)


def _joined(kind: Kind, wanted: Kind) -> Kind:
    return kind if kind.name == wanted.name and kind.dimension == wanted.dimension else wanted


def _worked_out(item: Const, scope: ModuleScope, infer: Infer, kind: Kind) -> Kind:
    """Return the kind of a constant's own value; that it has none of its type is noted."""
    items = scope.module.items
    earlier = attrs.evolve(scope.module, items=items[: items.index(item)])
    try:
        value = evaluate(item.value, ConstantEnv(earlier, {}))
    except (EvalError, Missing) as error:
        return infer.report("E0214", f"`{item.name}` has no value: {error}",
                            [(error.span, "here")], help=("write a plain value",))
    problem = type_problem(value, TYPES[item.type])
    if problem is not None:
        return infer.report("E0214", f"`{item.name}` {problem}", [(item.value.span, item.type)],
                            help=("change the value or its type",))
    return number(value.dimension, value.value) if isinstance(value, Quantity) else kind


def _fits(infer: Infer, name: str, span: Span, kind: Kind, wanted: Kind) -> None:
    if "any" in (kind.name, wanted.name):
        return
    if kind.name != wanted.name or kind.dimension != wanted.dimension:
        infer.report("E0201", f"`{name}` is declared as {wanted.text}, and this is {kind.text}",
                     [(span, kind.text)], help=("change the type, or the unit of the value",))


def _function(item: Function, scope: ModuleScope, diagnostics: list[Diagnostic]) -> None:
    formals: dict[str, Known] = {}
    seen: dict[str, Declared] = {}
    for name, type_name in item.formals:
        declare(seen, name, "argument", name_in(item.span, name), diagnostics)
        kind = kind_of_type(type_name, item.span, diagnostics)
        formals[name] = Known("argument", kind, item.span)
    infer = scope.infer()
    infer.names = {**scope.names, **formals}
    wanted = kind_of_type(item.type, item.span, diagnostics)
    infer.later = frozenset((*scope.later(), item.name))
    result = infer.number(item.body) if wanted.name == "number" else infer.infer(item.body)
    if any(r.attribute.elements for r in infer.reads):
        read = next(r for r in infer.reads if r.attribute.elements)
        infer.report("E0202", f"a function does not read `{read.attribute.path}` by itself",
                     [(read.span, "of an element")],
                     help=("take it as an argument and pass it where the function is called",))
    _fits(infer, item.name, item.body.span, result, wanted)
    if infer.diagnostics:
        scope.faulty.add(item.name)
    diagnostics += infer.diagnostics
    scope.functions[item.name] = item
