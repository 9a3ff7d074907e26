"""The order of twelve techniques used together means nothing, whichever twelve they are.

Combinations are drawn over the shipped library: a world, a selection of techniques that compose in
it, and an order. LLAMASIM_COMBINATIONS sets how many; the slow test draws 2,000.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from functools import cache

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.docs.pair_worlds import (
    World,
    alone,
    techniques,
    try_uses,
    uses_of,
    works,
    world_of,
    worlds,
)
from tests.docs.pairs import PAGE, read_page
from tests.scenarios_for_tests import plan_of, use

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Use

TWELVE = 12
FEW = int(os.environ.get("LLAMASIM_COMBINATIONS", "30"))
MANY = 2000
#: Shapes beside those of the worlds: other norms, biases, tied heads, latent attention.
MODELS = ("gemma-2-9b", "qwen2.5-7b", "llama-3.2-1b", "deepseek-v3", "gpt3-175b")


@cache
def more_worlds() -> tuple[World, ...]:
    """The worlds in which pairs are tried, and those of other models."""
    others = [
        world_of(purpose, model=model, devices=devices)
        for model in MODELS for purpose, devices in (("training", 1), ("inference", 8))
    ]
    return (*worlds(), *others)


@cache
def known_refusals() -> frozenset[tuple[str, str]]:
    """Pairs that the page says do not compose: they need not be tried again."""
    return frozenset(read_page(PAGE.read_text(encoding="utf-8")))


def twelve(world: World, order: Sequence[str], draw: random.Random) -> list[Use]:
    """Choose the first twelve techniques of an order that compose in a world, or all there are."""
    names: list[str] = []
    for name in order:
        clash = any(tuple(sorted((n, name))) in known_refusals() for n in names)
        if not clash and works(name, world):
            names.append(name)
        if len(names) == TWELVE:
            break
    chosen = [_use(n, world, draw) for n in names]
    return chosen if try_uses(world, chosen)[0] is not None else _one_by_one(world, order, draw)


def _one_by_one(world: World, order: Sequence[str], draw: random.Random) -> list[Use]:
    chosen: list[Use] = []
    for name in order:
        if not works(name, world):
            continue
        candidate = [*chosen, _use(name, world, draw)]
        if try_uses(world, candidate)[0] is not None:
            chosen = candidate
        if len(chosen) == TWELVE:
            break
    return chosen


def _use(name: str, world: World, draw: random.Random) -> Use:
    """A use that works alone: with its defaults, or small."""
    found = alone(name, world)[0]
    assert found is not None
    return draw.choice((found, uses_of(name, world)[-1]))


def plan_in(world: World, uses: Sequence[Use]) -> Plan:
    """The plan of techniques that are known to compose."""
    plan, said = try_uses(world, uses)
    assert plan is not None, [d.message for d in said]
    return plan


@st.composite
def combinations(
    draw: st.DrawFn, among: Sequence[World]
) -> tuple[World, list[Use], list[Use]]:
    """A world, techniques that compose in it, and the same in another order."""
    seed = draw(st.integers(0, 2**32))
    dice = random.Random(seed)
    world = dice.choice(among)
    chosen = twelve(world, dice.sample(techniques(), len(techniques())), dice)
    return world, chosen, draw(st.permutations(chosen))


def hold(world: World, chosen: list[Use], mixed: list[Use]) -> int:
    """Both orders give one plan; return of how many techniques it is."""
    straight, other = plan_in(world, chosen), plan_in(world, mixed)
    assert straight.hash == other.hash
    assert straight == other
    return len(chosen)


def law(examples: int, among: Sequence[World]) -> list[int]:
    """Draw combinations and hold the law; return how many techniques each had."""
    sizes: list[int] = []

    # The few are the same each time: how many of them have twelve would vary too much.
    @settings(max_examples=examples, deadline=None, database=None, derandomize=examples == FEW,
              suppress_health_check=list(HealthCheck))
    @given(combinations(among))
    def run(drawn: tuple[World, list[Use], list[Use]]) -> None:
        sizes.append(hold(*drawn))

    run()
    return sizes


def test_the_order_of_twelve_techniques_means_nothing() -> None:
    """A few dozen combinations in a few worlds, of which nearly all have twelve that compose."""
    sizes = law(FEW, more_worlds()[::9])
    assert len(sizes) >= FEW * 0.9
    assert sum(s == TWELVE for s in sizes) >= 0.8 * len(sizes)


@pytest.mark.slow
def test_the_order_of_twelve_techniques_means_nothing_two_thousand_times() -> None:
    sizes = law(MANY, more_worlds())
    assert len(sizes) >= MANY * 0.9
    assert sum(s == TWELVE for s in sizes) >= 0.8 * len(sizes)


def test_the_way_from_a_scenario_knows_no_order_either() -> None:
    """Loading and checking included: twelve techniques for training, in ten orders."""
    world = next(w for w in worlds() if w.purpose == "training" and w.scenario.use)
    draw = random.Random(5)
    base = world.scenario.use
    chosen = [u for u in twelve(world, draw.sample(techniques(), len(techniques())), draw)
              if u.technique not in {b.technique for b in base}]
    hashes = set()
    for _ in range(10):
        mixed = draw.sample([*base, *chosen], len(base) + len(chosen))
        hashes.add(plan_of(attrs.evolve(world.scenario, use=tuple(mixed))).hash)
    assert len(hashes) == 1


def test_another_selection_gives_another_plan() -> None:
    """The hash would see a difference: leaving any of these out changes it."""
    world = worlds()[0]
    chosen = [use("memory.checkpoint.full_checkpoint"), use("precision.mixed.bf16_mixed"),
              use("attention.flash.flash_attention"), use("optimizer.low_bit.adam_8bit")]
    hashes = {plan_in(world, [u for u in chosen if u is not left]).hash for left in (None, *chosen)}
    assert len(hashes) == 1 + len(chosen)
