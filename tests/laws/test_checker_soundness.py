"""What the checker accepts never fails later: it gives a plan of finite numbers, or a message.

LLAMASIM_SOUNDNESS_EXAMPLES sets how many rule files are drawn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import patch

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.laws.drawn_techniques import rule_files
from tests.scenarios_for_tests import scenario, use

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic, Source, render
from llamasim.language import Program, check, load, parse
from llamasim.language.ast import Module, Param, RangeDomain, SetDomain, Technique
from llamasim.language.bind import ConstantEnv
from llamasim.language.evaluate import EvalError, evaluate
from llamasim.language.missing import library
from llamasim.plan import compile as compiling
from llamasim.plan.spec import KvSpan, Plan
from llamasim.scenario.spec import Scenario, Use, Value
from llamasim.units import Quantity

EXAMPLES = int(os.environ.get("LLAMASIM_SOUNDNESS_EXAMPLES", "200"))


def _small(given_: Scenario) -> Scenario:
    """The scenario with four layers, so that many plans are made in little time."""
    model = given_.model
    small = attrs.evolve(model, layers=4, dense_layers=min(model.dense_layers, 1))
    return attrs.evolve(given_, model=small)


SCENARIOS = [
    _small(scenario(model=model, devices=devices, mode=mode,
                    runtime="megatron-core" if mode == "training" else "vllm"))
    for model in ("llama-3.1-8b", "mixtral-8x7b-v0.1", "gemma-2-9b", "deepseek-v3")
    for devices in (1, 8)
    for mode in ("training", "inference")
]


def at_an_end(param: Param, module: Module, end: str) -> Value | None:
    """The lowest or highest value that a parameter's domain allows."""
    env = ConstantEnv(module, {})
    try:
        if isinstance(param.domain, RangeDomain):
            found = evaluate(param.domain.low if end == "low" else param.domain.high, env)
        elif isinstance(param.domain, SetDomain):
            found = evaluate(param.domain.options[0 if end == "low" else -1], env)
        else:
            return None
    except EvalError:
        return None
    return found if isinstance(found, Quantity) else None


def use_of(module: Module, ends: list[str]) -> Use:
    """The technique in use, with each parameter at an end of its domain or at its default."""
    technique = module.technique("t")
    assert technique is not None
    params = [m for m in technique.members if isinstance(m, Param)]
    args = {}
    for param, end in zip(params, ends, strict=False):
        value = at_an_end(param, module, end) if end != "default" else None
        if value is not None:
            args[param.name] = value
    return attrs.evolve(use("drawn.t"), args=args)


def numbers(thing: Any, path: str = "plan") -> Iterator[tuple[str, float]]:
    """Every number of a plan, with where it stands."""
    if isinstance(thing, float | int) and not isinstance(thing, bool):
        yield path, thing
    elif isinstance(thing, KvSpan):  # says how much more or less than elsewhere
        yield from ((path, abs(v)) for v in (thing.device, thing.host, thing.disk))
    elif attrs.has(type(thing)):
        for field in attrs.fields(type(thing)):
            yield from numbers(getattr(thing, field.name), f"{path}.{field.name}")
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from numbers(value, f"{path}[{key}]")
    elif isinstance(thing, list | tuple):
        for position, value in enumerate(thing):
            yield from numbers(value, f"{path}[{position}]")


SHIPPED, _SAID = load(list(library([rules_dir()])), [rules_dir()])
#: Shipped techniques, beside which what is drawn is used.
TECHNIQUES = sorted(
    f"{n}.{i.name}" for n, m in SHIPPED.modules.items() for i in m.items
    if isinstance(i, Technique)
)


def compiled(module: Module, given_: Scenario) -> tuple[Plan | None, list[Diagnostic]]:
    """The plan of a scenario with the module's technique, without reading any file."""
    program = Program({**SHIPPED.modules, "drawn": module})
    with patch.object(compiling, "program_of", lambda _: (program, [])):
        return compiling.compile_plan(given_)


#: How many drawn files were accepted, and how many of those gave a plan.
COUNTS = {"drawn": 0, "accepted": 0, "planned": 0}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rule_files(), st.sampled_from(SCENARIOS),
       st.lists(st.sampled_from(("low", "high", "default")), min_size=3, max_size=3),
       st.lists(st.sampled_from(TECHNIQUES), max_size=2, unique=True))
def test_what_is_accepted_never_fails(
    text: str, given_: Scenario, ends: list[str], others: list[str]
) -> None:
    """No exception, no nan, no infinity, no negative amount: a plan, or diagnostics."""
    module, said = parse(Source("drawn.rules", text))
    assert module is not None, render(said)
    assert not said, render(said)
    COUNTS["drawn"] += 1
    if any(d.is_error for d in check(Program({"drawn": module}))):
        return
    COUNTS["accepted"] += 1
    uses = (use_of(module, ends), *(use(o) for o in others))
    plan, said = compiled(module, attrs.evolve(given_, use=uses))
    render(said)
    if plan is None:
        assert any(d.is_error for d in said)
        return
    COUNTS["planned"] += 1
    assert [(p, v) for p, v in numbers(plan) if not math.isfinite(v)] == []
    stated = ("plan.ledger", "plan.claims")
    assert [(p, v) for p, v in numbers(plan) if v < 0 and not p.startswith(stated)] == []


def test_enough_of_what_is_drawn_is_accepted() -> None:
    """The law above speaks of many techniques, not of the few that pass by accident."""
    if not COUNTS["drawn"]:
        test_what_is_accepted_never_fails()
    assert COUNTS["accepted"] > COUNTS["drawn"] / 4, COUNTS
    assert COUNTS["planned"] > COUNTS["accepted"] / 6, COUNTS
