"""Gives a technique's parameters their values: what the scenario says, or the defaults."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import (
    Const,
    Domain,
    Expr,
    Function,
    Module,
    Param,
    RangeDomain,
    Technique,
)
from llamasim.language.evaluate import EvalError, Missing, equal, evaluate
from llamasim.language.types import TRUTHS, TYPES, Type
from llamasim.language.values import Symbol, Value, show_value
from llamasim.units import Quantity

#: What a scenario gives: a flag, a word or a number.
Given = bool | str | Quantity


@attrs.frozen
class ConstantEnv:
    """Names that hold without a scenario: constants, functions, parameters bound so far."""

    module: Module
    bound: Mapping[str, Value]

    def lookup(self, path: tuple[str, ...]) -> Value | None:
        """Return a parameter or a constant; any other bare word is a symbol."""
        if len(path) != 1:
            return None
        if path[0] in self.bound:
            return self.bound[path[0]]
        for position, item in enumerate(self.module.items):
            if isinstance(item, Const) and item.name == path[0]:
                earlier = attrs.evolve(self.module, items=self.module.items[:position])
                return evaluate(item.value, ConstantEnv(earlier, {}))
        return Symbol(path[0])

    def call(self, name: str, args: tuple[Expr, ...]) -> Value | None:
        """Return None: nothing of the engine is known yet."""
        return None

    def function(self, name: str) -> Function | None:
        """Return a function of the module."""
        for item in self.module.items:
            if isinstance(item, Function) and item.name == name:
                return item
        return None


def bind(
    module: Module,
    technique: Technique,
    args: Mapping[str, Given],
    arg_spans: Mapping[str, Span],
    use_span: Span,
) -> tuple[dict[str, Value], list[Diagnostic]]:
    """Return every parameter's value, and what is wrong with those given.

    Args:
        module: where the technique stands; its constants and functions may occur in domains.
        technique: whose parameters are bound.
        args: as the scenario gives them: flags, words and numbers.
        arg_spans: where the scenario gives each.
        use_span: where the scenario names the technique.

    """
    params = [m for m in technique.members if isinstance(m, Param)]
    names = [p.name for p in params]
    diagnostics = [
        _unknown(technique, a, names, arg_spans.get(a, use_span))
        for a in sorted(args) if a not in names
    ]
    bound: dict[str, Value] = {}
    for param in params:
        env = ConstantEnv(module, bound)
        if param.name in args:
            span = arg_spans.get(param.name, use_span)
            value, problem = _given(param, args[param.name], span, env)
        else:
            value, problem = _default(technique, param, use_span, env)
        if problem is not None:
            diagnostics.append(problem)
        if value is not None:
            bound[param.name] = value
    return bound, diagnostics


def _unknown(technique: Technique, name: str, known: list[str], span: Span) -> Diagnostic:
    guess = nearest(name, known)
    listed = ", ".join(known)
    way = f"did you mean `{guess}`?" if guess else (
        f"its parameters are {listed}" if known else "remove it; it takes no parameters"
    )
    return Diagnostic(
        "E0230", f"`{technique.name}` has no parameter `{name}`",
        (Label(span, "not a parameter"), Label(name_span(technique.span, technique.name),
                                               "declared here", primary=False)),
        help=(way,),
    )


def name_span(span: Span, name: str) -> Span:
    """Return the place of a declaration's name: the first occurrence after its keyword."""
    line = span.source.text.splitlines()[span.line - 1 : span.line]
    found = re.compile(rf"\b{re.escape(name)}\b").search(line[0], span.column - 1) if line else None
    if found is None:
        return span
    start = found.start()
    return Span(span.source, span.line, start + 1, span.line, start + 1 + len(name))


def _default(
    technique: Technique, param: Param, use_span: Span, env: ConstantEnv
) -> tuple[Value | None, Diagnostic | None]:
    if param.default is None:
        kind = TYPES.get(param.type)
        example = _first(param.domain) or (kind.example if kind else "...")
        return None, Diagnostic(
            "E0233", f"`{technique.name}` needs its parameter `{param.name}`",
            (Label(use_span, "not given here"),
             Label(param.span, "has no default", primary=False)),
            why=param.doc, help=(f"add `{param.name}: {example}`",),
        )
    try:
        return evaluate(param.default, env), None
    except (EvalError, Missing) as error:
        return None, Diagnostic("E0214", f"the default of `{param.name}` has no value: {error}",
                                (Label(error.span),), help=("write a plain value",))


