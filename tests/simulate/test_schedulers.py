"""Policies of schedulers, routers and replicas that come and go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.scenarios_for_tests import scenario, use
from tests.simulate.hand_plans import iterations, plan, serving

from llamasim.plan import compile_plan
from llamasim.scenario.spec import Arrivals
from llamasim.simulate import run
from llamasim.simulate.arrivals import draw
from llamasim.simulate.kept import Kept
from llamasim.simulate.trace import Iterations, Requests, Service, Trace
from llamasim.tables.latency import latency_row

#: Bytes of a token's cache and of the weights, of eight layers.
TOKEN, WEIGHTS, STEP = 8 * 4096.0, 8 * 2048.0 * 1024, 4096.0 * 2048


def made(replicas: int = 1, **schedule: Any) -> Any:
    return plan(mode="inference", layers=8, schedule=schedule, replicas=replicas)


def parts(trace: Trace) -> tuple[Requests, Iterations, Service]:
    assert trace.requests is not None
    assert trace.service is not None
    return trace.requests, iterations(trace), trace.service


def room(tokens: float) -> float:
    """Memory for a cache of so many tokens."""
    return TOKEN * tokens + WEIGHTS + STEP


@pytest.mark.parametrize(("prompts", "first"), [("cut", [1000, 200]), ("whole", [600, 600])])
def test_prompts_are_cut_at_the_budget_or_wait(prompts: str, first: list[int]) -> None:
    """Two prompts of 600 tokens, 1000 an iteration; beside one decode, 999 are left."""
    given = serving("batch", 2, prompt=600, output=20)
    _, it, _ = parts(run(made(token_budget=1000, prompts=prompts), given))
    assert it.prefill_tokens[it.prefill_tokens > 0].tolist() == first


def test_a_prompt_longer_than_an_iteration_is_turned_away_where_it_is_not_cut() -> None:
    trace = run(made(token_budget=500, prompts="whole"), serving("batch", 1, prompt=600, output=2))
    assert trace.rejected[0].reason == (
        "its prompt of 600 tokens is more than the 500 of an iteration, and prompts are not cut"
    )


def test_prompts_apart_hold_up_the_tokens_of_others() -> None:
    """The second request comes while the first decodes; its prefill is one gap of the first's."""
    given = serving("gamma", 2, rate=2000.0, cv=1e-6, prompt=400, output=60)
    r, it, service = parts(run(made(mixing="apart"), given))
    assert not ((it.prefill_tokens > 0) & (it.decode_sequences > 0)).any()
    prefill = it.end[it.prefill_tokens > 0] - it.start[it.prefill_tokens > 0]
    assert len(prefill) == 2
    at = int(np.flatnonzero(it.start >= it.end[it.prefill_tokens > 0][1] - 1e-12)[0])
    step = (it.end[at] - it.start[at]) / it.steps[at]
    assert service.gaps[0].tolist() == pytest.approx([step, prefill[1] + step])
    assert service.gaps[1].tolist() == [-1, 1]
    assert r.admitted[1] < r.finished[0]


def test_what_is_set_aside_is_never_taken_back() -> None:
    """Room for 1.5 requests: as it grows the second gives way, set aside it waits for the first."""
    given = serving("batch", 2, prompt=256, output=256, memory=room(512 * 1.5))
    grown, _, _ = parts(run(made(), given))
    aside, _, _ = parts(run(made(reserve="request"), given))
    assert grown.preemptions.sum() > 0
    assert aside.preemptions.sum() == 0
    assert aside.admitted[1] >= aside.finished[0]


def test_slots_for_the_longest_context_hold_few_requests() -> None:
    """Room for 4100 tokens and contexts of 2048: two at a time, however short they are."""
    given = serving("batch", 6, prompt=50, output=50, memory=room(4100), sequence=2048)
    _, it, _ = parts(run(made(reserve="context"), given))
    assert it.running.max() == 2


def test_a_swapped_cache_is_not_computed_again() -> None:
    """The same tight room: without the host's memory the second prompt is computed twice."""
    given = serving("batch", 2, prompt=256, output=256, memory=room(512 * 1.5))
    again, it, _ = parts(run(made(), given))
    swapped, its, service = parts(run(made(swap_bytes=1e9), given))
    assert again.preemptions[1] >= 1 and swapped.preemptions[1] >= 1
    assert it.prefill_tokens.sum() > 512
    assert its.prefill_tokens.sum() == 512
    # Out and in again: 16 blocks of the prompt at least, twice.
    assert service.swapped >= 32


