"""Traces of small runs: simulated ones, and one put together by hand with round figures."""

from __future__ import annotations

from functools import cache

import attrs
import numpy as np
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.plan.spec import Chunk, Plan, RankClass, Schedule, StepShape
from llamasim.scenario.spec import Arrivals, Length, Scenario
from llamasim.simulate import run
from llamasim.simulate.trace import Fit, Links, Memory, Requests, Tasks, Trace

TP = use("parallelism.tensor.tensor_parallel", degree=2, sequence_parallel=True)
PP = use("parallelism.pipeline.pipeline_parallel", stages=2, chunks=2)
DP = use("parallelism.zero.zero2")
FLASH = use("attention.flash.flash_attention")


@cache
def training() -> Trace:
    """Return a training step of 8B on eight devices: tensor 2, stages 2 of two chunks, data 2."""
    given = scenario(TP, PP, DP, FLASH, sequence=1024, global_batch=16, micro_batch=1)
    return run(plan_of(given), given)


@cache
def batch() -> Trace:
    """Return one batch of inference on a single device."""
    given = scenario(FLASH, devices=1, runtime="llama.cpp", mode="inference", sequence=192,
                     prompt=Length("fixed", 128), output=Length("fixed", 64), batch=2)
    return run(plan_of(given), given)


def serving_scenario(seed: int = 0) -> Scenario:
    """Return a server that gets forty requests."""
    given = scenario(
        FLASH, use("serving.batching.continuous_batching"), devices=1, runtime="vllm",
        mode="inference", sequence=512, prompt=Length("lognormal", 256, 0.5),
        output=Length("lognormal", 64, 0.5), arrivals=Arrivals("poisson", 40, rate=8.0),
    )
    return attrs.evolve(given, seed=seed)


@cache
def serving(seed: int = 0) -> Trace:
    """Return that server's run."""
    given = serving_scenario(seed)
    return run(plan_of(given), given)


def empty_tasks() -> tuple[Tasks, Memory, Links]:
    """Return no events at all."""
    ints, floats = np.zeros(0, np.int32), np.zeros(0)
    return (
        Tasks(ints, ints, ints, ints, floats, floats, ints),
        Memory(ints, ints, floats, floats),
        Links.none(),
    )


def by_hand(
    given: Scenario, makespan: float, *, exposed: dict[str, float] | None = None,
    requests: Requests | None = None, peak: float = 40e9, capacity: float = 80e9,
) -> Trace:
    """Return a trace of a plan with 10 GFLOP a token and 1 kFLOP a pair, with the given times."""
    tasks, memory, links = empty_tasks()
    plan = Plan(
        mode=given.workload.mode, axes=(), blocks=(),
        ranks=(RankClass(0, given.cluster.devices, (Chunk(0, ()),)),), schedule=Schedule(),
        pipeline_send=None, replicas=1, step_shape=StepShape.of(1, given.workload.sequence),
        model_flops_per_token=10e9, attention_flops_per_pair=1000.0, params=1, active_params=1,
    )
    fit = Fit(0, peak, capacity, {"weights": peak})
    return Trace(given, plan, makespan, tasks, memory, links, (fit,), exposed or {}, requests)


def price(given: Scenario, usd_per_hour: float) -> Scenario:
    """Return a scenario whose nodes have a price."""
    return attrs.evolve(given, cluster=attrs.evolve(given.cluster, usd_per_hour=usd_per_hour))


