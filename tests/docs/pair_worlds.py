"""Small worlds in which techniques are tried alone and in pairs.

A world is a scenario without techniques, or with the one or two that others need. Everything about
techniques comes from the library: their names, their parameters, and what refuses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import attrs
from tests.scenarios_for_tests import scenario, use

from llamasim import catalog
from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program, load
from llamasim.language.ast import Number, Param, RangeDomain, Technique
from llamasim.language.missing import library
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.plan.compile import build
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Arrivals, Scenario, Use

_DENSE, _MIXTURE = "llama-3.1-8b", "mixtral-8x7b-v0.1"
#: Knows every arithmetic that a shipped technique asks for.
_DEVICE = "b200-sxm"


@attrs.frozen(eq=False)
class World:
    """A scenario to add techniques to.

    Attributes:
        purpose: `training`, `inference`, or `serving` (inference of requests that arrive).

    """

    purpose: str
    scenario: Scenario
    graph: Graph


@cache
def program() -> Program:
    """Return the whole library."""
    found, said = load(list(library([rules_dir()])), [rules_dir()])
    assert not said
    return found


@cache
def techniques() -> tuple[str, ...]:
    """Return the full names of all shipped techniques, by family."""
    return tuple(sorted(
        f"{module.name}.{item.name}" for module in program().modules.values()
        for item in module.items if isinstance(item, Technique)
    ))


def world_of(
    purpose: str, *uses: Use, model: str = _DENSE, devices: int = 1, dtype: str = "bf16"
) -> World:
    """Return a world of one purpose, with four layers of a model."""
    training = purpose == "training"
    found = scenario(
        *uses, model=model, device=_DEVICE, devices=devices, dtype=dtype, global_batch=8 * devices,
        runtime="megatron-core" if training else "vllm",
        mode="training" if training else "inference",
        arrivals=Arrivals("poisson", 8, 4.0) if purpose == "serving" else None,
    )
    layers = attrs.evolve(found.model, layers=4, dense_layers=min(found.model.dense_layers, 1))
    return World(purpose, attrs.evolve(found, model=layers), resolve(layers))


@cache
def worlds() -> tuple[World, ...]:
    """Return the worlds, the simplest first."""
    replicas = use("parallelism.data.data_parallel")
    stages = use("parallelism.pipeline.pipeline_parallel", stages=2)
    machines: tuple[tuple[int, tuple[Use, ...]], ...] = (
        (1, ()), (8, (replicas,)), (8, ()), (8, (replicas, stages)))
    found = []
    for model in (_DENSE, _MIXTURE):
        for dtype in ("bf16", "fp32", "fp16"):
            for devices, base in machines:
                found.append(world_of("training", *base, model=model, devices=devices, dtype=dtype))
            for devices in (1, 8) if dtype != "fp16" else ():
                for purpose in ("inference", "serving"):
                    found.append(world_of(purpose, model=model, devices=devices, dtype=dtype))
    return tuple(found)


def uses_of(name: str, world: World) -> tuple[Use, ...]:
    """Return a technique with its defaults, and with its whole numbers at two where they may be."""
    found = program().technique(name)
    assert found is not None
    given: dict[str, str | float] = {}
    small: dict[str, str | float] = {}
    for param in (m for m in found[1].members if isinstance(m, Param)):
        if param.type == "Model" and param.default is None:
            given[param.name] = small[param.name] = _draft(world)
        elif param.type == "Int" and isinstance(param.domain, RangeDomain) and _above_two(param):
            small[param.name] = 2
    first = use(name, **given)
    return (first,) if small == given else (first, use(name, **small))


def _above_two(param: Param) -> bool:
    assert isinstance(param.domain, RangeDomain)
    low, default = param.domain.low, param.default
    return (isinstance(low, Number) and low.value <= 2
            and isinstance(default, Number) and default.value > 2)


def _draft(world: World) -> str:
    """Return the smallest model of the catalog that shares the world's tokenizer."""
    vocab = world.scenario.model.vocab
    models = [m for i in catalog.ids("models") if (m := catalog.get_model(i)) and m.vocab == vocab]
    return min(models, key=lambda m: m.layers * m.hidden).id


def try_uses(world: World, uses: Sequence[Use]) -> tuple[Plan | None, list[Diagnostic]]:
    """Return the plan of some techniques in a world, or what refuses them."""
    base = [u for u in world.scenario.use if u.technique not in {x.technique for x in uses}]
    given = attrs.evolve(world.scenario, use=(*base, *uses))
    return build(world.graph, program(), given)


@cache
def alone(name: str, world: World) -> tuple[Use | None, Diagnostic | None]:
    """Try a technique by itself; return how it is used in a world, or what is against it."""
    against = _of_another_purpose(name, world)
    if against is not None:
        return None, against
    for candidate in uses_of(name, world):
        plan, said = try_uses(world, [candidate])
        if plan is not None:
            return candidate, None
        against = against or first_error(said)
    return None, against


@cache
def _of_another_purpose(name: str, world: World) -> Diagnostic | None:
    """Return what a technique has against all worlds of one purpose, if anything."""
    first = next(w for w in worlds() if w.purpose == world.purpose)
    if first is world:
        return None
    against = alone(name, first)[1]
    return against if against is not None and "`workload.mode" in against.message else None


def works(name: str, world: World) -> bool:
    """Whether a technique works by itself in a world."""
    return alone(name, world)[0] is not None


@cache
def purposes(name: str) -> tuple[str, ...]:
    """Return what a technique is for."""
    return tuple(dict.fromkeys(w.purpose for w in worlds() if works(name, w)))


def first_error(said: Sequence[Diagnostic]) -> Diagnostic:
    """Return the first error; a refusal has one, and it says why or what to do."""
    error = next(d for d in said if d.is_error)
    assert error.message and (error.why or error.help), error
    return error


def together(
    a: str, b: str, common: Sequence[World]
) -> Iterator[tuple[Plan | None, Diagnostic | None]]:
    """Try two techniques in worlds where each works alone, as they are and then smaller."""
    for attempt in range(2):
        for world in common:
            pair = [_attempt(n, world, attempt) for n in (a, b)]
            if attempt and pair == [_attempt(n, world, 0) for n in (a, b)]:
                continue
            plan, said = try_uses(world, pair)
            yield plan, None if plan is not None else first_error(said)


def _attempt(name: str, world: World, attempt: int) -> Use:
    found = alone(name, world)[0]
    assert found is not None
    return found if attempt == 0 else uses_of(name, world)[-1]
