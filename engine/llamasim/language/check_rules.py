"""Checks rules: elements, phases, patterns, conditions and effects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
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
from llamasim.language.bounds import AMOUNT, SHARE
from llamasim.language.cells import (
    CELLS,
    ELEMENTS,
    LIFETIMES,
    PHASES,
    PLACES,
    RANGED,
    TENSORS,
    Cell,
    Stratum,
)
from llamasim.language.check_globs import check_patterns
from llamasim.language.check_writes import check_write
from llamasim.language.infer import Infer
from llamasim.language.infer_arithmetic import within
from llamasim.language.kinds import Kind, Read
from llamasim.language.scope import ModuleScope, name_in
from llamasim.language.vocabulary import OVERLAPPABLE, SHARD_DIMS, STREAMS
from llamasim.units import DATA, TOKEN


@attrs.frozen
class RuleScope:
    """A rule with what its condition reads."""

    rule: Rule
    infer: Infer
    axes: tuple[str, ...]
    where: tuple[Read, ...]

    def expr(self, effect: Effect, check: Callable[[], object], stratum: Stratum) -> None:
        """Check an effect's expressions, and that they read strictly below what it writes."""
        before = len(self.infer.reads)
        check()
        for read in self.infer.reads[before:]:
            _below(self, effect, read, stratum)
            _on_element(self, read)
        for read in self.where:
            if not _below(self, effect, read, stratum):
                break

    def word(self, word: str, known: Iterable[str], what: str, span: Span) -> None:
        """Check a word against those that the language knows."""
        pool = list(known)
        if word in pool:
            return
        guess = nearest(word, pool)
        self.infer.report(
            "E0207", f"there is no {what} `{word}`", [(name_in(span, word), f"not {_a(what)}")],
            help=(f"did you mean `{guess}`?" if guess else f"write one of {', '.join(pool)}",))

    def axis(self, axis: str, span: Span) -> None:
        """Check the name of a mesh axis."""
        if axis in self.axes:
            return
        guess = nearest(axis, self.axes)
        self.infer.report(
            "E0207", f"there is no axis `{axis}` here", [(name_in(span, axis), "unknown axis")],
            help=(f"did you mean `{guess}`?" if guess else
                  "import the module that declares it, or add `axis NAME size EXPR`",))


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def check_rule(rule: Rule, infer: Infer, module: ModuleScope) -> None:
    """Check one rule; its module says which axes and names are within reach."""
    scope = RuleScope(rule, infer, module.axes, ())
    scope.word(rule.element, ELEMENTS, "element", rule.span)
    for phase in rule.phases:
        scope.word(phase, PHASES, "phase", rule.span)
    check_patterns(rule, module.elements, infer)
    if rule.element == "step" and (rule.globs or rule.excepts):
        infer.report("E0206", "a step has no names to match",
                     [((*rule.globs, *rule.excepts)[0].span, "no element of a step")],
                     help=("write `on step { ... }`",))
    if rule.tokens is not None:
        _tokens(scope, rule.tokens)
    if rule.where is not None:
        before = len(infer.reads)
        infer.truth(rule.where)
        # The latest first, so that a look at one tells whether any is too late.
        latest = sorted(infer.reads[before:], key=lambda r: -r.attribute.stratum)
        scope = attrs.evolve(scope, where=tuple(latest))
        for read in scope.where:
            _on_element(scope, read)
        infer.guard(rule.where, True, lambda: _effects(scope))
        return
    _effects(scope)


def _tokens(scope: RuleScope, tokens: tuple[Expr, Expr]) -> None:
    """Check the range of cached tokens that a rule is about."""
    infer, rule = scope.infer, scope.rule
    kinds = [infer.number(t) for t in tokens]
    if rule.element != "kv_cache" and rule.element in ELEMENTS:
        infer.report("E0206", f"only a cache has tokens, and this rule is on {rule.element}",
                     [(tokens[0].span, "a range of tokens"),
                      (name_in(rule.span, rule.element), "here")],
                     help=("write a rule `on kv_cache`",))
    for end, kind in zip(tokens, kinds, strict=True):
        if kind.name == "number" and kind.dimension != TOKEN:
            infer.report("E0201", f"`tokens` counts tokens, and this is {kind.text}",
                         [(end.span, kind.text)],
                         help=("write for example `tokens 0 tok..4 tok`",))
    _not_empty(infer, tokens, kinds)
    for effect in rule.effects:
        if isinstance(effect, Place):
            continue
        if isinstance(effect, Write) and effect.cell in RANGED:
            continue
        infer.report("E0206", "this holds for a whole cache, not for a range of its tokens",
                     [(effect.span, "not by tokens"), (tokens[0].span, "this range")],
                     help=("leave `tokens` out, or write one of " + ", ".join(RANGED)
                           + " or `place`",))


