"""Random syntax trees."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from llamasim.diagnostics import Source, Span
from llamasim.language import ast
from llamasim.language.keywords import KEYWORDS
from llamasim.units import UNITS

SPAN = Span(Source("random", ""), 1, 1, 1, 2)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True).filter(lambda n: n not in KEYWORDS)
dotted = st.lists(names, min_size=1, max_size=3).map(".".join)
texts = st.text(st.characters(codec="ascii", exclude_characters='"\n\r', min_codepoint=32),
                max_size=12)
docs = st.lists(st.from_regex(r"[A-Za-z#\"][A-Za-z .#]{0,8}[a-z]", fullmatch=True),
                max_size=2).map("\n".join)
units = st.none() | st.sampled_from(list(UNITS))
values = st.integers(0, 10**6).map(float) | st.floats(1e-9, 1e20, allow_nan=False)
globs = st.from_regex(r"[a-z0-9*_]{1,5}(\.[a-z0-9*_]{1,5}){0,2}", fullmatch=True).map(
    lambda t: ast.Glob(SPAN, t))


def _node(cls: Any, **fields: Any) -> st.SearchStrategy[Any]:
    return st.builds(lambda **k: cls(SPAN, **k), **fields)


leaves = (
    _node(ast.Number, value=values, unit=units)
    | _node(ast.Bool, value=st.booleans())
    | _node(ast.Path, parts=st.lists(names, min_size=1, max_size=3).map(tuple))
)
OPERATORS = ("+", "-", "*", "/", "^", "==", "!=", "<=", ">=", "<", ">", "and", "or", "divides")


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    some = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return (
        _node(ast.Unary, op=st.sampled_from(("-", "not")), operand=inner)
        | _node(ast.Binary, op=st.sampled_from(OPERATORS), left=inner, right=inner)
        | _node(ast.Among, item=inner, options=some)
        | _node(ast.Cond, test=inner, then=inner, other=inner)
        | _node(ast.Call, name=names, args=st.lists(inner, max_size=2).map(tuple))
    )


exprs = st.recursive(leaves, _deeper, max_leaves=8)
some_exprs = st.lists(exprs, min_size=1, max_size=3).map(tuple)
maybe = st.none() | exprs
effects = st.one_of(
    _node(ast.Write, verb=st.sampled_from(("set", "scale", "add", "cap", "raise")), cell=dotted,
          value=exprs),
    _node(ast.Shard, dim=names, axis=names),
    _node(ast.Reduce, axis=names),
    _node(ast.Gather, axis=names, until=st.none() | names),
    _node(ast.Exchange, amount=exprs, axis=names),
    _node(ast.Send, axis=names),
    _node(ast.Rotate, axis=names),
    _node(ast.Place, where=names),
    _node(ast.Drop),
    _node(ast.Fuse, name=names),
    _node(ast.Run, model=names, times=exprs),
    _node(ast.Overlap, what=names, stream=names, share=maybe),
)
_globs = st.lists(globs, max_size=3).map(tuple)
_pattern = st.lists(globs, min_size=1, max_size=3).map(tuple)
_fields = st.lists(_node(ast.BringField, name=names, value=exprs), max_size=2).map(tuple)
domains = _node(ast.RangeDomain, low=exprs, high=exprs) | _node(ast.SetDomain, options=some_exprs)
members = st.one_of(
    _node(ast.Param, name=names, type=names, domain=st.none() | domains, default=maybe, doc=docs),
    _node(ast.Let, name=names, value=exprs, doc=docs),
    _node(ast.Axis, name=names, size=exprs, inside=st.none() | names, doc=docs),
    _node(ast.ExtraModel, name=names, value=exprs, doc=docs),
    _node(ast.Bring, what=st.sampled_from(("weight", "op")), name=names, globs=_pattern,
          fields=_fields, doc=docs),
    _node(ast.Requires, test=exprs, message=st.none() | texts, doc=docs),
    _node(ast.Advise, test=exprs, message=texts, doc=docs),
    _node(ast.Conflicts, other=dotted, because=st.none() | texts, doc=docs),
    _node(ast.Refines, other=dotted, because=st.none() | texts, doc=docs),
    _node(ast.Claim, metric=names, low=exprs, high=exprs, scope=st.none() | texts, when=maybe,
          sources=st.lists(names, min_size=1, max_size=2).map(tuple), note=st.none() | texts,
          doc=docs),
    _node(ast.Rule, element=names, globs=_globs, excepts=_globs,
          phases=st.lists(names, max_size=2).map(tuple), where=maybe,
          effects=st.lists(effects, max_size=3).map(tuple), doc=docs),
)
_args = st.lists(_node(ast.Arg, name=names, value=exprs), max_size=2).map(tuple)
items = st.one_of(
    _node(ast.SourceDecl, name=names, text=texts, doc=docs),
    _node(ast.Const, name=names, type=names, value=exprs, doc=docs),
    _node(ast.Function, name=names, type=names, body=exprs, doc=docs,
          formals=st.lists(st.tuples(names, names), max_size=2).map(tuple)),
    _node(ast.Technique, name=names, members=st.lists(members, max_size=4).map(tuple), doc=docs),
    _node(ast.Test, title=texts, doc=docs,
          givens=st.lists(_node(ast.Given, what=names, target=st.none() | dotted, args=_args),
                          max_size=2).map(tuple),
          expects=st.lists(
              _node(ast.Expect, value=exprs, low=st.none(), high=st.none())
              | _node(ast.Expect, value=exprs, low=exprs, high=exprs), max_size=2).map(tuple)),
)
modules = _node(
    ast.Module, edition=st.just(2026), name=dotted,
    imports=st.lists(_node(ast.Import, module=dotted, alias=st.none() | names),
                     max_size=2).map(tuple),
    items=st.lists(items, max_size=3).map(tuple),
)
