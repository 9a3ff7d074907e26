"""Kinds and dimensions of expressions: what an expression is, before it has a value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import (
    Among,
    Binary,
    Bool,
    Call,
    Cond,
    Expr,
    Function,
    Number,
    Path,
    Unary,
)
from llamasim.language.caps import MOST_FINDINGS
from llamasim.language.infer_arithmetic import arithmetic, same_dimension
from llamasim.language.kinds import ANY, BOOL, Kind, Known, Read, either, negative, number
from llamasim.language.narrow import NO_FACTS, Facts, every, facts_of
from llamasim.language.types import TRUTHS
from llamasim.language.vocabulary import ROOTS, VOCABULARY, Attribute
from llamasim.units import NONE, UNITS
from llamasim.units.spelling import or_list, units_meant


@attrs.define
class Infer:
    """Infers kinds in one scope, and notes what is wrong, what is read and which names are used.

    Attributes:
        names: declared names; any other bare word is a symbol.
        functions: functions declared so far; `later` those that come after.
        axes: names of mesh axes.
        lenient: whether unknown attributes are let pass (the tests of rule files ask of results).
        facts: what the conditions around say of numbers; None where they are not looked at.
        faulty: functions that are wrong wherever they are called.
        below: names that are declared further down.

    """

    names: Mapping[str, Known] = attrs.field(factory=dict)
    functions: Mapping[str, Function] = attrs.field(factory=dict)
    later: frozenset[str] = frozenset()
    axes: tuple[str, ...] = ()
    lenient: bool = False
    diagnostics: list[Diagnostic] = attrs.field(factory=list)
    reads: list[Read] = attrs.field(factory=list)
    used: set[str] = attrs.field(factory=set)
    facts: Facts | None = NO_FACTS
    faulty: Collection[str] = ()
    below: Collection[str] = ()

    def infer(self, expr: Expr) -> Kind:
        """Return what an expression is; `ANY` behind a mistake, so that it is told once."""
        if self.full:
            return ANY
        kind = _RULES[type(expr)](self, expr)
        if self.facts and kind.name == "number" and expr in self.facts:
            return self.facts[expr].of(kind)
        return kind

    @property
    def full(self) -> bool:
        """Whether enough is wrong that no more need be found."""
        return len(self.diagnostics) >= MOST_FINDINGS

    def report(
        self, code: str, message: str, labels: Iterable[tuple[Span, str]], *, why: str = "",
        help: Iterable[str] = (),
    ) -> Kind:
        """Note an error; the first label is the primary one."""
        drawn = tuple(Label(s, t, primary=k == 0) for k, (s, t) in enumerate(labels))
        self.diagnostics.append(Diagnostic(code, message, drawn, why=why, help=tuple(help)))
        return ANY

    # What an expression must be.

    def number(self, expr: Expr, unit: bool = False) -> Kind:
        """Infer an expression that must be a number; `unit` lets a bare unit stand for one."""
        kind = self.infer(expr)
        if kind.name in ("number", "any"):
            return kind
        if kind.word is not None:
            if unit and kind.word in UNITS:
                known = UNITS[kind.word]
                return number(known.dimension, known.value)
            return self.unknown_word(expr.span, kind.word)
        return self.report("E0209", f"this is {kind.text}, and a number is needed",
                           [(expr.span, kind.text)], help=("write a number or compare it",))

    def ratio(self, expr: Expr, role: str) -> Kind:
        """Infer an expression that must be a plain number."""
        kind = self.number(expr)
        if kind.name == "number" and not kind.dimension.is_ratio:
            way = "divide it by a quantity of the same dimension"
            if isinstance(expr, Number):
                way = f"write `{expr.value:g}{' %' if role == 'a share' else ''}`"
            return self.report("E0201", f"{role} is a plain number, not {kind.dimension}",
                               [(expr.span, str(kind.dimension))], help=(way,))
        return kind

    def truth(self, expr: Expr) -> None:
        """Check an expression that must be true or false."""
        kind = self.infer(expr)
        if kind.name in ("bool", "any"):
            return
        if kind.word is not None:
            self.unknown_word(expr.span, kind.word)
            return
        way = "compare it, as in `x > 0`" if kind.name == "number" else "compare it with `==`"
        self.report("E0209", f"this is {kind.text}, and true or false is needed",
                    [(expr.span, kind.text)], help=(way,))

    def unknown_word(self, span: Span, word: str) -> Kind:
        """Note a bare word that stands where only a declared name can."""
        if word.lower() in TRUTHS:
            return self.report("E0202", f"there is no `{word}` here", [(span, "not declared")],
                               help=(f"write `{TRUTHS[word.lower()]}`",))
        if word in self.below:
            return self.report("E0202", f"`{word}` is declared further down",
                               [(span, "not yet declared")],
                               why="what is declared reads only what stands above it",
                               help=(f"move the declaration of `{word}` above",))
        known = [*self.names, *self.axes]
        guess = nearest(word, known) or nearest(word, list(VOCABULARY))
        ways = (f"did you mean `{guess}`?",) if guess else (
            f"declare it: `param {word}: Int = 1` or `let {word} = ...`",)
        return self.report("E0202", f"there is no `{word}` here", [(span, "not declared")],
                           help=ways)

    # Names.

    def _path(self, expr: Path) -> Kind:
        if len(expr.parts) == 1:
            return self._word(expr.span, expr.parts[0])
        attribute = VOCABULARY.get(expr.text)
        if attribute is not None:
            self.reads.append(Read(attribute, expr.span))
            return kind_of(attribute)
        if self.lenient:
            return ANY
        first = expr.parts[0]
        if first in self.names and self.names[first].kind.name == "model":
            self.used.add(first)
            own = VOCABULARY.get(".".join(("model", *expr.parts[1:])))
            if own is not None:
                return kind_of(own)
        return self._unknown_path(expr)

    def _word(self, span: Span, word: str) -> Kind:
        known = self.names.get(word)
        if known is None:
            return Kind("symbol", symbols=(word,), word=word)
        self.used.add(word)
        self.reads += [attrs.evolve(r, span=span, let=r.let or r.span) for r in known.reads]
        fact = self.facts.get(known.value) if self.facts and known.value is not None else None
        return fact.of(known.kind) if fact and known.kind.name == "number" else known.kind

    def _unknown_path(self, expr: Path) -> Kind:
        guess = nearest(expr.text, VOCABULARY)
        if guess is None:
            same = [p for p in VOCABULARY if p.partition(".")[0] == expr.parts[0]]
            ways = (f"`{expr.parts[0]}` has {', '.join(p.partition('.')[2] for p in same)}",)
            ways = ways if same else (f"attributes begin with {', '.join(ROOTS)}",)
        else:
            ways = (f"did you mean `{guess}`?",)
        return self.report("E0202", f"there is no attribute `{expr.text}`",
                           [(expr.span, "not an attribute")], help=ways)

    # Literals and operators.

    def _number(self, expr: Number) -> Kind:
        if expr.unit is None:
            return number(NONE, expr.value)
        unit = UNITS.get(expr.unit)
        if unit is None:
            guess = nearest(expr.unit, UNITS)
            meant = units_meant(expr.unit) or ((guess,) if guess else ())
            ways = (f"did you mean {or_list(meant)}?",) if meant else (
                "units are bit, B, GB, GiB, s, ms, us, FLOP, tok, J, USD and their like",)
            return self.report("E0203", f"`{expr.unit}` is not a unit",
                               [(expr.span, "unknown unit")], help=ways)
        return number(unit.dimension, expr.value * unit.value)

    def _bool(self, expr: Bool) -> Kind:
        return BOOL

    def _unary(self, expr: Unary) -> Kind:
        if expr.op == "not":
            self.truth(expr.operand)
            return BOOL
        kind = self.number(expr.operand)
        return kind if kind.name == "any" else negative(kind)

    def _binary(self, expr: Binary) -> Kind:
        op = expr.op
        if op in ("and", "or"):
            self.truth(expr.left)
            self.guard(expr.left, op == "and", lambda: self.truth(expr.right))
            return BOOL
        if op in ("==", "!="):
            return self.equality(expr.span, (expr.left, expr.right), op)
        if op == "divides":
            self.ratio(expr.left, "what divides")
            self.ratio(expr.right, "what is divided")
            return BOOL
        return arithmetic(self, expr)

    def guard(self, test: Expr, holds: bool, then: Callable[[], object]) -> None:
        """Infer something where a condition holds, or where it does not."""
        before = self.facts
        if before is not None:
            self.facts = every(before, facts_of(test, holds, self.names, self.look))
        then()
        self.facts = before

    def look(self, expr: Expr) -> Kind:
        """Return what an expression is, without a finding and whatever is around it."""
        return Infer(self.names, self.functions, self.later, self.axes, self.lenient,
                     facts=None).infer(expr)

    def equality(self, span: Span, sides: tuple[Expr, Expr], op: str) -> Kind:
        """Check that two expressions can be equal."""
        left, right = (self.infer(s) for s in sides)
        if left.word is not None and right.word is not None:
            return self.unknown_word(sides[0].span, left.word)
        kinds = {left.name, right.name}
        if "any" in kinds:
            return BOOL
        if kinds == {"number"}:
            same_dimension(self, Binary(span, "==", *sides), left, right)
        elif kinds == {"symbol"}:
            self.one_of(sides[0], left, right)
            self.one_of(sides[1], right, left)
        elif len(kinds) > 1:
            for side, kind in zip(sides, (left, right), strict=True):
                if kind.word is not None:
                    return self.unknown_word(side.span, kind.word)
            self.report("E0209", f"{left.text} and {right.text} cannot be compared",
                        [(sides[0].span, left.text), (sides[1].span, right.text)],
                        help=("compare things of one kind",))
        return BOOL

    def one_of(self, expr: Expr, kind: Kind, allowed: Kind) -> None:
        """Note a bare word that the other side can never be."""
        if kind.word is None or allowed.symbols is None or kind.word in allowed.symbols:
            return
        guess = nearest(kind.word, allowed.symbols)
        listed = ", ".join(allowed.symbols)
        few = allowed.symbols[:_FEW]
        text = ", ".join(few) + (", ..." if len(few) < len(allowed.symbols) else "")
        self.report("E0207", f"`{kind.word}` is not one of {text}",
                    [(expr.span, "never the case")],
                    help=(f"did you mean `{guess}`?",) if guess else (f"write one of {listed}",))

    def _among(self, expr: Among) -> Kind:
        for option in expr.options:
            self.equality(expr.span, (expr.item, option), "in")
        return BOOL

    def _cond(self, expr: Cond) -> Kind:
        self.truth(expr.test)
        kinds: list[Kind] = []
        self.guard(expr.test, True, lambda: kinds.append(self.infer(expr.then)))
        self.guard(expr.test, False, lambda: kinds.append(self.infer(expr.other)))
        then, other = kinds
        if "any" in (then.name, other.name):
            return ANY
        if then.name != other.name or then.dimension != other.dimension:
            return self.report(
                "E0209", f"one branch is {then.text}, the other {other.text}",
                [(expr.then.span, then.text), (expr.other.span, other.text)],
                help=("let both branches give the same kind of value",))
        if then.name == "number":
            return either(then, other)
        symbols = (*then.symbols, *other.symbols) if then.symbols and other.symbols else None
        return Kind(then.name, symbols=symbols)

    def _call(self, expr: Call) -> Kind:
        from llamasim.language.infer_calls import infer_call

        return infer_call(self, expr)


#: As many words as a message lists.
_FEW = 6


def kind_of(attribute: Attribute) -> Kind:
    """Return what an attribute is."""
    if attribute.kind == "number":
        return Kind("number", attribute.dimension, low=attribute.low)
    return BOOL if attribute.kind == "bool" else Kind("symbol", symbols=attribute.symbols)


_RULES: Mapping[type, Callable[..., Kind]] = {
    Number: Infer._number,
    Bool: Infer._bool,
    Path: Infer._path,
    Unary: Infer._unary,
    Binary: Infer._binary,
    Among: Infer._among,
    Cond: Infer._cond,
    Call: Infer._call,
}
