"""The typed syntax tree of rule files. Every node is frozen and carries its span first.

Spans do not take part in equality, so `parse(show(parse(s))) == parse(s)` compares meaning.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span
from llamasim.language.ast_effects import (
    Drop,
    Effect,
    Exchange,
    Fuse,
    Gather,
    Keep,
    Overlap,
    Place,
    Reduce,
    Rotate,
    Run,
    Send,
    Shard,
    Write,
)
from llamasim.language.ast_expr import (
    Among,
    Binary,
    Bool,
    Call,
    Cond,
    Domain,
    Expr,
    Number,
    Path,
    RangeDomain,
    SetDomain,
    Unary,
    children,
    paths_read,
)

__all__ = [
    "Advise",
    "Among",
    "Arg",
    "Axis",
    "Binary",
    "Bool",
    "Bring",
    "BringField",
    "Call",
    "Claim",
    "Cond",
    "Conflicts",
    "Const",
    "Domain",
    "Drop",
    "Effect",
    "Exchange",
    "Expect",
    "Expr",
    "ExtraModel",
    "Function",
    "Fuse",
    "Gather",
    "Given",
    "Glob",
    "Import",
    "Item",
    "Keep",
    "Let",
    "Member",
    "Module",
    "Number",
    "Overlap",
    "Param",
    "Path",
    "Place",
    "RangeDomain",
    "Reduce",
    "Refines",
    "Requires",
    "Rotate",
    "Rule",
    "Run",
    "Send",
    "SetDomain",
    "Shard",
    "SourceDecl",
    "Technique",
    "Test",
    "Unary",
    "Write",
    "children",
    "paths_read",
]


@attrs.frozen
class Glob:
    """A dotted pattern of element names; `*` stands for one or more characters or segments."""

    span: Span = attrs.field(eq=False, repr=False)
    text: str


@attrs.frozen
class Rule:
    """`on ELEMENT of GLOBS except GLOBS tokens RANGE during PHASES where EXPR { effects }`.

    `tokens` are the positions of a cache that the rule is about: from the start where they are not
    negative, from the newest token back where they are.
    """

    span: Span = attrs.field(eq=False, repr=False)
    element: str
    globs: tuple[Glob, ...]
    excepts: tuple[Glob, ...]
    phases: tuple[str, ...]
    where: Expr | None
    effects: tuple[Effect, ...]
    doc: str = ""
    tokens: tuple[Expr, Expr] | None = None


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
    """`bring weight NAME on PATTERN { ... }` or `bring op NAME after PATTERN { ... }`.

    `on` puts a weight's product beside the matrix products of the pattern, `after` in series.
    """

    span: Span = attrs.field(eq=False, repr=False)
    what: Literal["weight", "op"]
    name: str
    globs: tuple[Glob, ...]
    fields: tuple[BringField, ...]
    doc: str = ""
    after: bool = False


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
    """`model llama3_8b`, `cluster h100_1`, `use mine(group_size: 128)`, `workload ...`."""

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

    def full_name(self, name: str) -> str:
        """Return the full name of a technique that this module speaks of, through its imports."""
        head, _, rest = name.partition(".")
        for imported in self.imports:
            if imported.alias == head and rest:
                return f"{imported.module}.{rest}"
        return name if "." in name else f"{self.name}.{name}"

    def technique(self, name: str) -> Technique | None:
        """Return the technique of that name, if this module declares it."""
        for item in self.items:
            if isinstance(item, Technique) and item.name == name:
                return item
        return None
