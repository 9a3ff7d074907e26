"""Evaluates rules, stratum by stratum, and collects what they say of each element."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.language import EvalError, Missing, Symbol, Value, evaluate
from llamasim.language.ast import (
    Drop,
    Effect,
    Exchange,
    Expr,
    Fuse,
    Gather,
    Keep,
    Overlap,
    Place,
    Reduce,
    Rotate,
    Rule,
    Run,
    Send,
    Shard,
    Write,
)
from llamasim.language.bounds import SHARE, outside
from llamasim.language.cells import CELLS, Stratum
from llamasim.techniques.applied import Key, Obligation, Placed
from llamasim.techniques.environment import Env
from llamasim.techniques.instances import Instance
from llamasim.techniques.merge import Contribution
from llamasim.units import Quantity

#: Cells whose sums may grow with the tokens of a step.
_PER_TOKEN = ("cost.flops", "cost.read", "cost.write")
#: Rounding that an amount which grows evenly with tokens may show.
_EVEN = 1e-6


@attrs.frozen
class RuleUse:
    """A rule of an instance, with its number within the technique.

    `implied` ones stand for fields of `bring`.
    """

    instance: Instance
    number: int
    rule: Rule
    implied: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What tells this rule of this use from all others."""
        return self.instance.use.instance, self.number


@attrs.frozen
class Site:
    """Where an effect is applied.

    Attributes:
        ordinal: the effect's number in the rule.
        target: element and name.
        env: names at the step's own token count.
        probes: the same at one and at two tokens, to find what grows with tokens.
        phases: the phases that the rule covers in this workload.
        tokens: of the step that `env` speaks of.

    """

    use: RuleUse
    ordinal: int
    target: Key
    env: Env
    probes: tuple[Env, Env]
    phases: Sequence[str]
    tokens: float = 0.0

    def affine(self, expr: Expr) -> tuple[float, float]:
        """Return the fixed part of an expression's value and what it grows by with each token.

        Raises:
            EvalError: it is negative, or does not grow evenly, or has no value.

        """
        here, one, two = (_number(evaluate(expr, e)) for e in (self.env, *self.probes))
        fixed, slope = 2 * one - two, two - one
        if min(here, one, two) < 0:
            raise EvalError(expr.span, "this is below 0 here, and an amount is added")
        if abs(fixed + slope * self.tokens - here) > _EVEN * max(here, one):
            raise EvalError(expr.span, "this does not grow evenly with the tokens of a step")
        return fixed, slope


def stratum_of(effect: Effect) -> Stratum:
    """Return the pass in which an effect is evaluated."""
    if isinstance(effect, Write):
        return CELLS[effect.cell].stratum
    if isinstance(effect, Shard):
        return Stratum.LAYOUT
    if isinstance(effect, Drop | Keep | Place | Fuse):
        return Stratum.NUMERICS
    return Stratum.SCHEDULE if isinstance(effect, Overlap | Run) else Stratum.COST


