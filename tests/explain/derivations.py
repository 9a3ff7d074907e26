"""Derivations as tests ask for them, and the worth of their formulas."""

from __future__ import annotations

import math
import re
from functools import cache

from llamasim.cli.support import shipped
from llamasim.scenario import read
from llamasim.scenario.spec import Scenario
from llamasim.study.explain import Answer, Node, explain
from llamasim.study.explain.case import Case, case_of

_WORD = re.compile(r"\{([^}]*)\}")


@cache
def shipped_scenario(name: str) -> Scenario:
    """Return a shipped scenario."""
    found, said = read(shipped()[name])
    assert found is not None, [d.message for d in said]
    return found


@cache
def shipped_case(name: str) -> Case:
    """Return a shipped scenario with its plan."""
    case, said = case_of(shipped_scenario(name))
    assert case is not None, [d.message for d in said]
    return case


def answer(scenario: Scenario | str, cell: str, phase: str = "") -> Answer:
    """Return the derivation of a cell; fails with what was said instead."""
    given = shipped_scenario(scenario) if isinstance(scenario, str) else scenario
    found, said = explain(given, cell, phase)
    assert found is not None, [d.message for d in said]
    return found


def node(given: Answer | Node, *names: str) -> Node:
    """Return the input of an input ... by name."""
    found = given.root if isinstance(given, Answer) else given
    for name in names:
        found = next(n for n in found.inputs if n.name == name)
    return found


def worth(given: Node) -> float:
    """Return what a node's formula comes to with its inputs' values."""
    values = {n.name: n.value for n in given.inputs}
    text = _WORD.sub(lambda m: f"({values[m[1]]!r})", given.formula)
    return float(eval(text.replace(" x ", " * "), {"ceil": math.ceil, "max": max, "min": min}))


def wrong_formulas(given: Node) -> list[str]:
    """Return the nodes whose formula does not give their value."""
    return [
        f"{n.name} = {n.value}, but {n.formula} = {worth(n)}"
        for n in given.walk()
        if n.formula and not math.isclose(worth(n), float(n.value or 0), rel_tol=1e-9, abs_tol=1e-6)
    ]