def test_a_block_is_swapped_in_pieces_of_a_layer() -> None:
    """Eight layers, keys and values apart: 16 pieces of 32,768 B over 50 GB/s, 2 us before each."""
    given = serving("batch", 2, prompt=256, output=256, memory=room(512 * 1.5))
    trace = run(made(swap_bytes=1e9), given)
    each = 16 * (2e-6 + TOKEN * 16 / 16 / 50e9)
    assert trace.exposed["copy"] == pytest.approx(parts(trace)[2].swapped * each, rel=1e-3)


def test_no_room_on_the_host_means_computing_again() -> None:
    given = serving("batch", 2, prompt=256, output=256, memory=room(512 * 1.5))
    _, it, service = parts(run(made(swap_bytes=TOKEN * 16), given))
    assert it.prefill_tokens.sum() > 512
    assert service.swapped == 0


def test_loads_stay_even_where_the_fewest_requests_decide() -> None:
    """Lengths that vary: the mean wait under load is less than in turn."""
    given = serving("poisson", 600, rate=1100.0, prompt=200.0, output=40.0, seed=1)
    schedule = {"max_sequences": 4}
    turns, _, _ = parts(run(made(4, **schedule), given))
    least, _, _ = parts(run(made(4, **schedule, routing="least_outstanding"), given))
    wait = [float(np.mean(r.admitted - r.arrived)) for r in (turns, least)]
    assert wait[1] < wait[0]


def test_prompts_go_where_their_beginning_is_cached() -> None:
    """Eight beginnings over four replicas: in turn each is computed up to four times."""
    given = serving("poisson", 200, rate=300.0, prompt=600, output=10, shared_prefix=512,
                    prefixes=8)
    cached = []
    for routing in ("round_robin", "prefix"):
        r, _, _ = parts(run(made(4, cache="prefix", routing=routing), given))
        cached.append(int((r.cached > 0).sum()))
    assert cached[0] <= 200 - 8 * 3
    assert cached[1] >= 200 - 8 * 2


def test_replicas_open_after_their_delay_and_close_again() -> None:
    """Many requests at first and few later: one replica, then up to four, then one."""
    given = serving("stepped", 500, rates=((0.0, 2000.0), (0.2, 20.0)), prompt=100, output=100)
    schedule = {"replicas_least": 1, "replica_start": 0.05, "open_above": 16.0, "close_below": 4.0}
    _, _, service = parts(run(made(4, **schedule), given))
    times, counts = zip(*service.replicas, strict=True)
    assert (times[0], counts[0]) == (0.0, 1)
    assert times[1] >= 0.05
    assert max(counts) == 4
    assert counts[-1] < 4
    assert 0.25 < service.there < 1


def test_caches_go_over_one_link_one_after_another() -> None:
    """Two requests done at once: the second arrives a transfer later than the first.

    600 tokens of 32,768 B over 50 GB/s take 0.39 ms and the latency.
    """
    given = serving("batch", 2, prompt=600, output=2, devices=2)
    trace = run(made(2, prefill_replicas=1, token_budget=4096), given)
    r, _, service = parts(trace)
    assert r.first_token[0] == r.first_token[1]
    each = 600 * TOKEN / 50e9
    assert service.sent == pytest.approx(3 * each, rel=0.02)
    assert latency_row(trace, r)["handover_ms_mean"] == pytest.approx(1500 * each, rel=0.02)
    assert (r.finished > r.first_token + each).all()
    assert r.finished[1] - r.finished[0] == pytest.approx(each, rel=0.3)


@pytest.mark.parametrize("schedule", [
    {"mixing": "apart"}, {}, {"token_budget": 64}, {"prefill_replicas": 1},
])
def test_times_between_tokens_fill_the_time_from_first_to_last(schedule: dict[str, Any]) -> None:
    """Summed over all gaps of all requests, they are the sum of (last token - first token)."""
    given = serving("poisson", 80, rate=300.0, prompt=200.0, output=30.0, devices=2)
    trace = run(made(2, **schedule), given)
    r, _, _ = parts(trace)
    gaps = int((r.output - 1).sum())
    mean = latency_row(trace, r)["itl_ms_mean"] / 1e3
    assert r.preemptions.sum() == 0
    assert mean * gaps == pytest.approx((r.finished - r.first_token).sum(), rel=1e-9)