def _first(domain: Domain | None) -> str:
    """Return the first value that a domain allows, as the rule file writes it."""
    if isinstance(domain, RangeDomain):
        return source_of(domain.low.span)
    return "" if domain is None else source_of(domain.options[0].span)


def _given(
    param: Param, given: Given, span: Span, env: ConstantEnv
) -> tuple[Value | None, Diagnostic | None]:
    kind = TYPES.get(param.type)
    if kind is None:
        return None, None  # the checker says so
    value: Value = Symbol(given) if isinstance(given, str) else given
    problem = type_problem(value, kind)
    if problem is not None:
        return None, _refused("E0231", param, value, span, problem, env, kind)
    if param.domain is not None:
        outside = domain_problem(value, param.domain, env)
        if outside is not None:
            return None, _refused("E0232", param, value, span, outside, env, kind)
    return value, None


def _refused(
    code: str, param: Param, value: Value, span: Span, problem: str, env: ConstantEnv, kind: Type
) -> Diagnostic:
    allowed = domain_text(param.domain, env)
    text = f"{param.type} in {allowed}" if allowed else param.type
    truth = TRUTHS.get(str(value.name).lower()) if isinstance(value, Symbol) else None
    example = truth if truth and kind.kind == "bool" else show_default(param, kind)
    way = f"give a value in {allowed}, such as `{param.name}: {example}`" if allowed else (
        f"write for example `{param.name}: {example}`"
    )
    return Diagnostic(
        code, f"`{param.name}` {problem}",
        (Label(span, f"{text} is expected"), Label(param.span, "declared here", primary=False)),
        help=(way,),
    )


def show_default(param: Param, kind: Type) -> str:
    """Return the default as it is written, or an example of the type."""
    if param.default is None:
        return kind.example
    return source_of(param.default.span)


def source_of(span: Span) -> str:
    """Return the text that a span of one line covers."""
    lines = span.source.text.splitlines()
    line = lines[span.line - 1] if span.line <= len(lines) else ""
    end = span.end_column - 1 if span.end_line == span.line else len(line)
    return line[span.column - 1 : end]


def type_problem(value: Value, kind: Type) -> str | None:
    """Return what is wrong with a value of some type, or None."""
    if kind.kind == "bool":
        return None if isinstance(value, bool) else f"is {show_value(value)}, not true or false"
    if kind.kind in ("symbol", "model"):
        if isinstance(value, Symbol):
            return None
        noun = "the name of a model" if kind.kind == "model" else "a word"
        return f"is {show_value(value)}, not {noun}"
    if not isinstance(value, Quantity):
        return f"is {show_value(value)}, not a number"
    if value.dimension != kind.dimension:
        if value.dimension.is_ratio:
            return f"needs a unit of {kind.name}"
        return f"is {value.dimension}, not {kind.name}"
    if kind.whole and value.value != math.floor(value.value):
        return f"is {show_value(value)}, not a whole number"
    return None


def domain_problem(value: Value, domain: Domain, env: ConstantEnv) -> str | None:
    """Return how a value lies outside a domain, or None; a faulty domain allows all."""
    try:
        if isinstance(domain, RangeDomain):
            low, high = evaluate(domain.low, env), evaluate(domain.high, env)
            return _range_problem(value, low, high)
        options = [evaluate(o, env) for o in domain.options]
    except (EvalError, Missing):
        return None
    if any(equal(value, o) for o in options):
        return None
    return f"is {show_value(value)}, which is not one of those allowed"


def _range_problem(value: Value, low: Value, high: Value) -> str | None:
    numbers = [v for v in (value, low, high) if isinstance(v, Quantity)]
    if len(numbers) < 3 or any(n.dimension != numbers[0].dimension for n in numbers):
        return None
    given, least, most = numbers
    if given.value < least.value and not equal(given, least):
        return f"is {show_value(value)}, which is too small"
    if given.value > most.value and not equal(given, most):
        return f"is {show_value(value)}, which is too large"
    return None


def domain_text(domain: Domain | None, env: ConstantEnv) -> str:
    """Return a domain as the rule file writes it; empty where there is none."""
    return "" if domain is None else source_of(domain.span)
