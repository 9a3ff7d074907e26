"""Checks the tests of rule files."""

from __future__ import annotations

from llamasim.diagnostics import Diagnostic, Label, nearest
from llamasim.language.ast import Given, Module, Param, Test
from llamasim.language.infer import Infer
from llamasim.language.load import Program
from llamasim.language.missing import no_such_technique
from llamasim.language.scope import name_in

GIVENS = ("model", "cluster", "workload", "use")


def check_test(test: Test, module: Module, program: Program) -> list[Diagnostic]:
    """Return what is wrong with one test."""
    found: list[Diagnostic] = []
    for given in test.givens:
        if given.what not in GIVENS:
            guess = nearest(given.what, GIVENS)
            found.append(Diagnostic(
                "E0207", f"a test is not given `{given.what}`", (Label(given.span),),
                help=(f"did you mean `{guess}`?" if guess else f"write {', '.join(GIVENS)}",)))
        elif given.what == "use":
            found += _use(given, module, program)
    infer = Infer(lenient=True)
    for expect in test.expects:
        if expect.low is None or expect.high is None:
            infer.truth(expect.value)
            continue
        kinds = [infer.number(e) for e in (expect.value, expect.low, expect.high)]
        if kinds[1].dimension != kinds[2].dimension:
            infer.report("E0201", f"the ends are {kinds[1].text} and {kinds[2].text}",
                         [(expect.low.span, kinds[1].text), (expect.high.span, kinds[2].text)],
                         help=("give both ends one unit",))
    if not test.expects:
        found.append(Diagnostic("W0206", "this test expects nothing", (Label(test.span),),
                                severity="warning", help=("add `expect ... within LOW..HIGH`",)))
    return found + infer.diagnostics


def _use(given: Given, module: Module, program: Program) -> list[Diagnostic]:
    name = given.target or ""
    problem = no_such_technique(name, given.span, module, program)
    if problem is not None:
        return [problem]
    found = module.technique(name) if "." not in name else None
    if found is None:
        return []
    params = [m.name for m in found.members if isinstance(m, Param)]
    diagnostics = []
    for arg in given.args:
        if arg.name not in params:
            guess = nearest(arg.name, params)
            diagnostics.append(Diagnostic(
                "E0230", f"`{name}` has no parameter `{arg.name}`",
                (Label(name_in(arg.span, arg.name), "not a parameter"),),
                help=(f"did you mean `{guess}`?" if guess else
                      f"its parameters are {', '.join(params) or 'none'}",)))
    return diagnostics
