"""Two runs compared: the parts sum to the whole, and say what changed."""

from __future__ import annotations

import json

import pytest
from tests.cli.command_line import call
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Arrivals, Scenario
from llamasim.simulate import run
from llamasim.study.diff import Diff, diff
from llamasim.tables import tabulate

DP = use("parallelism.data.data_parallel")
TP = use("parallelism.tensor.tensor_parallel", degree=4)
SPLIT = use("parallelism.pipeline.pipeline_parallel", stages=4)
FLASH = use("attention.flash.flash_attention")
ALL = use("memory.checkpoint.full_checkpoint")
CASES = {
    "plain": scenario(DP, FLASH),
    "tensors": scenario(DP, TP, FLASH),
    "stages": scenario(DP, SPLIT, FLASH, ALL, global_batch=32),
    "again": scenario(DP, FLASH, ALL),
    "decode": scenario(FLASH, mode="inference", devices=1, batch=4),
    "serve": scenario(FLASH, mode="inference", devices=1, arrivals=Arrivals("poisson", 20, rate=5)),
}


def compared(first: Scenario, second: Scenario) -> Diff:
    ran = [(s, tabulate(run(plan_of(s), s))) for s in (first, second)]
    return diff(ran[0], ran[1])


@pytest.mark.parametrize("a", CASES)
@pytest.mark.parametrize("b", CASES)
def test_parts_sum_to_the_whole(a: str, b: str) -> None:
    found = compared(CASES[a], CASES[b])
    traces = [run(plan_of(CASES[k]), CASES[k]) for k in (a, b)]
    assert found.seconds.first == pytest.approx(traces[0].makespan)
    assert found.seconds.second == pytest.approx(traces[1].makespan)
    peaks = [max(f.peak_bytes for f in t.fits) for t in traces]
    assert (found.bytes.first, found.bytes.second) == pytest.approx(tuple(peaks))


@pytest.mark.parametrize("name", CASES)
def test_a_run_does_not_differ_from_itself(name: str) -> None:
    found = compared(CASES[name], CASES[name])
    assert all(p.change == 0 for p in (*found.time, *found.memory, *found.results))
    assert found.said == ()


def test_the_other_way_round_every_change_has_the_other_sign() -> None:
    there, back = (compared(CASES[a], CASES[b]) for a, b in
                   (("plain", "again"), ("again", "plain")))
    changes = {p.cause: p.change for p in there.time}
    assert {p.cause: -p.change for p in back.time} == changes


def test_recomputation_shows_as_work_done_again_and_as_activations() -> None:
    """Nothing else of a step on one GPU changes: no waiting, no weights."""
    found = compared(scenario(FLASH, devices=1), scenario(FLASH, ALL, devices=1))
    longer = {p.cause for p in found.time if p.change > 1e-6 * found.seconds.first}
    assert longer
    assert all("again" in cause for cause in longer)
    assert next(p for p in found.memory if p.cause == "activations").change < 0
    assert ("use: full_checkpoint", "not used", "full_checkpoint()") in found.said


def test_a_server_s_results_and_steps_are_compared() -> None:
    """Twice the rate: users wait longer, and more prompts come beside decodes."""
    busy = scenario(FLASH, mode="inference", devices=1, arrivals=Arrivals("poisson", 20, rate=50))
    found = compared(CASES["serve"], busy)
    changes = {p.cause: p.change for p in found.results}
    assert changes["tpot_ms_mean"] > 0 and changes["output_tok_s"] > 0
    assert "preemptions" not in changes and "step_time_s" not in changes
    assert "compute: steps that decode" in {p.cause for p in found.time}


def test_memory_of_the_host_is_not_the_device_s() -> None:
    """A quarter of the cache away: the device's memory stays within the device."""
    away = scenario(FLASH, use("offload.cache.cache_to_host", share=0.25), mode="inference",
                    devices=1, arrivals=Arrivals("poisson", 20, rate=5))
    found = compared(CASES["serve"], away)
    host = next(p for p in found.results if p.cause == "host_bytes")
    assert host.first == 0 and host.second > 0
    assert "host" not in {p.cause for p in found.memory}


def test_the_command_says_what_changed() -> None:
    result = call("diff", "laptop", "--set", "workload.output=64 tok", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    assert found["seconds"]["change"] < 0
    assert [s["where"] for s in found["said"]] == ["workload.sequence", "workload.output"]
    text = call("diff", "laptop", "laptop-cpu").out
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "computing: decode matmul" in text


def test_an_unknown_scenario_is_a_mistake_with_a_way_out() -> None:
    result = call("diff", "cluster", "clutser")
    assert result.code == 2
    assert "did you mean" in result.err