def _not_empty(infer: Infer, tokens: tuple[Expr, Expr], kinds: list[Kind]) -> None:
    """Note a range of tokens that is empty for all values of the parameters."""
    low, high = kinds
    if not (low.certain and high.certain and low.dimension == high.dimension == TOKEN):
        return
    one_end = min(low.low, high.low) >= 0 or max(low.high, high.high) <= 0
    if one_end and low.low > high.high:
        infer.report("E0214", "this range is empty: its low end is above its high end",
                     [(tokens[0].span, "low"), (tokens[1].span, "high")],
                     why="ranges count from the start of a sequence, and below 0 from its newest "
                         "token back", help=("swap the ends",))


def _for_all_phases(scope: RuleScope, effect: Effect) -> None:
    """Advise on what holds in every phase, whatever `during` says."""
    if isinstance(effect, Place) and scope.rule.element == "op":
        return
    if scope.rule.phases and isinstance(effect, Shard | Place | Drop | Keep | Fuse):
        verb = type(effect).__name__.lower()
        scope.infer.diagnostics.append(Diagnostic(
            "W0205", f"`{verb}` holds for all phases, whatever `during` says",
            (Label(name_in(scope.rule.span, "during"), "has no effect on it"),
             Label(effect.span, "this effect", primary=False)),
            severity="warning",
            help=("leave `during` out, or write the effect in a rule of its own",)))


def _effects(scope: RuleScope) -> None:
    for effect in scope.rule.effects:
        _for_all_phases(scope, effect)
        if scope.infer.full:
            return
        _CHECKS[type(effect)](scope, effect)


def _below(scope: RuleScope, effect: Effect, read: Read, stratum: Stratum) -> bool:
    """Note that a read is too late; False where it is not."""
    # Nothing that can be read follows from the facts that rules write, so facts may read facts.
    if read.attribute.stratum < max(stratum, Stratum.LAYOUT):
        return False
    what = f"`{effect.cell}`" if isinstance(effect, Write) else "this effect"
    also = [(read.let, "read by this `let`")] if read.let else []
    scope.infer.report(
        "E0208", f"this reads `{read.attribute.path}`, which is known only after {what} is",
        [(read.span, f"{read.attribute.stratum.name.lower()}"),
         (effect.span, f"written in the {stratum.name.lower()} pass"), *also],
        why="facts, layout, numerics, cost and schedule are worked out in this order, once each",
        help=("read something that is known earlier, such as a parameter",))
    return True


def _on_element(scope: RuleScope, read: Read) -> None:
    allowed, element = read.attribute.elements, scope.rule.element
    if allowed is None or element in allowed or element not in ELEMENTS:
        return
    scope.infer.report(
        "E0206", f"`{read.attribute.path}` is not known on {_a(element)}",
        [(read.span, "read here"), (name_in(scope.rule.span, element), "by this rule")],
        help=(f"read it in a rule on {', '.join(allowed)}",))


# Effects.


def _write(scope: RuleScope, effect: Write) -> None:
    cell: Cell | None = CELLS.get(effect.cell)
    stratum = cell.stratum if cell else Stratum.CLAIMS
    scope.expr(effect, lambda: check_write(effect, cell, scope.rule, scope.infer), stratum)


def _tensor(scope: RuleScope, effect: Effect, verb: str) -> None:
    if scope.rule.element in TENSORS or scope.rule.element not in ELEMENTS:
        return
    scope.infer.report(
        "E0206", f"`{verb}` is for tensors, and this rule is on {scope.rule.element}",
        [(effect.span, "needs a tensor"),
         (name_in(scope.rule.span, scope.rule.element), "not one")],
        help=(f"write a rule on {', '.join(TENSORS)}",))


def _shard(scope: RuleScope, effect: Shard) -> None:
    _tensor(scope, effect, "shard")
    scope.word(effect.dim, SHARD_DIMS, "dim", effect.span)
    scope.axis(effect.axis, effect.span)
    scope.expr(effect, lambda: None, Stratum.LAYOUT)


