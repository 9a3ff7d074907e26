"""One batch of inference: prefill and decode."""

from __future__ import annotations

import pytest
from tests.simulate.hand_plans import iterations, plan, scenario

from llamasim.plan.spec import StepShape
from llamasim.scenario.spec import Length
from llamasim.simulate import run
from llamasim.simulate.batch import prefill_chunks, straight_runs
from llamasim.simulate.stagework import StageWork


def lengths(prompt: float, output: float) -> dict[str, Length]:
    return {"prompt": Length("fixed", prompt), "output": Length("fixed", output)}


def test_chunks_cover_every_token_and_pair_once() -> None:
    """Cutting a prefill changes neither tokens nor query-key pairs: they sum to the whole."""
    chunks = list(prefill_chunks(3, 100, 64))
    assert [c.tokens for c in chunks] == [64, 64, 64, 64, 44]
    assert sum(c.pairs for c in chunks) == StepShape.of(3, 100).pairs


def test_a_budget_beyond_the_batch_is_one_chunk() -> None:
    assert list(prefill_chunks(2, 100, 4096)) == [StepShape.of(2, 100)]


def test_straight_runs_add_up_to_every_step() -> None:
    """Times that bend at step 700 (max of two lines) are summed as if step by step."""

    def time_at(step: int) -> float:
        return max(1.0 + 1e-3 * step, 0.3 + 2e-3 * step)

    runs = list(straight_runs(time_at, 0, 2000))
    assert sum(n for n, _, _ in runs) == 2000
    total = sum(n * (a + b) / 2 for n, a, b in runs)
    assert total == pytest.approx(sum(time_at(i) for i in range(2000)), rel=1e-9)
    assert len(runs) < 30


@pytest.mark.parametrize("output", [1, 2, 300])
def test_decode_is_the_sum_of_its_steps(output: int) -> None:
    made, given = plan(mode="inference", layers=8), scenario(batch=4, **lengths(512, output))
    trace = run(made, given)
    work = StageWork.of(made, given)
    steps = [
        work.step("decode", StepShape.of(4, 1, 512 + i)).latency for i in range(output - 1)
    ]
    assert trace.decode_s == pytest.approx(sum(steps), rel=1e-6)
    it = iterations(trace)
    assert it.steps[it.decode_sequences > 0].sum() == output - 1


def test_without_a_prompt_every_token_is_decoded() -> None:
    trace = run(plan(mode="inference"), scenario(batch=1, **lengths(0, 16)))
    assert trace.prefill_s == 0
    assert iterations(trace).steps.sum() == 16


def test_two_stages_pipeline_the_prefill_but_not_the_decode() -> None:
    """Four chunks of one second a stage, in the pattern of a pipeline: 5 slots of 8."""
    whole = plan(mode="inference", layers=16)
    split = plan(mode="inference", layers=8, stages=2)
    given = scenario(batch=4, **lengths(2048, 100))
    one, two = run(whole, given), run(split, given)
    assert one.prefill_s is not None and two.prefill_s is not None
    assert one.decode_s is not None and two.decode_s is not None
    assert two.prefill_s == pytest.approx(one.prefill_s * 5 / 8, rel=0.05)
    assert two.decode_s >= one.decode_s


def test_a_host_that_issues_the_stages_in_turn_comes_before_each_of_them() -> None:
    """Ten decode steps over three stages: three times a millisecond each, and the prompt's one."""
    given, made = lengths(100, 11), plan(mode="inference", layers=4, stages=3)
    base, slow = (
        run(made, scenario(batch=1, runtime={"host_s": h, "launch_queue": 1024}, **given))
        for h in (0.0, 1e-3)
    )
    assert slow.makespan - base.makespan == pytest.approx(31e-3)
    assert slow.exposed["host"] == pytest.approx(31e-3)


def test_replicas_share_the_batch() -> None:
    given = scenario(batch=8, **lengths(256, 64))
    shared = run(plan(mode="inference", replicas=4), given)
    alone = run(plan(mode="inference"), scenario(batch=2, **lengths(256, 64)))
    assert shared.makespan == pytest.approx(alone.makespan)


def test_the_cache_is_counted_for_the_longest_sequence() -> None:
    """Four layers of 4 kB a token, 3 sequences of 2048 tokens."""
    trace = run(plan(mode="inference", layers=4), scenario(batch=3, **lengths(100, 28)))
    assert trace.fits[0].by_category["kv_cache"] == 4 * 4096 * 3 * 2048


def test_host_time_passes_before_every_step() -> None:
    given = lengths(100, 11)
    base = run(plan(mode="inference"), scenario(batch=1, **given))
    slow = run(plan(mode="inference"), scenario(batch=1, runtime={"host_s": 1e-3}, **given))
    assert slow.makespan - base.makespan == pytest.approx(11e-3)
    assert slow.exposed["host"] == pytest.approx(11e-3)


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_compute_and_waits_add_up_to_the_makespan(stages: int) -> None:
    made = plan(mode="inference", layers=4, stages=stages)
    given = scenario(batch=2, runtime={"host_s": 1e-4}, **lengths(3000, 50))
    trace = run(made, given)
    busy = (trace.tasks.end - trace.tasks.start).sum() / stages
    assert busy + sum(trace.exposed.values()) == pytest.approx(trace.makespan)
