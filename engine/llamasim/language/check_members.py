"""Checks the members of a technique."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import (
    Advise,
    Axis,
    Bring,
    Claim,
    Conflicts,
    Expr,
    ExtraModel,
    Let,
    Param,
    RangeDomain,
    Refines,
    Requires,
    Rule,
    SetDomain,
    SourceDecl,
    Technique,
)
from llamasim.language.bind import ConstantEnv, domain_problem, type_problem
from llamasim.language.bounds import COUNT
from llamasim.language.caps import MOST_FINDINGS
from llamasim.language.cells import Stratum
from llamasim.language.check_brings import check_brought
from llamasim.language.check_refines import ring_through
from llamasim.language.check_rules import check_rule
from llamasim.language.evaluate import EvalError, Missing, evaluate
from llamasim.language.infer import Infer
from llamasim.language.infer_arithmetic import within
from llamasim.language.kinds import Kind, Known
from llamasim.language.load import Program
from llamasim.language.missing import no_such_technique
from llamasim.language.narrow import NO_FACTS, Facts, every, facts_of
from llamasim.language.scope import (
    Declared,
    ModuleScope,
    declare,
    keyword_name,
    kind_of_type,
    name_in,
)
from llamasim.language.types import TRUTHS, TYPES
from llamasim.language.vocabulary import BUILTIN_AXES


@attrs.define(slots=False)
class TechniqueCheck:
    """One technique's check: names are declared in the order in which they stand."""

    scope: ModuleScope
    technique: Technique
    program: Program
    names: dict[str, Known] = attrs.field(factory=dict)
    used: set[str] = attrs.field(factory=set)
    diagnostics: list[Diagnostic] = attrs.field(factory=list)
    required: Facts = NO_FACTS

    def run(self) -> list[Diagnostic]:
        """Return what is wrong with the technique."""
        self.names = dict(self.scope.names)
        self._declare_all()
        self.required = self._required()
        for member in self.technique.members:
            if len(self.diagnostics) >= MOST_FINDINGS:
                return self.diagnostics
            _CHECKS[type(member)](self, member)
        ring = ring_through(self.technique, self.scope.module, self.program)
        if ring is not None:
            self.diagnostics.append(ring)
        for name, known in self.names.items():
            if known.what in ("param", "let") and name not in self.used:
                self._unused(name, known)
        return self.diagnostics

    def infer(self, facts: Facts = NO_FACTS) -> Infer:
        """Return a fresh inference that sees the names declared so far."""
        infer = self.scope.infer(self.names, facts)
        infer.below = self._names() - set(self.names)
        return infer

    def _names(self) -> set[str]:
        named = (m for m in self.technique.members if isinstance(m, Param | Let | ExtraModel))
        return {m.name for m in named}

    def _required(self) -> Facts:
        """Return what `requires` says of numbers: nothing is worked out where it does not hold."""
        tests = [m.test for m in self.technique.members if isinstance(m, Requires)]
        if not tests:
            return NO_FACTS
        names = tuple(m for m in self.technique.members if isinstance(m, Param | Let | ExtraModel))
        known = TechniqueCheck(self.scope, attrs.evolve(self.technique, members=names),
                               self.program, dict(self.scope.names))
        for member in names:
            _CHECKS[type(member)](known, member)
        infer, facts = known.infer(), NO_FACTS
        for test in tests:
            facts = every(facts, facts_of(test, True, infer.names, infer.look))
        return facts

    def done(self, infer: Infer) -> None:
        """Take over what an inference found."""
        self.diagnostics += infer.diagnostics
        self.used |= infer.used

    def _declare_all(self) -> None:
        seen = {n: Declared(k.what, k.span) for n, k in self.scope.names.items()}
        axes: dict[str, Declared] = {}
        for m in self.technique.members:
            if isinstance(m, Axis):
                declare(axes, m.name, "axis", m.span, self.diagnostics)
                keyword_name(m.name, m.span, self.diagnostics)
            elif isinstance(m, Param | Let | ExtraModel):
                what = {Param: "parameter", Let: "let"}.get(type(m), "model")
                declare(seen, m.name, what, m.span, self.diagnostics)
                keyword_name(m.name, m.span, self.diagnostics)

    def _unused(self, name: str, known: Known) -> None:
        noun = {"param": "parameter"}.get(known.what, known.what)
        code = "W0201" if known.what == "param" else "W0203"
        self.diagnostics.append(Diagnostic(
            code, f"the {noun} `{name}` is not used", (Label(name_in(known.span, name)),),
            severity="warning", help=("use it in a rule, or remove it",)))

    # Declarations.

    def _param(self, m: Param) -> None:
        infer = self.infer()
        kind = kind_of_type(m.type, m.span, infer.diagnostics)
        low, high = -math.inf, math.inf
        bounds: tuple[Expr, ...] = ()
        symbols: list[str] = []
        if isinstance(m.domain, RangeDomain):
            bounds = (m.domain.low, m.domain.high)
        elif m.domain is not None:
            bounds = m.domain.options
        kinds = [self._of_type(infer, m, b, kind) for b in bounds]
        if bounds and kind.name == "number" and all(k.name == "number" for k in kinds):
            low, high = min(k.low for k in kinds), max(k.high for k in kinds)
            if isinstance(m.domain, RangeDomain) and kinds[0].low > kinds[1].high:
                infer.report("E0214", "this range is empty: its low end is above its high end",
                             [(m.domain.span, "empty")], help=("swap the ends",))
        symbols += [k.word for k in kinds if k.word is not None]
        if m.default is not None:
            self._of_type(infer, m, m.default, kind)
        if not infer.diagnostics:
            self._default(infer, m)
        self.done(infer)
        self.used -= {m.name}
        numeric = kind.name == "number"
        nonzero = numeric and (low > 0 or high < 0 or (
            isinstance(m.domain, SetDomain) and all(k.nonzero for k in kinds)))
        full = attrs.evolve(kind, low=low, high=high, certain=numeric, nonzero=nonzero,
                            whole=m.type == "Int", symbols=tuple(symbols) or None)
        self.names[m.name] = Known("param", full, m.span)

    def _of_type(self, infer: Infer, m: Param, expr: Expr, wanted: Kind) -> Kind:
        kind = infer.number(expr) if wanted.name == "number" else infer.infer(expr)
        if "any" in (kind.name, wanted.name) or (kind.name, wanted.name) == ("symbol", "model"):
            return kind
        if infer.reads:
            return infer.report("E0202", "domains and defaults read nothing of the scenario",
                                [(expr.span, "not constant")],
                                help=("check it with `requires` instead",))
        if kind.name != wanted.name or kind.dimension != wanted.dimension:
            truth = TRUTHS.get(expr.span.text.lower()) if wanted.name == "bool" else None
            example = truth or TYPES[m.type].example
            return infer.report("E0201", f"`{m.name}` is {m.type}, and this is {kind.text}",
                                [(expr.span, kind.text), (name_in(m.span, m.type), m.type)],
                                help=(f"write {'' if truth else 'for example '}`{example}`",))
        return kind

    def _default(self, infer: Infer, m: Param) -> None:
        kind = TYPES.get(m.type)
        if m.default is None or kind is None or kind.kind == "model":
            return
        env = ConstantEnv(self.scope.module, {})
        try:
            value = evaluate(m.default, env)
        except (EvalError, Missing) as error:
            infer.report("E0214", f"the default of `{m.name}` has no value: {error}",
                         [(error.span, "here")], help=("write a plain value",))
            return
        problem = type_problem(value, kind)
        if problem is None and m.domain is not None:
            problem = domain_problem(value, m.domain, env)
        if problem is not None:
            domain = [(m.domain.span, "allowed")] if m.domain is not None else []
            infer.report("E0214", f"the default of `{m.name}` {problem}",
                         [(m.default.span, "the default"), *domain],
                         help=("change the default or what is allowed",))

    def _let(self, m: Let) -> None:
        infer = self.infer(self.required)
        kind = infer.infer(m.value)
        if kind.word is not None and kind.word in self.scope.later():
            kind = infer.unknown_word(m.value.span, kind.word)
        self.done(infer)
        self.names[m.name] = Known("let", kind, m.span, m.value, tuple(infer.reads))

    def _model(self, m: ExtraModel) -> None:
        infer = self.infer()
        kind = infer.infer(m.value)
        if kind.name not in ("model", "any", "symbol"):
            infer.report("E0209", f"this is {kind.text}, and a model is needed",
                         [(m.value.span, kind.text)], help=("take a `param draft: Model`",))
        self.done(infer)
        self.names[m.name] = Known("model", Kind("model"), m.span)

    def _axis(self, m: Axis) -> None:
        infer = self.infer()
        if m.name in BUILTIN_AXES:
            infer.report("E0204", f"`{m.name}` is an axis without a declaration",
                         [(name_in(m.span, m.name), "already there")],
                         why="it stands for the devices that the axes of techniques leave over",
                         help=(f"call it `{m.name}_axis` or so, or use `{m.name}` as it is",))
        size = infer.ratio(m.size, "the size of an axis")
        within(infer, m.size, size, COUNT, f"the axis `{m.name}`")
        if any(r.attribute.stratum > Stratum.FACTS for r in infer.reads):
            read = next(r for r in infer.reads if r.attribute.stratum > Stratum.FACTS)
            infer.report("E0208", f"an axis is laid out before `{read.attribute.path}` is known",
                         [(read.span, "known later")], help=("take the size as a parameter",))
        if m.inside is not None:
            self._known_axis(infer, m.inside, m.span)
        self.done(infer)

    def _known_axis(self, infer: Infer, axis: str, span: Span) -> None:
        if axis in self.scope.axes:
            return
        guess = nearest(axis, self.scope.axes)
        infer.report("E0207", f"there is no axis `{axis}` here", [(name_in(span, axis), "unknown")],
                     help=(f"did you mean `{guess}`?" if guess else
                           "import the module that declares it, or add `axis NAME size EXPR`",))

    # Conditions.

    def _requires(self, m: Requires | Advise) -> None:
        infer = self.infer()
        infer.truth(m.test)
        _no_elements(infer, "requires" if isinstance(m, Requires) else "advise")
        self.done(infer)

    def _other(self, m: Conflicts | Refines) -> None:
        problem = no_such_technique(m.other, m.span, self.scope.module, self.program)
        if problem is not None:
            self.diagnostics.append(problem)
        elif self.scope.module.full_name(m.other) == (
            f"{self.scope.module.name}.{self.technique.name}"
        ):
            verb = "conflicts with" if isinstance(m, Conflicts) else "refines"
            self.diagnostics.append(Diagnostic(
                "E0204", f"`{self.technique.name}` {verb} itself", (Label(m.span),),
                help=("name another technique",)))

    def _claim(self, m: Claim) -> None:
        infer = self.infer(self.required)
        low, high = infer.number(m.low), infer.number(m.high)
        if low.certain and high.certain and low.low > high.high:
            infer.report("E0214", "this claim's low end is above its high end",
                         [(m.low.span, "low"), (m.high.span, "high")], help=("swap the ends",))
        if low.dimension != high.dimension:
            infer.report("E0201", f"the ends of a claim are {low.text} and {high.text}",
                         [(m.low.span, low.text), (m.high.span, high.text)],
                         help=("give both ends one unit",))
        elif low.name == "number" and not low.dimension.is_ratio:
            infer.report("E0201", f"a claim is a plain number or a share, not {low.dimension}",
                         [(m.low.span, low.text)], help=("write for example `0.1 %..0.4 %`",))
        if m.when is not None:
            infer.truth(m.when)
        _no_elements(infer, "claim")
        known = [i.name for i in self.scope.module.items if isinstance(i, SourceDecl)]
        for source in m.sources:
            if source not in known:
                guess = nearest(source, known)
                infer.report("E0212", f"the source `{source}` is not declared",
                             [(_last(m.span, source), "not declared")],
                             why="a claim is worth what its source is worth",
                             help=(f"did you mean `{guess}`?" if guess else
                                   f'add `source {source} = "..."` above',))
        self.done(infer)

    def _bring(self, m: Bring) -> None:
        infer = self.infer(self.required)
        check_brought(m, self.scope.elements, infer)
        self.done(infer)

    def _rule(self, m: Rule) -> None:
        infer = self.infer(self.required)
        check_rule(m, infer, self.scope)
        self.done(infer)


def _no_elements(infer: Infer, what: str) -> None:
    for read in infer.reads:
        if read.attribute.elements is not None:
            infer.report("E0202", f"`{what}` speaks of no element, so `{read.attribute.path}` is "
                         "not known", [(read.span, "of an element")],
                         help=("put it into the `where` of a rule",))


def _last(span: Span, text: str) -> Span:
    """Return where a word stands last in a statement."""
    for number in range(span.end_line, span.line - 1, -1):
        at = span.source.line(number).rfind(text)
        if at >= 0:
            return Span(span.source, number, at + 1, number, at + 1 + len(text))
    return span


_CHECKS: Mapping[type, Callable[..., None]] = {
    Param: TechniqueCheck._param,
    Let: TechniqueCheck._let,
    Axis: TechniqueCheck._axis,
    ExtraModel: TechniqueCheck._model,
    Bring: TechniqueCheck._bring,
    Requires: TechniqueCheck._requires,
    Advise: TechniqueCheck._requires,
    Conflicts: TechniqueCheck._other,
    Refines: TechniqueCheck._other,
    Claim: TechniqueCheck._claim,
    Rule: TechniqueCheck._rule,
}
