"""The continuous-batching server."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.simulate.hand_plans import iterations, plan, serving

from llamasim.plan.spec import BlockPlan, Chunk, CommWork, Group, StepShape
from llamasim.simulate import run
from llamasim.simulate.cache import Cache
from llamasim.simulate.serving import serve
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepcost import StepCosts
from llamasim.simulate.trace import Requests, Trace

PLAN = plan(mode="inference", layers=8)


def requests(trace: Trace) -> Requests:
    assert trace.requests is not None
    return trace.requests


def test_a_request_alone_is_served_like_a_batch_of_one() -> None:
    trace = run(PLAN, serving("poisson", 1, rate=1.0, prompt=300, output=50))
    work = StageWork.of(PLAN, serving(prompt=300, output=50))
    r = requests(trace)
    first = work.step("prefill", StepShape.of(1, 300)).latency
    assert r.first_token[0] == pytest.approx(first, rel=0.02)
    steps = sum(work.step("decode", StepShape.of(1, 1, 300 + i)).latency for i in range(49))
    assert r.finished[0] - r.first_token[0] == pytest.approx(steps, rel=0.02)


def test_decodes_come_before_prefills_in_the_budget() -> None:
    """While one request decodes, another's 1000 tokens come in chunks of 99."""
    made = plan(mode="inference", schedule={"token_budget": 100})
    trace = run(made, serving("batch", 2, prompt=1000, output=500))
    it = iterations(trace)
    mixed = (it.prefill_tokens > 0) & (it.decode_sequences > 0)
    assert set((it.prefill_tokens + it.decode_sequences)[mixed].tolist()) <= {100, 11}
    assert it.prefill_tokens.max() == 100


@pytest.mark.parametrize("limit", [1, 3, 16])
def test_no_more_sequences_run_together_than_allowed(limit: int) -> None:
    made = plan(mode="inference", schedule={"max_sequences": limit})
    trace = run(made, serving("batch", 40, prompt=50, output=20))
    assert iterations(trace).decode_sequences.max() == limit


def test_a_closed_loop_keeps_its_users_busy() -> None:
    trace = run(PLAN, serving("closed", 60, concurrency=7, prompt=100.0, output=40.0))
    r = requests(trace)
    for moment in np.linspace(0, r.arrived.max() * 0.999, 50):
        assert ((r.arrived <= moment) & (moment < r.finished)).sum() == 7


def test_the_latest_request_gives_way_when_the_cache_is_full() -> None:
    """Room for 1.5 requests: the first is never preempted, the second is and ends last."""
    weights = 8 * 2048.0 * 1024
    room = 8 * 4096.0 * 512 * 1.5 + weights + 4096.0 * 2048
    trace = run(PLAN, serving("batch", 2, prompt=256, output=256, memory=room))
    r = requests(trace)
    assert r.preemptions.tolist()[0] == 0
    assert r.preemptions.tolist()[1] >= 1
    assert r.finished[1] > r.finished[0]


def test_a_request_that_can_never_fit_is_rejected_with_a_reason() -> None:
    weights = 8 * 2048.0 * 1024
    room = 8 * 4096.0 * 100 + weights + 4096.0 * 2048
    trace = run(PLAN, serving("batch", 3, prompt=80, output=80, memory=room))
    assert len(requests(trace).finished) == 0
    assert trace.rejected[0].reason == "it needs a cache of 160 tokens; there is room for 96"
    assert not trace.fits[0].fits


def test_a_static_batch_comes_back_together() -> None:
    made = plan(mode="inference", schedule={"admission": "batch", "max_sequences": 4})
    r = requests(run(made, serving("batch", 8, prompt=50.0, output=50.0)))
    assert sorted(set(np.unique(r.finished, return_counts=True)[1].tolist())) == [4]
    assert r.admitted[4:].min() >= r.finished[:4].max()


def test_several_tokens_a_step_take_fewer_steps() -> None:
    """11 tokens after the first, 4 a step: three steps."""
    made = plan(mode="inference", schedule={"rows": 5.0, "tokens_out": 4.0})
    it = iterations(run(made, serving("batch", 1, prompt=64, output=12)))
    assert it.steps[it.decode_sequences > 0].sum() == 3


def test_replicas_take_turns() -> None:
    two = plan(mode="inference", layers=8, replicas=2)
    shared = requests(run(two, serving("batch", 20, prompt=100, output=50)))
    alone = requests(run(PLAN, serving("batch", 10, prompt=100, output=50)))
    assert shared.finished[::2].tolist() == pytest.approx(alone.finished.tolist())
    assert shared.finished[1::2].tolist() == pytest.approx(alone.finished.tolist())


def test_stages_serve_as_many_batches_at_once() -> None:
    """Two stages of half the layers finish a large backlog about as fast as two devices."""
    split = plan(mode="inference", layers=8, stages=2)
    whole = plan(mode="inference", layers=16)
    given = serving("batch", 200, prompt=500, output=20)
    assert run(split, given).makespan == pytest.approx(run(whole, given).makespan / 2, rel=0.15)


