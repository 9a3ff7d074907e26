"""The typed syntax tree of rule files. Every node is frozen and carries its span first.

Spans do not take part in equality, so `parse(show(parse(s))) == parse(s)` compares meaning.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span

# --- expressions ---------------------------------------------------------------------------------


@attrs.frozen
class Number:
    """A plain number, a percentage (`unit="%"`) or a number with a unit (`16 bit`)."""

    span: Span = attrs.field(eq=False, repr=False)
    value: float
    unit: str | None = None


@attrs.frozen
class Bool:
    """`true` or `false`."""

    span: Span = attrs.field(eq=False, repr=False)
    value: bool


@attrs.frozen
class Path:
    """A name, dotted: a parameter, a let, a constant, an attribute (`layer.index`) or a symbol."""

    span: Span = attrs.field(eq=False, repr=False)
    parts: tuple[str, ...]

    @property
    def text(self) -> str:
        """The path as written."""
        return ".".join(self.parts)


@attrs.frozen
class Unary:
    """`-x` or `not x`."""

    span: Span = attrs.field(eq=False, repr=False)
    op: Literal["-", "not"]
    operand: Expr


@attrs.frozen
class Binary:
    """Arithmetic, comparison, logic, or `a divides b`."""

    span: Span = attrs.field(eq=False, repr=False)
    op: Literal["+", "-", "*", "/", "^", "==", "!=", "<=", ">=", "<", ">", "and", "or", "divides"]
    left: Expr
    right: Expr


@attrs.frozen
class Among:
    """`x in {a, b}`."""

    span: Span = attrs.field(eq=False, repr=False)
    item: Expr
    options: tuple[Expr, ...]


@attrs.frozen
class Cond:
    """`if a then b else c`."""

    span: Span = attrs.field(eq=False, repr=False)
    test: Expr
    then: Expr
    other: Expr


@attrs.frozen
class Call:
    """A call of a built-in or of an earlier function; arguments may be a glob for aggregates."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    args: tuple[Expr, ...]


Expr: TypeAlias = Number | Bool | Path | Unary | Binary | Among | Cond | Call


@attrs.frozen
class RangeDomain:
    """`1..16`, both ends included."""

    span: Span = attrs.field(eq=False, repr=False)
    low: Expr
    high: Expr


@attrs.frozen
class SetDomain:
    """`{32, 64, 128}`."""

    span: Span = attrs.field(eq=False, repr=False)
    options: tuple[Expr, ...]


Domain: TypeAlias = RangeDomain | SetDomain

# --- effects -------------------------------------------------------------------------------------


@attrs.frozen
class Write:
    """`set|scale|add|cap|raise` of a cell, e.g. `set numerics.bits = 4 bit`."""

    span: Span = attrs.field(eq=False, repr=False)
    verb: Literal["set", "scale", "add", "cap", "raise"]
    cell: str
    value: Expr


@attrs.frozen
class Shard:
    """`shard DIM over AXIS`."""

    span: Span = attrs.field(eq=False, repr=False)
    dim: str
    axis: str


@attrs.frozen
class Reduce:
    """`reduce over AXIS`: resolve the partial sum here."""

    span: Span = attrs.field(eq=False, repr=False)
    axis: str


@attrs.frozen
class Gather:
    """`gather over AXIS [until LIFETIME]`."""

    span: Span = attrs.field(eq=False, repr=False)
    axis: str
    until: str | None = None


@attrs.frozen
class Exchange:
    """`exchange EXPR over AXIS`: an all-to-all of that much data per device."""

    span: Span = attrs.field(eq=False, repr=False)
    amount: Expr
    axis: str


@attrs.frozen
class Send:
    """`send over AXIS`: point to point to the next member."""

    span: Span = attrs.field(eq=False, repr=False)
    axis: str


@attrs.frozen
class Rotate:
    """`rotate over AXIS`: pass this tensor's shards round a ring until all were seen."""

    span: Span = attrs.field(eq=False, repr=False)
    axis: str


@attrs.frozen
class Place:
    """`place on host|disk|device`."""

    span: Span = attrs.field(eq=False, repr=False)
    where: str


@attrs.frozen
class Drop:
    """`drop`: do not keep this activation for the backward pass."""

    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen
class Fuse:
    """`fuse as NAME`: ops of a block with the same name run as one kernel."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str


@attrs.frozen
class Run:
    """`run MODEL times EXPR`."""

    span: Span = attrs.field(eq=False, repr=False)
    model: str
    times: Expr


@attrs.frozen
class Overlap:
    """`overlap WHAT with STREAM [up to EXPR]`; what is an obligation's verb."""

    span: Span = attrs.field(eq=False, repr=False)
    what: str
    stream: str
    share: Expr | None = None


Effect: TypeAlias = (
    Write | Shard | Reduce | Gather | Exchange | Send | Rotate | Place | Drop | Fuse | Run | Overlap
)

# --- members and declarations --------------------------------------------------------------------


@attrs.frozen
class Glob:
    """A dotted pattern of element names; `*` stands for one or more characters or segments."""

    span: Span = attrs.field(eq=False, repr=False)
    text: str


@attrs.frozen
class Rule:
    """`on ELEMENT of GLOBS except GLOBS during PHASES where EXPR { effects }`."""

    span: Span = attrs.field(eq=False, repr=False)
    element: str
    globs: tuple[Glob, ...]
    excepts: tuple[Glob, ...]
    phases: tuple[str, ...]
    where: Expr | None
    effects: tuple[Effect, ...]
    doc: str = ""


