"""Effects of rules in the syntax tree. Other rooms take these names from `ast`."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from llamasim.diagnostics import Span
from llamasim.language.ast_expr import Expr


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
    """`place [SHARE] on host|disk|device`; without a share, all of it."""

    span: Span = attrs.field(eq=False, repr=False)
    where: str
    share: Expr | None = None


@attrs.frozen
class Drop:
    """`drop`: do not keep this activation for the backward pass."""

    span: Span = attrs.field(eq=False, repr=False)


@attrs.frozen
class Keep:
    """`keep`: keep this activation for the backward pass, though others say `drop`."""

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
    Write | Shard | Reduce | Gather | Exchange | Send | Rotate | Place | Drop | Keep | Fuse | Run
    | Overlap
)