@attrs.define
class Collector:
    """What the rules said so far of one block (or of the step)."""

    cells: dict[tuple[str, str, str, str], list[Contribution]] = attrs.field(
        factory=lambda: defaultdict(list)
    )
    shards: dict[Key, dict[str, tuple[str, str, Span]]] = attrs.field(
        factory=lambda: defaultdict(dict)
    )
    obligations: dict[Key, dict[tuple[str, str], Obligation]] = attrs.field(
        factory=lambda: defaultdict(dict)
    )
    hidden: dict[tuple[str, str, str, str], float] = attrs.field(factory=dict)
    dropped: set[str] = attrs.field(factory=set)
    kept: set[str] = attrs.field(factory=set)
    places: dict[Key, dict[Placed, Span]] = attrs.field(factory=lambda: defaultdict(dict))
    runs: dict[tuple[str, str, str], float] = attrs.field(factory=dict)
    fused: dict[str, str] = attrs.field(factory=dict)
    matched: Counter[tuple[str, int]] = attrs.field(factory=Counter)
    rules: dict[Key, list[RuleUse]] = attrs.field(factory=lambda: defaultdict(list))
    diagnostics: list[Diagnostic] = attrs.field(factory=list)

    def apply(self, effect: Effect, site: Site) -> None:
        """Record one effect on one element."""
        try:
            self._apply(effect, site)
        except Missing as missing:
            self.report(site.use, effect.span, f"this element has no `{missing}`", "E0407")
        except EvalError as error:
            self.report(site.use, error.span, error.message, "E0406")

    def _apply(self, effect: Effect, site: Site) -> None:
        target = site.target
        if isinstance(effect, Write):
            self._write(effect, site)
        elif isinstance(effect, Shard):
            self._shard(site.use, effect, target)
        elif isinstance(effect, Keep):
            self.kept.add(target[1])
        elif isinstance(effect, Drop):
            self.dropped.add(target[1])
        elif isinstance(effect, Place):
            share = 1.0 if effect.share is None else _number(evaluate(effect.share, site.env))
            # An op runs in several phases, and need not do so in one place.
            each = [(target[0], f"{target[1]}@{p}") for p in site.phases]
            for element in each if target[0] == "op" else [target]:
                self._place(site.use, Placed(effect.where, share), effect.span, element)
        elif isinstance(effect, Fuse):
            self.fused[target[1]] = effect.name
        elif isinstance(effect, Overlap):
            share = 1.0 if effect.share is None else _number(evaluate(effect.share, site.env))
            if effect.share is not None and not SHARE.hold(share):
                raise EvalError(effect.share.span, "a share lies between 0 and 100 %")
            for phase in site.phases:
                key = (*target, effect.what, phase)
                self.hidden[key] = min(share, self.hidden.get(key, 1.0))
        elif isinstance(effect, Run):
            times = _number(evaluate(effect.times, site.env))
            if times < 0:
                raise EvalError(effect.times.span, "a model runs at least 0 times")
            for phase in site.phases:
                name = (site.use.instance.use.instance, effect.model, phase)
                self.runs[name] = self.runs.get(name, 0.0) + times
        else:
            self._oblige(effect, site)

    def _write(self, effect: Write, site: Site) -> None:
        cell = CELLS[effect.cell]
        per_token = 0.0
        if effect.verb == "add" and effect.cell in _PER_TOKEN:
            value: float | str | bool
            value, per_token = site.affine(effect.value)
        else:
            value = plain(evaluate(effect.value, site.env))
            wrong = None if isinstance(value, str | bool) else (
                outside(effect.cell, effect.verb, value))
            if wrong is not None:
                raise EvalError(effect.value.span, wrong)
        use = site.use
        contribution = Contribution(
            (use.instance.name, use.instance.use.instance, use.number, site.ordinal),
            effect.verb, value, effect.span, use.instance.use.span, per_token,
        )
        for phase in site.phases if cell.phased else ("",):
            self.cells[(*site.target, phase, effect.cell)].append(contribution)

    def _place(self, use: RuleUse, placed: Placed, span: Span, target: Key) -> None:
        held = self.places[target]
        held.setdefault(placed, span)
        if len(held) < 2 or not 0.0 <= placed.share <= 1.0:
            if not 0.0 <= placed.share <= 1.0:
                self.report(use, span, "a share lies between 0 and 100 %", "E0406")
            return
        other = next(s for p, s in held.items() if p != placed)
        found = Diagnostic(
            "E0304", f"{target[0]} `{target[1].partition('@')[0]}` is placed twice",
            (Label(span, "here"), Label(other, "and here", primary=False),
             Label(use.instance.use.span, "in `use`", primary=False)),
            why="the order of rules has no meaning, so neither can win",
            help=("narrow one of the rules, or use one of the techniques",),
        )
        if not any(d.code == "E0304" and d.labels[:2] == found.labels[:2]
                   for d in self.diagnostics):
            self.diagnostics.append(found)

    def _shard(self, use: RuleUse, effect: Shard, target: Key) -> None:
        held = self.shards[target]
        before = held.get(effect.axis)
        if before is not None and before[0] != effect.dim:
            mine = use.instance.technique.name
            self.diagnostics.append(
                Diagnostic(
                    "E0303",
                    f"`{target[1]}` is split over `{effect.axis}` along two dims",
                    (
                        Label(effect.span, f"{mine} says `{effect.dim}`"),
                        Label(before[2], f"{before[1]} says `{before[0]}`", primary=False),
                        Label(use.instance.use.span, "in `use`", primary=False),
                    ),
                    why="an axis can split a tensor only once",
                    help=("use one of the two techniques, or narrow one by a `scope`",),
                )
            )
            return
        held[effect.axis] = (effect.dim, use.instance.technique.name, effect.span)

    def _oblige(self, effect: Effect, site: Site) -> None:
        verb, until, amount, slope = _VERBS[type(effect)], None, 0.0, 0.0
        axis = getattr(effect, "axis", "")
        if isinstance(effect, Gather):
            until = effect.until
        if isinstance(effect, Exchange):
            amount, slope = site.affine(effect.amount)
        held = self.obligations[site.target]
        before = held.get((verb, axis))
        covered = tuple(sorted({*site.phases, *(before.phases if before else ())}))
        where = f"{site.use.instance.name} ({place(effect.span)})"
        if before is not None:
            where, amount = min(where, before.site), max(amount, before.amount)
            slope = max(slope, before.amount_per_token)
            until = min(filter(None, (until, before.until)), default=None)
        held[(verb, axis)] = Obligation(verb, axis, covered, until, amount, slope, where)

    def report(self, use: RuleUse, span: Span, message: str, code: str) -> None:
        """Note a mistake of a rule, once."""
        diagnostic = Diagnostic(
            code,
            message,
            (Label(span), Label(use.instance.use.span, "in `use`", primary=False)),
            help=(f"mend the rule, or remove `{use.instance.name}` from `use`",),
        )
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)


_VERBS: dict[type, str] = {
    Reduce: "reduce", Gather: "gather", Exchange: "exchange", Send: "send", Rotate: "rotate",
}


def place(span: Span) -> str:
    """Return a short text for a place: `tensor.rules:20`."""
    return f"{span.source.name.rsplit('/', 1)[-1]}:{span.line}"


def plain(value: Value) -> float | str | bool:
    """Return a value as the cells hold it: base units, a word or a boolean."""
    if isinstance(value, Quantity):
        return value.value
    return value.name if isinstance(value, Symbol) else value


def _number(value: Value) -> float:
    return value.value if isinstance(value, Quantity) else float(plain(value) is True)


def token_span(
    tokens: tuple[Expr, Expr], env: Env, collector: Collector, use: RuleUse
) -> tuple[float, float] | None:
    """Return the positions that a rule's `tokens` name, or None with a diagnostic."""
    try:
        low, high = (_number(evaluate(t, env)) for t in tokens)
    except (Missing, EvalError) as error:
        collector.report(use, tokens[0].span, f"`tokens` has no value here: {error}", "E0406")
        return None
    if low < high and (low >= 0) == (high > 0):
        return low, high
    collector.report(
        use, tokens[0].span,
        f"`tokens` from {low:g} to {high:g} is no range from the start or from the newest token",
        "E0406",
    )
    return None


def matches(where: Expr | None, env: Env) -> bool:
    """Whether a rule's condition holds; one that reads what the element lacks does not.

    Raises:
        EvalError: the condition has no value.

    """
    if where is None:
        return True
    try:
        return evaluate(where, env) is True
    except Missing:
        return False