def test_waits_match_the_queue_of_one_server() -> None:
    """One-token requests are an M/D/1 queue: the mean wait is rho s / (2 (1 - rho))
    (Pollaczek and Khinchine).
    """
    made = plan(mode="inference", layers=8, schedule={"max_sequences": 1})
    s = float(requests(run(made, serving("batch", 1, prompt=500, output=1))).finished[0])
    for rho in (0.3, 0.7):
        given = serving("poisson", 40_000, rate=rho / s, prompt=500, output=1)
        r = requests(run(made, given))
        assert np.mean(r.admitted - r.arrived) == pytest.approx(
            rho * s / (2 * (1 - rho)), rel=0.05
        )


def test_step_times_on_the_grid_are_those_of_the_whole_work() -> None:
    given = serving(prompt=10, output=10)
    work = StageWork.of(PLAN, given)
    costs = StepCosts(work)
    shape = StepShape.of(4, 128, 300)
    mixed, _ = costs.mixed(0, 0.0, ((128, 300),) * 4)
    assert mixed == pytest.approx(work.step("prefill", shape).latency)
    decode = StepShape.of(8, 1, 127)
    assert costs.decode(8, 8 * 128) == pytest.approx(work.step("decode", decode).latency)


@pytest.mark.parametrize("hidden", [0.0, 0.5, 1.0])
def test_a_step_waits_for_copies_of_the_cache_that_its_work_does_not_hide(hidden: float) -> None:
    """As long as in a batch: from copies that hide behind the work to ones that it waits for."""
    given = serving(prompt=10, output=10)
    block, waits = PLAN.blocks[0], []
    for size in (64.0, 4096.0, 65536.0):
        copy = CommWork("cache", "copy", Group("host", 1, 1), bytes_per_kv_token=size,
                        hidden=hidden, stream="copy")
        works = {phase: (copy, *block.work[phase]) for phase in ("prefill", "decode")}
        work = StageWork.of(
            attrs.evolve(PLAN, blocks=(attrs.evolve(block, work=works),)), given)
        costs, decode = StepCosts(work), StepShape.of(8, 1, 127)
        assert costs.decode(8, 8 * 128) == pytest.approx(work.step("decode", decode).latency)
        chunks = ((128, 300),) * 4
        mixed, reading = costs.mixed(0, 0.0, chunks)
        whole = work.step("prefill", StepShape.of(4, 128, 300))
        assert mixed == pytest.approx(whole.latency)
        waits.append(reading.copies_s)
        both, _ = costs.mixed(8, 8 * 128.0, chunks)
        assert both > mixed
    assert waits[0] == 0 and (waits[2] > 0 or hidden == 0)


def test_a_draft_proposes_beside_prompts_too() -> None:
    """A step of prompts and decodes takes what the draft's own passes for the decodes do longer."""
    block, given = PLAN.blocks[0], serving(prompt=10, output=10)

    def costs(*blocks: BlockPlan) -> StepCosts:
        order = (Chunk(0, tuple(range(len(blocks)))),)
        ranks = (attrs.evolve(PLAN.ranks[0], chunks=order),)
        return StepCosts(StageWork.of(attrs.evolve(PLAN, blocks=blocks, ranks=ranks), given))

    draft = attrs.evolve(block, name="draft", owner="draft")
    prompts = attrs.evolve(draft, work={**block.work, "decode": ()})
    chunks = ((128, 300),) * 4
    proposing, _ = costs(draft, block).mixed(8, 4096.0, chunks)
    silent, _ = costs(prompts, block).mixed(8, 4096.0, chunks)
    assert proposing - silent == pytest.approx(costs(block).decode(8, 4096.0))


def test_a_cache_counts_blocks_as_sequences_grow() -> None:
    """Blocks of 4: lengths 3 and 8 hold 1 and 2; a step later 1 and 3; two later 2 and 3."""
    cache = Cache(10, 4)
    assert cache.open(0, 3, 99) and cache.open(1, 8, 99)
    cache.decode(0, 3)
    cache.decode(1, 8)
    used = [cache.used]
    for _ in range(3):
        cache.advance(1)
        used.append(cache.used)
    assert used == [3, 4, 5, 5]
    assert cache.steps_left(99) == 10
    cache.advance(10)
    assert cache.needed() > 0 and cache.used == 10 - cache.free
    cache.close(0)
    cache.close(1)
    assert (cache.used, cache.tokens) == (0, 0)


def test_coalesced_runs_change_nothing() -> None:
    given = serving("poisson", 60, rate=200.0, prompt=200.0, output=60.0, memory=4e8)
    fast, slow = serve(PLAN, given), serve(PLAN, given, coalesce=False)
    assert requests(fast).preemptions.tolist() == requests(slow).preemptions.tolist()
    assert requests(fast).finished.tolist() == pytest.approx(requests(slow).finished.tolist())


def test_a_host_that_minds_each_sequence_makes_steps_longer_by_their_number() -> None:
    """Four sequences of 101 tokens: their prompts in one step, then 100 steps; 4 x 10 us each."""
    load = serving("batch", 4, prompt=64, output=101)
    slow = serving("batch", 4, prompt=64, output=101, runtime={"sequence_host_s": 10e-6})
    quick, late = run(PLAN, load), run(PLAN, slow)
    assert late.makespan - quick.makespan == pytest.approx(101 * 4 * 10e-6)
    assert late.exposed["host"] == pytest.approx(101 * 4 * 10e-6)
    assert "host" not in quick.exposed
