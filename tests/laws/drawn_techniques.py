"""Random rule files, drawn from the language's own tables, most of which the checker accepts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
from hypothesis import strategies as st

from llamasim.language.bounds import bounds_of
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
from llamasim.language.names import NAMES_OF
from llamasim.language.types import TYPES
from llamasim.language.vocabulary import (
    OVERLAPPABLE,
    SHARD_DIMS,
    VOCABULARY,
    Attribute,
)
from llamasim.units import DATA, NONE, TIME, TOKEN, WORK, Dimension

#: Units in which literals of each dimension are written.
UNITS_OF = {
    DATA: ("bit", "B", "kB", "MiB", "GiB"), TIME: ("ns", "us", "ms"), WORK: ("FLOP", "GFLOP"),
    TOKEN: ("tok",), DATA / TIME: ("GB/s",), WORK / TIME: ("TFLOPS",),
}
MOVES = ("reduce", "gather", "send", "rotate", "exchange")
#: Movements that plans are made of, by element; others are refused when a plan is made.
_MOVES = {
    "activation": ("reduce", "gather", "rotate", "exchange"), "weight": ("gather",),
    "activation_grad": ("reduce", "gather"), "grad": ("reduce",),
}
_DIMS = {
    "weight": ("flat", "dim_in", "dim_out"), "grad": ("flat", "dim_in", "dim_out"),
    "optimizer": ("flat",), "kv_cache": ("heads",), "activation": ("seq", "batch", "heads"),
    "activation_grad": ("seq",),
}


@attrs.define
class Writer:
    """Draws the parts of one technique; `names` are the declared names by dimension or kind.

    Attributes:
        draw: Hypothesis's.
        below: attributes of this stratum and later are not read.
        element: of the rule at hand; empty outside rules.

    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    names: dict[object, list[str]] = attrs.field(factory=dict)
    axes: list[str] = attrs.field(factory=lambda: ["dp"])
    element: str = ""
    below: Stratum = Stratum.FACTS

    def one_of(self, *options: Any) -> Any:
        """Draw one of some values."""
        return self.draw(st.sampled_from(options))

    def chance(self, of: int) -> bool:
        """Draw whether something happens, once in so many times."""
        return bool(self.draw(st.integers(1, of)) == 1)

    # Expressions.

    def literal(self, dimension: Dimension) -> str:
        """Draw a number with a unit."""
        value = self.draw(st.sampled_from(
            ("0", "1", "2", "3", "4", "8", "16", "0.5", "1.5", "64", "1e3", "1e9", "128")))
        if dimension == NONE:
            return self.one_of(value, value, value, f"{value} %")
        units = UNITS_OF.get(dimension)
        if units is None:
            return f"({value} * 1 bit * 1 FLOP / 1 bit)"
        return f"{value} {self.one_of(*units)}"

    def read(self, match: Callable[[Attribute], bool]) -> str | None:
        """Draw an attribute that may be read here, if there is one."""
        paths = [
            a.path for a in VOCABULARY.values()
            if match(a) and a.stratum < max(self.below, Stratum.LAYOUT)
            and (a.elements is None or self.element in a.elements)
        ]
        return self.one_of(*paths) if paths else None

    def number(self, dimension: Dimension, depth: int = 2) -> str:
        """Draw an expression of a dimension."""
        own = self.names.get(dimension, [])
        shape = self.draw(st.integers(0, 15 if depth else 5))
        if shape <= 2 and own:
            return str(self.one_of(*own))
        if shape <= 4:
            path = self.read(lambda a: a.kind == "number" and a.dimension == dimension)
            if path:
                return f"global({path})" if self.chance(6) else path
        if shape <= 5:
            return self.literal(dimension)
        return self._compound(dimension, depth - 1, shape)

    def _compound(self, dimension: Dimension, depth: int, shape: int) -> str:
        def same() -> str:
            return self.number(dimension, depth)

        def plain() -> str:
            return self.number(NONE, depth)

        if shape <= 7:
            return f"({same()} {self.one_of('+', '+', '-')} {same()})"
        if shape == 8:
            return f"{same()} * {plain()}"
        if shape == 9:
            return f"({same()}) / ({plain()})"
        if shape == 10:
            return f"(if {self.truth(depth)} then {same()} else {same()})"
        if shape == 11:
            return f"{self.one_of('min', 'max')}({same()}, {same()})"
        if dimension != NONE:
            return f"({plain()}) * {same()}"
        if shape == 12:
            return f"{self.one_of('floor', 'ceil', 'log2')}({plain()})"
        if shape == 13:
            return f"mod({plain()}, {plain()})"
        if shape == 14:
            return f"({plain()}) ^ {self.one_of('2', '0.5', '-1', plain())}"
        if self.names.get("fn"):
            return f"{self.one_of(*self.names['fn'])}({plain()})"
        return f"axis_size({self.one_of(*self.axes)})"

    def truth(self, depth: int = 2) -> str:
        """Draw a condition."""
        shape = self.draw(st.integers(0, 9 if depth else 4))
        flag = self.read(lambda a: a.kind == "bool")
        flags = [*self.names.get("Bool", []), *([flag] if flag else [])]
        if shape == 0 and flags:
            return str(self.one_of(*flags))
        if shape == 1:
            return self._word()
        if shape <= 6:
            dimension = self.one_of(NONE, NONE, DATA, TOKEN)
            sign = self.one_of("<", ">", "<=", ">=", "==", "!=")
            inner = max(depth - 1, 0)
            return f"{self.number(dimension, inner)} {sign} {self.number(dimension, inner)}"
        if shape == 7:
            return f"({self.number(NONE, depth - 1)}) divides ({self.number(NONE, depth - 1)})"
        if shape == 8:
            return f"not ({self.truth(depth - 1)})"
        return f"({self.truth(depth - 1)}) {self.one_of('and', 'or')} ({self.truth(depth - 1)})"

    def _word(self) -> str:
        path = self.read(lambda a: a.kind == "symbol" and a.symbols is not None)
        if path is None:
            return self.one_of("true", "false")
        words = VOCABULARY[path].symbols or ()
        if self.chance(2):
            return f"{path} in {{{', '.join(dict.fromkeys((self.one_of(*words), words[0])))}}}"
        return f"{path} {self.one_of('==', '!=')} {self.one_of(*words)}"

    # Rules.

    def pattern(self, element: str) -> str:
        """Draw a pattern for an element of a kind."""
        names = NAMES_OF.get(element, ())
        if not names:
            return ""
        found = []
        for _ in range(self.draw(st.integers(1, 2))):
            name = str(self.one_of(*names))
            shape = self.draw(st.integers(0, 4))
            if shape == 0:
                found.append("*")
            elif shape == 1:
                found.append(name.replace("<i>", self.one_of("0", "1", "3")))
            elif shape == 2 and name.count(".") > 2:
                found.append(name.replace("layers.<i>", "*").rpartition(".")[0] + ".*")
            else:
                found.append(name.replace("layers.<i>", "*"))
        found = [f.replace("*.*", "*").removeprefix(".") for f in found]
        return found[0] if len(found) == 1 else f"{{{', '.join(found)}}}"

    def rule(self) -> str:
        """Draw a rule with one to three effects."""
        self.element = element = str(self.one_of(*(e for e in ELEMENTS if e != "layer")))
        text = f"  on {element}"
        if element != "step" and self.chance(2):
            text += f" of {self.pattern(element)}"
            if self.chance(5):
                text += f" except {str(self.one_of(*NAMES_OF[element])).replace('layers.<i>', '*')}"
        if self.chance(4):
            text += f" during {self.one_of(*PHASES)}"
        if element == "kv_cache" and self.chance(4):
            return self._of_tokens(text)
        effects = [self.effect(element) for _ in range(self.draw(st.integers(1, 3)))]
        if self.chance(3):
            self.below = min(s for s, _ in effects)
            text += f" where {self.truth()}"
        self.element = ""
        return text + " { " + "  ".join(t for _, t in effects) + " }"

    def _of_tokens(self, head: str) -> str:
        """Draw a rule on a range of cached tokens."""
        head = head.partition(" during ")[0]
        low = self.draw(st.integers(-4, 8))
        high = low + self.draw(st.integers(1, 8))
        cell: Cell = self.one_of(*(CELLS[n] for n in RANGED))
        self.below = cell.stratum
        ranged = f"{head} tokens {low} tok..{high} tok"
        return f"{ranged} {{ {self.one_of(self.write(cell), 'place on host')} }}"

    def effect(self, element: str) -> tuple[Stratum, str]:
        """Draw an effect that a rule on an element may have, and its stratum."""
        cells = [c for c in CELLS.values() if element in c.elements]
        if cells and (element not in TENSORS or not self.chance(3)):
            cell: Cell = self.one_of(*cells)
            self.below = cell.stratum
            return cell.stratum, self.write(cell)
        if element == "op":
            return Stratum.NUMERICS, f"fuse as {self.one_of('a', 'b')}"
        if element in TENSORS:
            return self.movement(element)
        return Stratum.COST, "add 1 us to cost.host"

    def second_model(self) -> str:
        """Draw a further model that runs within the steps."""
        times = self.one_of("1", "2", "max(0, p0 - 1)" if "p0" in self.names.get(NONE, []) else "4")
        return (f"  param small: Model = llama_3_2_1b\n  model other = small\n"
                f"  on step during {self.one_of(*PHASES)} {{ run other times {times} }}\n"
                f"  on weight of other.{self.one_of('*', 'layers.0.*', 'embed')} "
                "{ set numerics.bits = 8 bit }")

    def write(self, cell: Cell) -> str:
        """Draw a write to a cell."""
        verb = self.one_of(*cell.verbs)
        if cell.kind == "bool":
            value = self.truth()
        elif cell.kind == "symbol":
            value = self.one_of(*(cell.symbols or ("q4_k", *self.axes)))
        else:
            value = self.amount(cell, verb)
        forms = {"set": f"set {cell.name} = {value}", "scale": f"scale {cell.name} by {value}",
                 "add": f"add {value} to {cell.name}", "cap": f"cap {cell.name} at {value}",
                 "raise": f"raise {cell.name} to {value}"}
        return forms[verb]

    def amount(self, cell: Cell, verb: str) -> str:
        """Draw what is written: a plain amount, a bounded expression, or any expression."""
        dimension = NONE if verb == "scale" else cell.dimension or NONE
        bounds = bounds_of(cell.name, verb)
        unit = "" if dimension == NONE else f" {UNITS_OF[dimension][0]}"
        low, high = max(bounds.low, 0.0), min(bounds.high, 1e9)
        if dimension == TIME:
            high = 1e6
        least = low + (high - low) / 1e3 if bounds.above else low
        shape = self.draw(st.integers(0, 9))
        if shape <= 4:
            share = self.one_of(0, 0.25, 0.5, 1)
            found = least + share * (min(high, 16.0) - least)
            return f"{math.ceil(found) if bounds.whole else found:g}{unit}"
        text = self.number(dimension)
        if shape <= 8:
            bounded = f"max({least:g}{unit}, min({text}, {high:g}{unit}))"
            return f"ceil({bounded})" if bounds.whole else bounded
        return text

    def movement(self, element: str) -> tuple[Stratum, str]:
        """Draw where a tensor lies, and how it moves."""
        axis = self.one_of(*self.axes, *self.axes, "replicas")
        shape = self.draw(st.integers(0, 9))
        if shape <= 3:
            return Stratum.LAYOUT, f"shard {self.one_of(*_DIMS[element], *SHARD_DIMS)} over {axis}"
        if shape == 4:
            share = self.one_of("", "", "50 % ")
            return Stratum.NUMERICS, f"place {share}on {self.one_of(*PLACES)}"
        if shape <= 6 and element == "activation":
            return Stratum.NUMERICS, self.one_of("drop", "drop", "keep")
        if shape == 7:
            self.below = Stratum.SCHEDULE
            share = self.one_of("0 %", "50 %", f"max(0, min({self.number(NONE, 1)}, 1))")
            return Stratum.SCHEDULE, (
                f"overlap {self.one_of(*OVERLAPPABLE)} with compute up to {share}")
        verb = self.one_of(*_MOVES.get(element, MOVES), self.one_of(*MOVES))
        if verb == "gather":
            return Stratum.COST, f"gather over {axis} until {self.one_of(*LIFETIMES)}"
        if verb == "exchange":
            self.below = Stratum.COST
            return Stratum.COST, f"exchange max(0 bit, {self.number(DATA)}) over {axis}"
        return Stratum.COST, f"{verb} over {axis}"

    # Declarations.

    def declare(self, name: str, key: object) -> None:
        """Note a declared name."""
        self.names.setdefault(key, []).append(name)

    def param(self, name: str) -> str:
        """Draw a parameter with a domain that holds its default."""
        kind = TYPES[self.one_of("Int", "Int", "Ratio", "Real", "Data", "Time", "Token", "Bool")]
        if kind.kind == "bool":
            self.declare(name, "Bool")
            return f"  param {name}: Bool = {self.one_of('true', 'false')}"
        unit = "" if kind.dimension == NONE else f" {UNITS_OF[kind.dimension][0]}"
        low = self.draw(st.integers(-1, 4))
        high = low + self.draw(st.integers(0, 12))
        self.declare(name, kind.dimension)
        if self.chance(4):
            return f"  param {name}: {kind.name} in {{{low}{unit}, {high}{unit}}} = {high}{unit}"
        domain = f" in {low}{unit}..{high}{unit}" if not self.chance(6) else ""
        return f"  param {name}: {kind.name}{domain} = {low}{unit}"

    def let(self, name: str) -> str:
        """Draw a let."""
        self.element, self.below = "", Stratum.LAYOUT
        dimension = self.one_of(NONE, DATA, "Bool")
        text = self.truth() if dimension == "Bool" else self.number(dimension)
        self.declare(name, dimension)
        return f"  let {name} = {text}"

    def head(self) -> str:
        """Draw constants and functions."""
        lines = []
        if self.chance(2):
            lines.append(f"const c: Real = {self.one_of('2', '0.25', '1e3')}")
            self.declare("c", NONE)
        if self.chance(2):
            inner = Writer(self.draw, {NONE: ["x", *self.names.get(NONE, [])]})
            lines.append(f"fn f(x: Real): Real = {inner.number(NONE)}")
            self.declare("f", "fn")
        return "\n".join(lines)

    def members(self) -> str:
        """Draw the members of a technique."""
        lines = [self.param(f"p{k}") for k in range(self.draw(st.integers(0, 3)))]
        if self.chance(3):
            sizes = [*self.names.get(NONE, []), "1", "2", "4"]
            lines.append(f"  axis ax size {self.one_of(*sizes)}")
            self.axes.append("ax")
        lines += [self.let(f"l{k}") for k in range(self.draw(st.integers(0, 2)))]
        self.element, self.below = "", Stratum.LAYOUT
        if self.chance(8):
            lines.append(f"  requires {self.truth()}")
        if self.chance(8):
            lines.append(f'  advise {self.truth()} else "so"')
        if self.chance(8):
            lines.append(f"  claim loss: {self.number(NONE, 1)}..1e12 from me")
        if self.chance(6):
            fields = f"dim_in: weight.dim_in, dim_out: {self.one_of('8', 'weight.dim_out')}"
            place = self.one_of("on *.attn.q", "on *.mlp.*", "after *.mlp.down", "after *.attn.q")
            lines.append(f"  bring weight extra {place} {{ {fields} }}")
        if self.chance(8):
            place = self.one_of("*.norm1", "*.mlp.down", "head")
            kind = self.one_of("elementwise", "matmul", "scores", "norm", "router")
            lines.append(f"  bring op pass after {place} {{ kind: {kind}, flops: 1 GFLOP }}")
        if self.chance(10):
            lines.append(self.second_model())
        if not self.chance(4):
            lines.append("  on grad during backward { reduce over replicas }")
        lines += [self.rule() for _ in range(self.draw(st.integers(1, 4)))]
        return "\n".join(lines)


@st.composite
def rule_files(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Draw the text of a rule file with one technique `t`."""
    writer = Writer(draw)
    head = writer.head()
    return (
        f'edition 2026\nmodule drawn\n\nsource me = "a test"\n{head}\n'
        f"technique t {{\n{writer.members()}\n}}\n"
    )