def _collective(scope: RuleScope, effect: Reduce | Gather | Send | Rotate | Exchange) -> None:
    verb = type(effect).__name__.lower()
    _tensor(scope, effect, verb)
    scope.axis(effect.axis, effect.span)
    if isinstance(effect, Gather) and effect.until is not None:
        scope.word(effect.until, LIFETIMES, "lifetime", effect.span)
    amount = effect.amount if isinstance(effect, Exchange) else None
    scope.expr(effect, lambda: _amount(scope, amount), Stratum.COST)


def _amount(scope: RuleScope, amount: Expr | None) -> None:
    kind = scope.infer.number(amount) if amount is not None else None
    if amount is not None and kind and kind.name == "number" and kind.dimension != DATA:
        scope.infer.report("E0201", f"an amount of data is exchanged, not {kind.text}",
                           [(amount.span, kind.text)],
                           help=(f"write `{amount.span.text} * 2 B`" if kind.dimension.is_ratio
                                 else "write for example `tensor.bytes`",))
    elif amount is not None and kind:
        within(scope.infer, amount, kind, AMOUNT, "`exchange`")


def _place(scope: RuleScope, effect: Place) -> None:
    scope.word(effect.where, PLACES, "place", effect.span)
    if scope.rule.element in ("layer", "step"):
        scope.infer.report(
            "E0206", f"`place` is for tensors and ops, and this rule is on {scope.rule.element}",
            [(effect.span, "needs a tensor or an op")],
            help=("write a rule on weight and one on op",))
    share = effect.share
    if share is not None and scope.rule.element == "op":
        scope.infer.report(
            "E0206", "an op runs in one place", [(effect.span, "a share of an op")],
            help=(f"leave the share out, or say it of the op's weight: `on weight "
                  f"{{ {effect.span.text} }}`",))
    scope.expr(effect, lambda: _share(scope, share, "`place`"), Stratum.NUMERICS)


def _only(element: str, verb: str) -> Callable[[RuleScope, Effect], None]:
    def rule(scope: RuleScope, effect: Effect) -> None:
        if scope.rule.element in ELEMENTS and scope.rule.element != element:
            scope.infer.report(
                "E0206", f"`{verb}` is for {element}s, and this rule is on {scope.rule.element}",
                [(effect.span, f"needs {_a(element)}"),
                 (name_in(scope.rule.span, scope.rule.element), "here")],
                help=(f"write a rule `on {element}`",))
        scope.expr(effect, lambda: None, Stratum.NUMERICS)

    return rule


def _run(scope: RuleScope, effect: Run) -> None:
    if scope.rule.element in ELEMENTS and scope.rule.element != "step":
        scope.infer.report(
            "E0206", f"`run` is for the step, and this rule is on {scope.rule.element}",
            [(effect.span, "needs a step"),
             (name_in(scope.rule.span, scope.rule.element), "here")],
            help=("write a rule `on step`",))
    models = [n for n, k in scope.infer.names.items() if k.kind.name == "model"]
    scope.word(effect.model, models or ("a `model NAME = ...`",), "second model", effect.span)
    scope.infer.used.add(effect.model)
    times = effect.times
    scope.expr(effect, lambda: within(scope.infer, times, scope.infer.ratio(times, "a count"),
                                      AMOUNT, "`run`"), Stratum.SCHEDULE)


def _overlap(scope: RuleScope, effect: Overlap) -> None:
    if scope.rule.element in ("layer", "step"):
        scope.infer.report(
            "E0206", f"`overlap` is for what moves, and this rule is on {scope.rule.element}",
            [(effect.span, "nothing of it moves"),
             (name_in(scope.rule.span, scope.rule.element), "here")],
            help=("write a rule on the tensor that moves, such as `on weight`",))
    scope.word(effect.what, OVERLAPPABLE, "obligation", effect.span)
    scope.word(effect.stream, STREAMS, "stream", effect.span)
    share = effect.share
    scope.expr(effect, lambda: _share(scope, share, "`overlap`"), Stratum.SCHEDULE)


def _share(scope: RuleScope, share: Expr | None, what: str) -> None:
    if share is not None:
        within(scope.infer, share, scope.infer.ratio(share, "a share"), SHARE, what)


_CHECKS: Mapping[type, Callable[..., None]] = {
    Write: _write,
    Shard: _shard,
    Reduce: _collective,
    Gather: _collective,
    Exchange: _collective,
    Send: _collective,
    Rotate: _collective,
    Place: _place,
    Drop: _only("activation", "drop"),
    Keep: _only("activation", "keep"),
    Fuse: _only("op", "fuse"),
    Run: _run,
    Overlap: _overlap,
}
