"""Every combination of a scenario's choices, each as the set of techniques it means."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import attrs

from llamasim.scenario.spec import Choice, Scenario, Use, Value
from llamasim.units import Quantity


@attrs.frozen
class Combination:
    """One alternative of every knob.

    Attributes:
        number: from 1, in the order of the scenario's knobs and alternatives, the last fastest.
        picks: knob and alternative, in the scenario's order.
        use: the techniques of the scenario with those of the alternatives.
        clash: why the alternatives contradict each other, or empty.

    """

    number: int
    picks: tuple[tuple[str, str], ...]
    use: tuple[Use, ...]
    clash: str = ""


def count(choices: Sequence[Choice]) -> int:
    """Return how many combinations there are; one where nothing is left to choose."""
    return math.prod(len(c.options) for c in choices)


def combinations(scenario: Scenario) -> Iterator[Combination]:
    """Yield every combination, always in the same order."""
    choices = scenario.choices
    for number, picked in enumerate(itertools.product(*(c.options for c in choices)), 1):
        picks = tuple((c.label, label) for c, (label, _) in zip(choices, picked, strict=True))
        use, clash = merged(scenario.use, [(f"{k}={v}", u) for (k, v), (_, u)
                                           in zip(picks, picked, strict=True)])
        yield Combination(number, picks, use, clash)


def merged(
    base: Iterable[Use], additions: Iterable[tuple[str, Iterable[Use]]]
) -> tuple[tuple[Use, ...], str]:
    """Add sets of uses to a base and return the result, or why two of them contradict each other.

    A use that the base holds already is overridden in the parameters given; of two additions
    neither overrides the other.
    """
    uses = {u.instance: u for u in base}
    given: dict[tuple[str, str], tuple[str, Value]] = {}
    for label, added in additions:
        for use in added:
            name = _known_as(use, uses)
            for parameter, value in use.args.items():
                other, before = given.setdefault((name, parameter), (label, value))
                if before != value:
                    return tuple(uses.values()), (
                        f"`{other}` and `{label}` give {name}.{parameter} two values, "
                        f"{show(before)} and {show(value)}"
                    )
            uses[name] = _over(uses[name], use) if name in uses else use
    return tuple(uses.values()), ""


def _known_as(use: Use, uses: dict[str, Use]) -> str:
    """Return the instance that an added use means: its own name, or the only one of its kind."""
    same = [u.instance for u in uses.values() if u.technique == use.technique]
    unnamed = use.instance == use.technique.rpartition(".")[2]
    if use.instance in same or not unnamed or len(same) != 1:
        return use.instance
    return same[0]


def _over(old: Use, new: Use) -> Use:
    return attrs.evolve(
        old,
        args={**old.args, **new.args},
        arg_spans={**old.arg_spans, **new.arg_spans},
        scope=new.scope or old.scope,
    )


def describe(use: Use) -> str:
    """Return a use as a short text, `technique(degree=8)`."""
    args = ", ".join(f"{k}={show(v)}" for k, v in sorted(use.args.items()))
    scope = [f"scope={use.scope}"] if use.scope else []
    inner = ", ".join([*([args] if args else []), *scope])
    return f"{use.instance}({inner})" if inner else use.instance


def show(value: Value) -> str:
    """Return a parameter's value as text, in base units."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value.value:g}" if isinstance(value, Quantity) else value
