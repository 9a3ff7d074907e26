"""Kinds of calls: the language's functions, the engine's, and those of a rule file."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim.diagnostics import nearest
from llamasim.language import ranges
from llamasim.language.ast import Call, Function, Path
from llamasim.language.calls import ASKED, PROVIDED, SCALARS
from llamasim.language.cells import Stratum
from llamasim.language.infer import Infer
from llamasim.language.infer_arithmetic import not_zero, positive
from llamasim.language.kinds import ANY, Kind, Known, Read, number, ranged
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import Attribute
from llamasim.units import NONE, TOKEN

_AXIS_SIZE = Attribute("axis_size", "Members of a mesh axis.", stratum=Stratum.LAYOUT, low=1.0)


def infer_call(infer: Infer, expr: Call) -> Kind:
    """Return what a call gives."""
    if expr.name in SCALARS:
        return _scalar(infer, expr)
    if expr.name == "axis_size":
        return _axis_size(infer, expr)
    if expr.name in PROVIDED:
        return _provided(infer, expr)
    if expr.name in ASKED and infer.lenient:
        return _asked(infer, expr)
    function = infer.functions.get(expr.name)
    if function is None:
        return _unknown(infer, expr)
    if not _arity(infer, expr, len(function.formals)):
        return ANY
    formals: dict[str, Known] = {}
    for arg, (name, type_name) in zip(expr.args, function.formals, strict=True):
        wanted = TYPES.get(type_name)
        kind = infer.number(arg) if wanted and wanted.kind == "number" else infer.infer(arg)
        if wanted and kind.name == "number" and kind.dimension != wanted.dimension:
            kind = infer.report(
                "E0201", f"`{expr.name}` takes {wanted.name} here, not {kind.text}",
                [(arg.span, kind.text), (function.span, "declared here")],
                help=(f"give for example {wanted.example}",))
        formals[name] = Known("argument", kind, arg.span)
    return _applied(infer, expr, function, formals)


def _applied(
    infer: Infer, expr: Call, function: Function, formals: Mapping[str, Known]
) -> Kind:
    """Return what a function gives for what it is given here."""
    result = TYPES.get(function.type)
    if result is None:
        return ANY
    declared = number(result.dimension) if result.kind == "number" else Kind(result.kind)
    if function.name in infer.faulty or any(k.kind.name == "any" for k in formals.values()):
        return declared
    constants = {n: k for n, k in infer.names.items() if k.what == "constant"}
    inner = Infer({**constants, **formals}, infer.functions, infer.later, infer.axes,
                  faulty=infer.faulty)
    kind = inner.infer(function.body)
    problem = next((d for d in inner.diagnostics if d.code == "E0210"), None)
    if problem is not None:
        within = ", ".join(f"{n} in {k.kind.range_text}" for n, k in formals.items()
                           if k.kind.name == "number")
        return infer.report(
            "E0210", f"`{function.name}` has no value for some of what it is given here",
            [(expr.span, within), (problem.labels[0].span, problem.labels[0].text)],
            why=problem.message, help=problem.help)
    return kind if kind.name == declared.name and kind.dimension == declared.dimension else declared


def _asked(infer: Infer, expr: Call) -> Kind:
    """Return what a test asks of a plan: `cached(4096 tok)`, `moved(dp)`, `flops(decode)`."""
    if not _arity(infer, expr, 1):
        return ANY
    argument = expr.args[0]
    if expr.name == "cached":
        kind = infer.number(argument)
        if kind.name == "number" and kind.dimension != TOKEN:
            infer.report("E0201", f"`cached` takes a number of tokens, not {kind.text}",
                         [(argument.span, kind.text)], help=("write `cached(4096 tok)`",))
    elif not isinstance(argument, Path) or len(argument.parts) != 1:
        word = "an axis" if expr.name == "moved" else "a phase"
        infer.report("E0209", f"`{expr.name}` takes the name of {word}",
                     [(argument.span, "not a name")],
                     help=("write `moved(dp)` or `flops(decode)`",))
    return number(ASKED[expr.name])


def _unknown(infer: Infer, expr: Call) -> Kind:
    if expr.name in infer.later:
        return infer.report(
            "E0211", f"`{expr.name}` is declared further down", [(expr.span, "not yet declared")],
            why="functions call only earlier ones, so that every call ends",
            help=(f"move `fn {expr.name}` above",))
    known = [*SCALARS, *PROVIDED, *infer.functions]
    guess = nearest(expr.name, known)
    return infer.report(
        "E0211", f"there is no function `{expr.name}`", [(expr.span, "not a function")],
        help=(f"did you mean `{guess}`?" if guess else f"functions are {', '.join(known)}",))


def _arity(infer: Infer, expr: Call, wanted: int) -> bool:
    if len(expr.args) == wanted:
        return True
    noun = "argument" if wanted == 1 else "arguments"
    for arg in expr.args:
        infer.infer(arg)
    infer.report("E0211", f"`{expr.name}` takes {wanted} {noun}, not {len(expr.args)}",
                 [(expr.span, f"{len(expr.args)} here")], help=(f"give it {wanted}",))
    return False


def _scalar(infer: Infer, expr: Call) -> Kind:
    if not _arity(infer, expr, SCALARS[expr.name]):
        return ANY
    kinds = [infer.ratio(a, f"an argument of `{expr.name}`") for a in expr.args]
    if any(k.name != "number" for k in kinds):
        return ANY
    if expr.name == "log2":
        positive(infer, expr.args[0], kinds[0],
                 "this takes the logarithm of something that can be 0 or less")
        return ranged(kinds[0], ranges.log2(kinds[0].range), of=tuple(kinds))
    if expr.name == "mod":
        not_zero(infer, expr.args[1], kinds[1], "this divides by something that can be 0")
        within = ranges.mod(kinds[0].range, kinds[1].range)
        return ranged(kinds[0], within, of=tuple(kinds), whole=all(k.whole for k in kinds))
    to = ranges.floor if expr.name == "floor" else ranges.ceil
    return ranged(kinds[0], to(kinds[0].range), of=tuple(kinds), whole=True)


def _axis_size(infer: Infer, expr: Call) -> Kind:
    if not _arity(infer, expr, 1):
        return ANY
    arg = expr.args[0]
    if not isinstance(arg, Path) or len(arg.parts) != 1 or arg.text not in infer.axes:
        guess = nearest(arg.text, infer.axes) if isinstance(arg, Path) else None
        return infer.report(
            "E0207", f"`{arg.span.text}` is not an axis", [(arg.span, "unknown axis")],
            help=(f"did you mean `{guess}`?" if guess else
                  "declare it: `axis NAME size EXPR`, or import the module that does",))
    infer.reads.append(Read(_AXIS_SIZE, expr.span))
    return Kind("number", NONE, low=1.0)


def _provided(infer: Infer, expr: Call) -> Kind:
    if not expr.args:
        _arity(infer, expr, 1)
        return ANY
    if expr.name != "global" and not infer.lenient and (
        expr.name in ("sum", "count") or len(expr.args) == 1
    ):
        return _aggregate(infer, expr)
    if expr.name in ("sum", "count", "global") and not _arity(infer, expr, 1):
        return ANY
    if expr.name == "count":
        infer.infer(expr.args[0])
        return Kind("number", low=0.0)
    kinds = [infer.number(a) for a in expr.args]
    numbers = [k for k in kinds if k.name == "number"]
    if any(k.dimension != numbers[0].dimension for k in numbers):
        other = next(i for i, k in enumerate(kinds) if k.dimension != kinds[0].dimension)
        return infer.report(
            "E0201", f"`{expr.name}` takes numbers of one dimension",
            [(expr.args[0].span, kinds[0].text), (expr.args[other].span, kinds[other].text)],
            help=("give both the same dimension",))
    if len(numbers) < len(kinds):
        return ANY
    if expr.name == "global":
        return kinds[0]
    if expr.name == "sum" or len(kinds) == 1:
        return Kind("number", kinds[0].dimension)
    pick = ranges.least if expr.name == "min" else ranges.greatest
    within = kinds[0].range
    for kind in kinds[1:]:
        within = pick(within, kind.range)
    found = ranged(kinds[0], within, of=tuple(kinds), whole=all(k.whole for k in kinds))
    return attrs.evolve(found, nonzero=found.nonzero or all(k.nonzero for k in kinds))


def _aggregate(infer: Infer, expr: Call) -> Kind:
    """Note a sum over elements where only one element is at hand."""
    inner = expr.args[0].span.text
    test = f"ask it in a test: `expect {expr.name}({inner}) within LOW..HIGH`"
    if expr.name in ("min", "max"):
        what, way = " of one thing", f"give it two numbers: `{expr.name}({inner}, ...)`"
    else:
        what, way = "", ("write what one element has, as `tensor.bytes`, or what holds for all: "
                         "`model.params`, `cluster.memory`, `axis_size(dp)`")
    return infer.report(
        "E0211", f"`{expr.name}`{what} asks a finished plan, and rules make the plan",
        [(expr.span, "only in tests")], why="a rule speaks of one element at a time",
        help=(way, test))
