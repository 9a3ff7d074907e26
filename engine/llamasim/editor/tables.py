"""Where in the grammar a word stands, told from the parser's own tables.

Every state of an LALR parser is entered by one symbol, so a stack of states is a stack of symbols,
and a rule is under way at its top exactly where the rule's beginning lies there and the state below
goes on with the rule's name. Nothing of the grammar is written down a second time here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import attrs
from lark.parsers.lalr_analysis import Shift

from llamasim.language.parser import lark_parser


@attrs.frozen
class Slot:
    """A rule of the grammar that is under way.

    Attributes:
        rule: its name, or the name of the alternative.
        origin: its name.
        after: the symbol before the place in it; empty at its beginning.
        values: what was read of it: tokens, and trees of what is complete.

    """

    rule: str
    origin: str
    after: str
    values: tuple[Any, ...] = ()


@attrs.frozen(slots=False)
class Tables:
    """The grammar as the parser has it.

    Attributes:
        states: rows of the parser's table.
        symbols: by which symbol each state is entered.
        uses: by symbol, each rule and each position in it at which the symbol stands.

    """

    states: Mapping[int, Mapping[str, Any]]
    symbols: Mapping[int, str]
    uses: Mapping[str, Sequence[tuple[Any, int]]]
    _steps: dict[tuple[tuple[int, ...], str], list[tuple[Any, int]]] = attrs.field(
        factory=dict, init=False, eq=False, repr=False)

    @cached_property
    def longest(self) -> int:
        """How many states at the top of the stack say which rules are under way there."""
        return max(len(rule.expansion) for uses in self.uses.values() for rule, _ in uses) + 1

    def chain(self, states: Sequence[int], values: Sequence[Any], symbol: str) -> list[Slot]:
        """Return the rules under way where a terminal is about to stand, the innermost first."""
        states, values = self._reduced(states, values, symbol)
        found: list[Slot] = []
        top = len(states)
        while step := self._step(tuple(states[max(0, top - self.longest) : top]), symbol):
            *begun, (rule, position) = step
            found += [Slot(_name(r), str(r.origin.name), "") for r, _ in begun]
            read = tuple(values[top - 1 - position : top - 1])
            before = str(rule.expansion[position - 1].name)
            found.append(Slot(_name(rule), str(rule.origin.name), before, read))
            top -= position
            symbol = str(rule.origin.name)
        return found

    def _reduced(
        self, states: Sequence[int], values: Sequence[Any], terminal: str
    ) -> tuple[list[int], list[Any]]:
        """Return the stack once everything is complete that is so before a terminal."""
        stack, read = list(states), list(values)
        while stack:
            action, rule = self.states[stack[-1]].get(terminal, (Shift, None))
            if action is Shift:
                break
            size = len(rule.expansion)
            parts = read[len(read) - size :]
            del stack[len(stack) - size :], read[len(read) - size :]
            stack.append(self.states[stack[-1]][rule.origin.name][1])
            read.append(parts[0] if len(parts) == 1 else None)
        return stack, read

    def _step(self, states: tuple[int, ...], symbol: str) -> list[tuple[Any, int]]:
        """Return the rules that begin at the top of the stack and the one under way below them."""
        if (states, symbol) not in self._steps:
            self._steps[states, symbol] = self._find(states, symbol)
        return self._steps[states, symbol]

    def _find(self, states: tuple[int, ...], symbol: str) -> list[tuple[Any, int]]:
        names = [self.symbols.get(s, "") for s in states]
        queue: list[tuple[str, list[tuple[Any, int]]]] = [(symbol, [])]
        seen = {symbol}
        while queue:
            wanted, begun = queue.pop(0)
            under_way = [
                u for u in self.uses.get(wanted, ()) if u[1] and self._fits(states, names, u)
            ]
            if under_way:
                return [*begun, max(under_way, key=lambda u: u[1])]
            for rule, position in self.uses.get(wanted, ()):
                origin = str(rule.origin.name)
                if not position and origin not in seen and origin in self.states[states[-1]]:
                    seen.add(origin)
                    queue.append((origin, [*begun, (rule, 0)]))
        return []

    def _fits(
        self, states: Sequence[int], names: Sequence[str], use: tuple[Any, int]
    ) -> bool:
        rule, position = use
        below = len(states) - 1 - position
        if below < 0 or str(rule.origin.name) not in self.states[states[below]]:
            return False
        return all(
            names[below + 1 + k] == rule.expansion[k].name for k in range(position)
        )


def _name(rule: Any) -> str:
    return str(rule.alias or rule.origin.name)


@cache
def tables() -> Tables:
    """Return the tables of the parser in use."""
    parser = lark_parser()
    states = parser.parse_interactive("").parser_state.parse_conf.states
    symbols = {
        target: symbol
        for row in states.values()
        for symbol, (action, target) in row.items()
        if action is Shift
    }
    uses: dict[str, list[tuple[Any, int]]] = defaultdict(list)
    for rule in parser.rules:
        for position, symbol in enumerate(rule.expansion):
            uses[str(symbol.name)].append((rule, position))
    return Tables(states, symbols, uses)


@cache
def values_of() -> frozenset[str]:
    """Return the rules that are expressions: an atom, and what can consist of one alone."""
    found = {"atom"}
    rules = lark_parser().rules
    while True:
        more = {
            str(r.origin.name) for r in rules
            if len(r.expansion) == 1 and r.expansion[0].name in found
        } - found
        if not more:
            return frozenset(found)
        found |= more