@attrs.frozen
class Param:
    """A parameter with a type, a domain and a default."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    type: str
    domain: Domain | None
    default: Expr | None
    doc: str = ""


@attrs.frozen
class Let:
    """A named expression, inlined where it is used."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    value: Expr
    doc: str = ""


@attrs.frozen
class Axis:
    """`axis NAME size EXPR [inside AXIS]`: a mesh axis."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    size: Expr
    inside: str | None = None
    doc: str = ""


@attrs.frozen
class ExtraModel:
    """`model NAME = EXPR`: a second model graph."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    value: Expr
    doc: str = ""


@attrs.frozen
class BringField:
    """`NAME = EXPR` inside `bring`: dim_in, dim_out, trainable, bits, kind, flops, read, write."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    value: Expr


@attrs.frozen
class Bring:
    """`bring weight NAME on PATTERN { ... }` or `bring op NAME after PATTERN { ... }`."""

    span: Span = attrs.field(eq=False, repr=False)
    what: Literal["weight", "op"]
    name: str
    globs: tuple[Glob, ...]
    fields: tuple[BringField, ...]
    doc: str = ""


@attrs.frozen
class Requires:
    """`requires EXPR else "..."`."""

    span: Span = attrs.field(eq=False, repr=False)
    test: Expr
    message: str | None
    doc: str = ""


@attrs.frozen
class Advise:
    """`advise EXPR else "..."`: a warning, not an error."""

    span: Span = attrs.field(eq=False, repr=False)
    test: Expr
    message: str
    doc: str = ""


@attrs.frozen
class Conflicts:
    """`conflicts with MODULE.TECHNIQUE because "..."`."""

    span: Span = attrs.field(eq=False, repr=False)
    other: str
    because: str | None
    doc: str = ""


@attrs.frozen
class Refines:
    """`refines MODULE.TECHNIQUE`: this technique's `set`s replace the other's on the overlap."""

    span: Span = attrs.field(eq=False, repr=False)
    other: str
    because: str | None
    doc: str = ""


@attrs.frozen
class Claim:
    """A sourced interval about accuracy (`perplexity_delta: 0.1..0.3 for "wikitext2" from x`)."""

    span: Span = attrs.field(eq=False, repr=False)
    metric: str
    low: Expr
    high: Expr
    scope: str | None
    when: Expr | None
    sources: tuple[str, ...]
    note: str | None
    doc: str = ""


Member: TypeAlias = (
    Param | Let | Axis | ExtraModel | Bring | Requires | Advise | Conflicts | Refines | Rule | Claim
)


@attrs.frozen
class SourceDecl:
    """`source NAME = "citation"`."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    text: str
    doc: str = ""


@attrs.frozen
class Const:
    """`const NAME: TYPE = EXPR`."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    type: str
    value: Expr
    doc: str = ""


@attrs.frozen
class Function:
    """A total function: no recursion, calls only earlier ones."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    formals: tuple[tuple[str, str], ...]
    type: str
    body: Expr
    doc: str = ""


@attrs.frozen
class Technique:
    """A named set of facts."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    members: tuple[Member, ...]
    doc: str = ""


@attrs.frozen
class Arg:
    """`name: value` in a test's `given`."""

    span: Span = attrs.field(eq=False, repr=False)
    name: str
    value: Expr


@attrs.frozen
class Given:
    """`model llama3_8b`, `cluster h100_1`, `use int4_weights(group_size: 128)`, `workload ...`."""

    span: Span = attrs.field(eq=False, repr=False)
    what: str
    target: str | None
    args: tuple[Arg, ...]


@attrs.frozen
class Expect:
    """`expect EXPR [within LOW..HIGH]`."""

    span: Span = attrs.field(eq=False, repr=False)
    value: Expr
    low: Expr | None
    high: Expr | None


@attrs.frozen
class Test:
    """A rule file's own test."""

    span: Span = attrs.field(eq=False, repr=False)
    title: str
    givens: tuple[Given, ...]
    expects: tuple[Expect, ...]
    doc: str = ""


Item: TypeAlias = SourceDecl | Const | Function | Technique | Test


@attrs.frozen
class Import:
    """`import MODULE [as NAME]`."""

    span: Span = attrs.field(eq=False, repr=False)
    module: str
    alias: str | None


@attrs.frozen
class Module:
    """One rule file."""

    span: Span = attrs.field(eq=False, repr=False)
    edition: int
    name: str
    imports: tuple[Import, ...]
    items: tuple[Item, ...]

    def technique(self, name: str) -> Technique | None:
        """Return the technique of that name, if this module declares it."""
        for item in self.items:
            if isinstance(item, Technique) and item.name == name:
                return item
        return None


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly inside an expression."""
    if isinstance(expr, Unary):
        return (expr.operand,)
    if isinstance(expr, Binary):
        return (expr.left, expr.right)
    if isinstance(expr, Among):
        return (expr.item, *expr.options)
    if isinstance(expr, Cond):
        return (expr.test, expr.then, expr.other)
    return expr.args if isinstance(expr, Call) else ()


def paths_read(expr: Expr) -> frozenset[str]:
    """Return every dotted name that an expression reads."""
    if isinstance(expr, Path):
        return frozenset((expr.text,))
    found: frozenset[str] = frozenset()
    return found.union(*(paths_read(c) for c in children(expr)))
