"""Which words may follow at a point of a parse, told from the parser's tables alone.

Lark answers the same by feeding a copy of the parser; trying every terminal that way costs more
than the whole parse. Here nothing is copied or built: reductions are played on the stack's numbers.
"""

from __future__ import annotations

from typing import Any

from lark.parsers.lalr_analysis import Shift

#: Lark's `InteractiveParser`, whose methods have no types.
Parser = Any

END = "$END"
#: Reductions that one question may take; a chain longer than this is deeper than any cap.
_MOST_STEPS = 2000


def fits(parser: Parser, terminal: str, dropped: int = 0) -> bool:
    """Whether a terminal can follow, once `dropped` states are taken off the stack."""
    state = parser.parser_state
    stack, rows = state.state_stack, state.parse_conf.states
    kept, above = len(stack) - dropped, list[Any]()
    for _ in range(_MOST_STEPS):
        found = rows[above[-1] if above else stack[kept - 1]].get(terminal)
        if found is None:
            return False
        action, rule = found
        if action is Shift:
            return True
        size = len(rule.expansion)
        from_stack = max(0, size - len(above))
        del above[max(0, len(above) - size) :]
        kept -= from_stack
        reached = rows[above[-1] if above else stack[kept - 1]][rule.origin.name][1]
        if terminal == END and reached == state.parse_conf.end_state:
            return True
        above.append(reached)
    return False


def accepted(parser: Parser) -> set[str]:
    """Return every terminal that can follow."""
    state = parser.parser_state
    row = state.parse_conf.states[state.state_stack[-1]]
    return {t for t in row if t.isupper() and fits(parser, t)}
