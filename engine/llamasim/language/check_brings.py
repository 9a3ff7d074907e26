"""Checks what techniques bring: weights and ops beside or after others."""

from __future__ import annotations

from llamasim.diagnostics import Span, nearest
from llamasim.language.ast import Bring, Expr
from llamasim.language.bounds import field_bounds
from llamasim.language.check_globs import check_bring
from llamasim.language.check_writes import with_unit
from llamasim.language.infer import Infer
from llamasim.language.infer_arithmetic import within
from llamasim.language.reach import Names
from llamasim.language.scope import Declared, declare, name_in
from llamasim.language.vocabulary import BRING_FIELDS, OP_KINDS
from llamasim.units import NONE


def check_brought(m: Bring, names: Names, infer: Infer) -> None:
    """Check one `bring`: what it brings, where, and its fields."""
    if m.what not in ("weight", "op"):
        infer.report("E0207", f"`bring {m.what}` brings nothing",
                     [(name_in(m.span, m.what), "neither weight nor op")],
                     help=("write `bring weight NAME on ...` or `bring op NAME after ...`",))
    check_bring(m, names, infer)
    seen: dict[str, Declared] = {}
    for field in m.fields:
        declare(seen, field.name, "field", field.span, infer.diagnostics)
        _field(infer, field.name, field.span, field.value)
    if m.what == "weight" and not {"dim_in", "dim_out"} <= set(seen):
        lacking = " and ".join(f"`{n}`" for n in ("dim_in", "dim_out") if n not in seen)
        infer.report("E0206", f"`{m.name}` lacks {lacking}",
                     [(name_in(m.span, m.name), "a weight has two dims")],
                     help=("add `dim_in: weight.dim_in, dim_out: rank` or so",))


def _field(infer: Infer, name: str, span: Span, value: Expr) -> None:
    wanted = BRING_FIELDS.get(name)
    if wanted is None:
        guess = nearest(name, BRING_FIELDS)
        infer.report("E0206", f"`bring` has no field `{name}`",
                     [(name_in(span, name), "unknown")],
                     help=(f"did you mean `{guess}`?" if guess else
                           f"fields are {', '.join(BRING_FIELDS)}",))
        return
    if wanted[0] == "bool":
        infer.truth(value)
    elif wanted[0] == "number":
        kind = infer.number(value)
        if kind.name == "number" and kind.dimension != (wanted[1] or NONE):
            infer.report("E0201", f"`{name}` is {wanted[1]}, and this is {kind.text}",
                         [(value.span, kind.text)],
                         help=(f"write `{with_unit(value, wanted[1] or NONE)}`"
                               if kind.dimension.is_ratio else
                               f"divide or multiply it until it is {wanted[1]}",))
        else:
            within(infer, value, kind, field_bounds(name), f"`{name}`")
    else:
        _kind(infer, value)


def _kind(infer: Infer, value: Expr) -> None:
    word = infer.infer(value).word
    if word is not None and word not in OP_KINDS:
        guess = nearest(word, OP_KINDS)
        infer.report("E0207", f"there is no kind of op `{word}`", [(value.span, "not a kind")],
                     help=(f"did you mean `{guess}`?" if guess else
                           f"write one of {', '.join(OP_KINDS)}",))
