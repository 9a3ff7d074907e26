"""Random rule files that mostly parse: declarations, rules and expressions by the grammar."""

from __future__ import annotations

import random

from tests.fuzz.words import NUMBERS

from llamasim.language.cells import CELLS, ELEMENTS, LIFETIMES, MATH, PHASES, PLACES
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import OVERLAPPABLE, SHARD_DIMS, STREAMS, VOCABULARY
from llamasim.units import UNITS

_NAMES = ("a", "b", "c", "p", "q", "f", "g", "tp", "dp", "x1")
_GLOBS = ("*", "*.attn.*", "*.mlp.*", "layers.3.*", "head", "embed", "*.attn.{q}", "nowhere.*")
_READS = tuple(VOCABULARY)
_BINARY = ("+", "-", "*", "/", "^", "==", "!=", "<", ">=", "and", "or", "divides")
_CALLS = ("floor", "ceil", "log2", "mod", "min", "max", "sum", "count", "axis_size", "global", "f",
          "g")


def rules(draw: random.Random) -> str:
    """Return a whole file."""
    items = "\n".join(_item(draw) for _ in range(draw.randint(1, 4)))
    return f"edition 2026\nmodule m\n{items}\n"


def damaged_rules(draw: random.Random) -> str:
    """Return a whole file with a character or a word of it gone."""
    text = rules(draw)
    at = draw.randrange(len(text))
    return text[:at] + text[at + draw.choice((1, 1, 4)):]


def _item(draw: random.Random) -> str:
    name, other = draw.choice(_NAMES), draw.choice(_NAMES)
    kind = draw.random()
    if kind < 0.1:
        return f'source {name} = "where it is from"'
    if kind < 0.25:
        return f"const {name}: {_type(draw)} = {_expr(draw, 3)}"
    if kind < 0.4:
        return f"fn {name}({other}: {_type(draw)}): {_type(draw)} = {_expr(draw, 3)}"
    if kind < 0.5:
        return (f'test "t" {{ given use {name}({other}: {_expr(draw, 1)}) '
                f"expect {_expr(draw, 2)} within {_expr(draw, 1)}..{_expr(draw, 1)} }}")
    members = "\n  ".join(_member(draw) for _ in range(draw.randint(0, 6)))
    return f"technique {name} {{\n  {members}\n}}"


def _member(draw: random.Random) -> str:
    name, deep = draw.choice(_NAMES), _expr(draw, 3)
    kind = draw.randrange(12)
    if kind == 0:
        domain = draw.choice(("", f" in {_expr(draw, 1)}..{_expr(draw, 1)}",
                              f" in {{{_expr(draw, 1)}, {_expr(draw, 1)}}}"))
        return f"param {name}: {_type(draw)}{domain} = {_expr(draw, 1)}"
    if kind == 1:
        return f"let {name} = {deep}"
    if kind == 2:
        return f"axis {name} size {_expr(draw, 2)}{draw.choice(('', ' inside dp'))}"
    if kind == 3:
        return f'requires {deep} else "a way out"'
    if kind == 4:
        return draw.choice((f"conflicts with m.{name}", f"refines m.{name}"))
    if kind == 5:
        return (f'claim {name}: {_expr(draw, 1)}..{_expr(draw, 1)} when {_expr(draw, 2)} '
                f"from {name}")
    if kind == 6:
        return (f"bring {draw.choice(('weight', 'op', 'x'))} {name} "
                f"{draw.choice(('on', 'after'))} {draw.choice(_GLOBS)} "
                f"{{ dim_in: {_expr(draw, 2)}, trainable: true }}")
    return _rule(draw)


def _rule(draw: random.Random) -> str:
    where = f" where {_expr(draw, 3)}" if draw.random() < 0.6 else ""
    during = f" during {draw.choice(PHASES)}" if draw.random() < 0.4 else ""
    effects = "\n    ".join(_effect(draw) for _ in range(draw.randint(0, 3)))
    return (f"on {draw.choice(ELEMENTS)} of {draw.choice(_GLOBS)}{during}{where} {{\n"
            f"    {effects}\n  }}")


def _effect(draw: random.Random) -> str:
    cell, value, axis = draw.choice(tuple(CELLS)), _expr(draw, 3), draw.choice(_NAMES)
    return draw.choice((
        f"set {cell} = {draw.choice((value, *MATH))}", f"scale {cell} by {value}",
        f"add {value} to {cell}", f"cap {cell} at {value}", f"raise {cell} to {value}",
        f"shard {draw.choice(SHARD_DIMS)} over {axis}", f"reduce over {axis}",
        f"gather over {axis} until {draw.choice(LIFETIMES)}", f"exchange {value} over {axis}",
        f"send over {axis}", f"rotate over {axis}", f"place on {draw.choice(PLACES)}", "drop",
        "fuse as core", f"run {axis} times {value}",
        f"overlap {draw.choice(OVERLAPPABLE)} with {draw.choice(STREAMS)} up to {value}",
    ))


def _type(draw: random.Random) -> str:
    return draw.choice((*TYPES, "Nothing"))


def _expr(draw: random.Random, depth: int) -> str:
    if depth == 0 or draw.random() < 0.25:
        return draw.choice((
            draw.choice(NUMBERS), f"{draw.choice(NUMBERS)} {draw.choice(tuple(UNITS))}",
            draw.choice(_READS), draw.choice(_NAMES), "true", "50 %",
        ))
    left, right = _expr(draw, depth - 1), _expr(draw, depth - 1)
    return draw.choice((
        f"{left} {draw.choice(_BINARY)} {right}", f"({left} {draw.choice(_BINARY)} {right})",
        f"{draw.choice(_CALLS)}({left}, {right})", f"{draw.choice(_CALLS)}({left})",
        f"if {left} then {right} else {left}", f"-{left}", f"not {left}",
        f"{left} in {{{right}, {left}}}",
    ))
