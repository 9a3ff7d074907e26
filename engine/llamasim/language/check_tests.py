"""Checks the tests of rule files; names of the catalog are another room's."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from llamasim.diagnostics import Diagnostic, Label, nearest
from llamasim.language.ast import Arg, Expr, Function, Given, Module, Param, Test
from llamasim.language.bind import Given as Plain
from llamasim.language.bind import bind
from llamasim.language.evaluate import EvalError, Missing, evaluate
from llamasim.language.infer import Infer
from llamasim.language.load import Program
from llamasim.language.missing import no_such_technique
from llamasim.language.scope import name_in
from llamasim.language.values import Symbol, Value, show_value
from llamasim.units import NONE, TOKEN, Dimension, Quantity

GIVENS = ("model", "cluster", "workload", "use")
_NOUNS = {"model": "model", "cluster": "cluster", "use": "technique"}
WORKLOADS = ("training", "inference", "serving")
#: What a test may say of its workload, with the dimension; None is a word.
WORKLOAD_ARGS: Mapping[str, Dimension | None] = MappingProxyType(
    {
        "dtype": None,
        "optimizer": None,
        "sequence": TOKEN,
        "prompt": TOKEN,
        "output": TOKEN,
        "shared_prefix": TOKEN,
        "prefixes": NONE,
        "variants": NONE,
        "batch": NONE,
        "micro_batch": NONE,
        "global_batch": NONE,
    }
)


def check_test(test: Test, module: Module, program: Program) -> list[Diagnostic]:
    """Return what is wrong with one test."""
    found: list[Diagnostic] = []
    for given in test.givens:
        if given.what not in GIVENS:
            guess = nearest(given.what, GIVENS)
            found.append(Diagnostic(
                "E0207", f"a test is not given `{given.what}`", (Label(given.span),),
                help=(f"did you mean `{guess}`?" if guess else f"write {', '.join(GIVENS)}",)))
        elif given.target is None and given.what != "workload":
            found.append(Diagnostic(
                "E0207", f"this does not say which {_NOUNS[given.what]}", (Label(given.span),),
                help=(f"write `given {given.what} NAME`",)))
        elif given.what == "use":
            found += _use(given, module, program)
        elif given.what == "workload":
            found += _workload(given)
        elif given.args:
            found.append(_no_arguments(given))
    found += _twice(test)
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
        elif kinds[1].certain and kinds[2].certain and kinds[1].low > kinds[2].high:
            infer.report("E0214", "this range is empty: its low end is above its high end",
                         [(expect.low.span, "low"), (expect.high.span, "high")],
                         help=("swap the ends",))
    if not test.expects:
        found.append(Diagnostic("W0206", "this test expects nothing", (Label(test.span),),
                                severity="warning", help=("add `expect ... within LOW..HIGH`",)))
    return found + infer.diagnostics


def _twice(test: Test) -> list[Diagnostic]:
    """Return the finding that a test is given two models, clusters or workloads."""
    first: dict[str, Given] = {}
    found = []
    for given in test.givens:
        if given.what == "use" or given.what not in GIVENS:
            continue
        before = first.setdefault(given.what, given)
        if before is not given:
            found.append(Diagnostic(
                "E0204", f"this test is already given a {given.what}",
                (Label(given.span, "again"), Label(before.span, "first", primary=False)),
                help=("write a test of its own for each",)))
    return found


def _no_arguments(given: Given) -> Diagnostic:
    return Diagnostic(
        "E0230", f"a {given.what} takes no parameters",
        (Label(given.args[0].span, "not a parameter"),),
        help=(f"name another {given.what}, or say it of the workload",))


class _Words:
    """Names in a test's arguments: every bare word is a symbol."""

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        return Symbol(path[0]) if len(path) == 1 else None

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        return None

    def function(self, name: str) -> Function | None:
        return None


def _plain(arg: Arg) -> tuple[Plain | None, Diagnostic | None]:
    try:
        value = evaluate(arg.value, _Words())
    except (EvalError, Missing) as error:
        return None, Diagnostic("E0214", f"`{arg.name}` has no value: {error}",
                                (Label(error.span, "here"),), help=("write a plain value",))
    return (value.name if isinstance(value, Symbol) else value), None


def _use(given: Given, module: Module, program: Program) -> list[Diagnostic]:
    name = given.target or ""
    problem = no_such_technique(name, given.span, module, program)
    if problem is not None:
        return [problem]
    owner_name, _, last = module.full_name(name).rpartition(".")
    owner = module if owner_name == module.name else program.known(owner_name)
    technique = owner.technique(last) if owner else None
    if owner is None or technique is None:
        return []
    found: list[Diagnostic] = []
    args: dict[str, Plain] = {}
    for arg in given.args:
        value, problem = _plain(arg)
        if problem is not None:
            found.append(problem)
        if value is not None:
            args[arg.name] = value
    if found:
        return found
    params = {m.name for m in technique.members if isinstance(m, Param)}
    spans = {a.name: a.value.span if a.name in params else name_in(a.span, a.name)
             for a in given.args}
    return bind(owner, technique, args, spans, given.span)[1]


def _workload(given: Given) -> list[Diagnostic]:
    found: list[Diagnostic] = []
    if given.target is not None and given.target not in WORKLOADS:
        guess = nearest(given.target, WORKLOADS)
        found.append(Diagnostic(
            "E0207", f"there is no workload `{given.target}`",
            (Label(name_in(given.span, given.target), "not a workload"),),
            help=(f"did you mean `{guess}`?" if guess else f"write {', '.join(WORKLOADS)}",)))
    for arg in given.args:
        if arg.name not in WORKLOAD_ARGS:
            guess = nearest(arg.name, WORKLOAD_ARGS)
            found.append(Diagnostic(
                "E0230", f"a test's workload has no `{arg.name}`",
                (Label(name_in(arg.span, arg.name), "not a parameter"),),
                help=(f"did you mean `{guess}`?" if guess else
                      f"its parameters are {', '.join(WORKLOAD_ARGS)}",)))
            continue
        value, problem = _plain(arg)
        wanted = WORKLOAD_ARGS[arg.name]
        if problem is None and value is not None:
            problem = _wrong(arg, value, wanted)
        if problem is not None:
            found.append(problem)
    return found


def _wrong(arg: Arg, value: Plain, wanted: Dimension | None) -> Diagnostic | None:
    """Return what is wrong with what a test says of its workload; tokens may be plain numbers."""
    if wanted is None:
        fits, example = isinstance(value, str), "bf16" if arg.name == "dtype" else "adamw"
    else:
        fits = isinstance(value, Quantity) and value.dimension in (wanted, NONE) and (
            value.value >= 1 and value.value == int(value.value))
        example = "4096 tok" if wanted == TOKEN else "8"
    if fits:
        return None
    shown = value if isinstance(value, str) else show_value(value)
    return Diagnostic("E0231", f"`{arg.name}` is {shown}", (Label(arg.value.span, "not fitting"),),
                      help=(f"write for example `{arg.name}: {example}`",))