@pytest.mark.parametrize("schedule", [
    {"reserve": "request"}, {"rows": 4.0, "tokens_out": 2.5}, {"mixing": "apart"},
])
def test_beginnings_are_shared_whatever_is_set_aside(schedule: dict[str, Any]) -> None:
    given = serving("poisson", 60, rate=200.0, prompt=600, output=20, shared_prefix=512,
                    memory=room(6000))
    r, _, service = parts(run(made(cache="prefix", **schedule), given))
    assert (r.cached > 0).sum() >= 55
    assert service.blocks == 6000 // 16


def test_beginnings_come_back_from_the_host_when_the_device_gave_them_up() -> None:
    """Room for one beginning of 512 tokens on the device, two in turn: without the host each
    is computed anew, with it they are copied: 32 blocks, or what is left of them.
    """
    given = serving("gamma", 8, rate=20.0, cv=1e-6, prompt=600, output=4, shared_prefix=512,
                    prefixes=2, memory=room(800), seed=3)
    plain, it, _ = parts(run(made(cache="prefix"), given))
    trace = run(made(cache="prefix", kept_bytes=1e9), given)
    kept, its, service = parts(trace)
    assert (kept.cached >= plain.cached).all()
    assert (kept.cached[2:] == 512).all() and (plain.cached < 512).any()
    # Every token of a prompt is computed or found.
    assert its.prefill_tokens.sum() == (600 - kept.cached).sum()
    assert service.swapped == (it.prefill_tokens.sum() - its.prefill_tokens.sum()) / 16
    each = 2e-6 + TOKEN * 16 / 50e9
    assert trace.exposed["copy"] == pytest.approx(service.swapped * each, rel=1e-3)


def test_a_router_by_prefix_knows_what_the_host_keeps() -> None:
    """Four beginnings, room for one on each of two devices: on their hosts there is room for all,
    so a request goes where its beginning was before, though the device gave it up since.
    """
    given = serving("gamma", 40, rate=20.0, cv=1e-6, prompt=600, output=4, shared_prefix=512,
                    prefixes=4, memory=room(800), seed=3)
    r, _, _ = parts(run(made(2, cache="prefix", routing="prefix", kept_bytes=1e9), given))
    groups = draw(given.workload, given.seed).group
    assert all(len(set(r.replica[groups == g])) == 1 for g in range(4))
    assert (r.cached > 0).sum() == 40 - 4


def test_requests_and_iterations_name_their_replica() -> None:
    """In turn; in pools, decodes are of the later replicas."""
    given = serving("batch", 8, prompt=64, output=5)
    r, it, _ = parts(run(made(2), given))
    assert r.replica.tolist() == [0, 1] * 4
    assert set(it.server.tolist()) == {0, 1}
    r, it, _ = parts(run(made(3, prefill_replicas=1), given))
    assert set(r.replica.tolist()) == {1, 2}
    assert set(it.server[it.prefill_tokens > 0].tolist()) == {0}
    assert set(it.server[it.decode_sequences > 0].tolist()) == {1, 2}


@pytest.mark.parametrize("schedule", [
    {"swap_bytes": 3e9}, {"cache": "prefix", "kept_bytes": 3e9},
])
def test_room_on_the_host_is_set_aside(schedule: dict[str, Any]) -> None:
    trace = run(made(**schedule), serving("batch", 2, prompt=256, output=16))
    assert trace.fits[0].host_bytes == 3e9


def test_a_host_without_room_keeps_what_was_used_last() -> None:
    host = Kept(10)
    host.put(1, 6)
    host.put(2, 3)
    host.put(1, 2)
    host.put(3, 4)
    assert [host.depth(n) for n in (1, 2, 3)] == [6, 0, 4]
    assert host.used == 10
    host.put(4, 99)
    assert [host.depth(n) for n in (1, 2, 3, 4)] == [0, 0, 0, 10]


@pytest.mark.parametrize("uses", [
    ("serving.batching.static_batching", "serving.cache.prefix_cache"),
    ("serving.batching.inflight_batching", "serving.cache.swap_preemption"),
    ("serving.cache.contiguous_cache", "serving.cache.swap_preemption"),
    ("serving.replicas.prefix_router", "serving.batching.static_batching"),
])
def test_what_would_mean_nothing_is_refused(uses: tuple[str, ...]) -> None:
    one = scenario(*(use(u) for u in uses), devices=2, runtime="vllm", mode="inference",
                   arrivals=Arrivals("poisson", 9, rate=1.0), shared_prefix=100)
    _, said = compile_plan(one)
    assert [d.code for d in said if d.is_error] == ["E0417"]
