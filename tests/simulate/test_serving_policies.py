"""Shared beginnings of prompts, whole sequences set aside, pools for prefill and decode."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.scenarios_for_tests import plan_of, scenario, use
from tests.simulate.hand_plans import iterations

from llamasim.scenario.spec import Arrivals, Length, Scenario
from llamasim.simulate.serving import serve
from llamasim.simulate.trace import Trace


def given(*techniques: str, devices: int = 1, **more: object) -> Scenario:
    base = {
        "mode": "inference", "runtime": "vllm", "prompt": Length("lognormal", 1200, 0.5),
        "output": Length("lognormal", 40, 0.5), "arrivals": Arrivals("poisson", 120, rate=20.0),
        "shared_prefix": 800, "prefixes": 3,
    }
    uses = [use(t) for t in techniques]
    return scenario(*uses, devices=devices, **{**base, **more})  # type: ignore[arg-type]


def trace_of(one: Scenario) -> Trace:
    return serve(plan_of(one), one)


def test_all_but_the_first_of_a_beginning_start_after_it() -> None:
    """800 tokens are 50 blocks of 16; shorter prompts share what they have but one token, and those
    that come while a beginning is still computed, the blocks that are done.
    """
    found = trace_of(given("serving.cache.prefix_cache")).requests
    assert found is not None
    whole = np.minimum(800, (found.prompt - 1) // 16 * 16)
    hit = found.cached > 0
    assert (found.cached[hit] <= whole[hit]).all() and (found.cached % 16 == 0).all()
    assert (found.cached[hit] == whole[hit]).mean() > 0.9
    assert 120 - 30 < hit.sum() <= 120 - 3


def test_a_shared_beginning_saves_work_and_changes_no_tokens() -> None:
    plain, shared = trace_of(given()), trace_of(given("serving.cache.prefix_cache"))
    assert plain.requests is not None
    assert shared.requests is not None
    saved = int(shared.requests.cached.sum())
    prompts = int(plain.requests.prompt.sum())
    assert int(iterations(plain).prefill_tokens.sum()) == prompts
    assert int(iterations(shared).prefill_tokens.sum()) == prompts - saved
    assert (shared.requests.output == plain.requests.output).all()
    assert len(shared.requests.finished) == 120


def test_without_the_policy_nothing_is_shared() -> None:
    found = trace_of(given()).requests
    assert found is not None
    assert not found.cached.any()


@pytest.mark.parametrize("technique", ["serving.cache.prefix_cache", "serving.cache.paged_cache"])
def test_a_tight_cache_gives_up_beginnings_and_finishes_all(technique: str) -> None:
    """A 24 GB card has room for some 30,000 tokens beside an 8B model in 8 bits."""
    one = given(technique, "quantization.int8.int8_weights", prefixes=60,
                prompt=Length("lognormal", 2000, 0.3), shared_prefix=1600)
    small = attrs.evolve(one.cluster.device, memory_bytes=13e9)
    one = attrs.evolve(one, cluster=attrs.evolve(one.cluster, device=small))
    found = trace_of(one)
    assert found.requests is not None
    assert len(found.requests.finished) + len(found.rejected) == 120
    assert (found.requests.finished >= found.requests.first_token).all()


def pools() -> Scenario:
    uses = [use("serving.pools.disaggregated_pools", prefill_replicas=2)]
    return attrs.evolve(given(devices=4), use=tuple(uses))


def test_pools_hand_over_what_they_prefilled() -> None:
    """The second token comes after the cache has passed between the replicas."""
    found = trace_of(pools()).requests
    assert found is not None
    assert len(found.finished) == 120
    later = found.output > 1
    # 131,072 B a token at 450 GB/s or less: at least 0.29 us a token.
    least = found.prompt[later] * 131072 / 450e9
    assert (found.finished[later] - found.first_token[later] > least).all()


def test_pools_need_a_replica_each() -> None:
    from llamasim.plan import compile_plan

    uses = [use("serving.pools.disaggregated_pools", prefill_replicas=4)]
    _, said = compile_plan(attrs.evolve(given(devices=4), use=tuple(uses)))
    assert [d.code for d in said if d.is_error] == ["E0416"]


def test_users_of_a_closed_loop_wait_for_both_pools() -> None:
    closed = attrs.evolve(pools().workload, arrivals=Arrivals("closed", 40, concurrency=4))
    found = trace_of(attrs.evolve(pools(), workload=closed)).requests
    assert found is not None
    for moment in np.linspace(0, found.arrived.max() * 0.999, 30):
        assert ((found.arrived <= moment) & (moment < found.finished)).sum() == 4
