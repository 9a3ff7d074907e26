"""The search on scenarios whose answer is known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from tests.scenarios_for_tests import scenario, use

from llamasim.report.answers import answers_text, study_text
from llamasim.scenario.spec import Choice, Objective, Scenario, Use
from llamasim.simulate import run
from llamasim.study import Study, infeasible, optimize
from llamasim.study.combine import combinations
from llamasim.study.metrics import COST, MEMORY
from llamasim.study.search import MOST
from llamasim.study.verdict import alternatives, beaten, compared
from llamasim.study.workbench import Workbench

INT4, INT8 = use("quantization.int4.int4_weights"), use("quantization.int8.int8_weights")
BITS = Choice("weights", (("16 bit", ()), ("8 bit", (INT8,)), ("4 bit", (INT4,))))
DECODE = Objective("decode_tok_s", maximize=True)

#: Reads everything twice and keeps a further GiB: worse in all, better in nothing.
WASTEFUL = """edition 2026
module mine.waste

source none = "made up for a test"

/// Everything is read twice.
technique wasteful {
  on op { scale cost.read by 2 }
  on step { add 1 GiB to cost.static_bytes }
  claim loss_delta: 0..0 from none
}
"""


def _study(given: Scenario, *choices: Choice, objective: Objective = DECODE) -> Study:
    study, said = optimize(attrs.evolve(given, choices=choices, objective=objective))
    assert study is not None, [d.message for d in said]
    return study


def _chat(device: str = "rtx-4090", **more: Any) -> Scenario:
    return scenario(device=device, devices=1, runtime="llama.cpp", mode="inference", **more)


def test_a_candidate_that_is_better_in_everything_is_alone_on_the_front(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "waste.rules").write_text(WASTEFUL)
    given = attrs.evolve(_chat(), rule_paths=(str(tmp_path),))
    study = _study(given, Choice("way", (("waste", (use("mine.waste.wasteful"),)), ("lean", ()))))
    waste, lean = study.candidates
    assert study.best is lean
    assert study.front == (1,)
    assert beaten(study, waste) is lean
    # Decoding one sequence reads all weights for each token and does little else.
    slow, fast = waste.metrics["decode_tok_s"], lean.metrics["decode_tok_s"]
    assert slow is not None
    assert fast == pytest.approx(2 * slow, rel=0.1)
    assert "takes 1.0 GiB more" in compared(study, waste)
    assert "exact" in study_text(study)


def test_fewer_bits_decode_faster_and_stay_on_the_front_with_those_that_lose_less() -> None:
    study = _study(_chat(), BITS)
    assert [
        study.candidates[i].combination.picks[0][1] for i in study.ranking
    ] == ["4 bit", "8 bit", "16 bit"]
    assert set(study.front) == {0, 1, 2}


def test_the_objective_decides_the_ranking() -> None:
    least = _study(_chat(), BITS, objective=Objective(MEMORY, maximize=False))
    assert least.best is not None
    assert least.best.label == "weights=4 bit"
    quick = _study(_chat(), BITS, objective=Objective("ttft_ms_mean", maximize=False))
    assert quick.best is not None
    assert quick.best.label == "weights=16 bit"


def test_what_does_not_fit_is_kept_with_what_it_needs() -> None:
    study = _study(_chat(model="llama-3.1-70b"), BITS)
    sixteen, eight, four = study.candidates
    # 70,553,706,496 parameters of 2 bytes are 131.4 GiB.
    assert sixteen.status == "too_large"
    assert sixteen.fit is not None
    assert sixteen.fit.by_category["weights"] / 2**30 == pytest.approx(131.4, abs=0.05)
    assert sixteen.reason.startswith("needs 13")
    assert "(weights 131.4 GiB)" in sixteen.reason
    assert {"too_large"} == {c.status for c in (eight, four)}


def test_nothing_feasible_names_the_nearest_miss_and_what_would_change_it() -> None:
    study = _study(_chat(model="llama-3.1-70b"), BITS)
    assert study.best is None
    verdict = infeasible(study)
    assert verdict.nearest is study.candidates[2]
    # About 36 GiB in 4 bits on cards of 24 GiB.
    assert any(way.startswith("about 2 such devices") for way in verdict.ways)
    assert any("GiB more on each device" in way for way in verdict.ways)
    assert "Infeasible, because needs" in study_text(study)
    assert "infeasible, because needs" in answers_text([study])


def test_a_refused_combination_carries_its_diagnostic() -> None:
    knob = Choice("numbers", (("bf16", ()), ("fp8", (use("precision.fp8.fp8_compute"),))))
    study = _study(_chat("a100-pcie-80gb"), knob)
    refused = study.candidates[1]
    assert (refused.status, refused.code) == ("refused", "E0402")
    assert "this device has no fp8 arithmetic" in refused.reason
    assert "refused: " in {o: t for _, o, t in alternatives(study)}["fp8"]


def test_a_combination_with_the_plan_of_an_earlier_one_repeats_it() -> None:
    stated = use("quantization.int4.int4_weights", group_size=128)
    study = _study(_chat(), Choice("group", (("default", (INT4,)), ("stated", (stated,)))))
    assert [c.status for c in study.candidates] == ["feasible", "repeats"]
    assert study.candidates[1].reason == "the same plan as #1"


def test_a_missed_latency_target_is_not_feasible() -> None:
    study = _study(_chat(slo_tpot_s=0.010), BITS)
    # 16 GB at 1 TB/s take at least 16 ms a token, 4 bits about 5 ms.
    assert [study.candidates[i].status for i in (0, 2)] == ["too_slow", "feasible"]
    assert "target 10 ms" in study.candidates[0].reason


def test_too_many_combinations_are_refused_before_any_is_tried() -> None:
    digits = tuple((str(i), ()) for i in range(10))
    choices = tuple(Choice(f"k{i}", digits) for i in range(6))
    study, said = optimize(attrs.evolve(_chat(), choices=choices))
    assert study is None
    assert [d.code for d in said] == ["E0521"]
    assert f"at most {MOST:,}" in said[0].message


def test_a_technique_that_does_not_exist_is_an_error_not_a_candidate() -> None:
    study, said = optimize(attrs.evolve(_chat(), choices=(
        Choice("x", (("a", ()), ("b", (use("no.such.thing"),)))),)))
    assert study is None
    assert any(d.is_error for d in said)


def test_the_same_search_gives_the_same_result() -> None:
    assert _study(_chat(), BITS) == _study(_chat(), BITS)


def test_the_order_of_knobs_does_not_change_the_answer() -> None:
    small = use("quantization.kv_cache.fp8_kv_cache")
    cache = Choice("cache", (("16 bit", ()), ("8 bit", (small,))))
    a, b = _study(_chat(), BITS, cache).best, _study(_chat(), cache, BITS).best
    assert a is not None
    assert b is not None
    assert a.plan_hash == b.plan_hash


def _pretraining() -> tuple[Scenario, tuple[Choice, ...]]:
    """Return a small cluster and knobs of which some fit and some do not."""
    def pipe(stages: int, chunks: int) -> Use:
        return use("parallelism.pipeline.pipeline_parallel", stages=stages, chunks=chunks)

    given = scenario(
        use("precision.mixed.bf16_mixed"), use("attention.flash.flash_attention"), devices=32,
        sequence=4096, global_batch=64, micro_batch=1,
    )
    priced = attrs.evolve(given, cluster=attrs.evolve(given.cluster, usd_per_hour=50.0))
    tensor = use("parallelism.tensor.tensor_parallel", degree=2, sequence_parallel=True)
    return priced, (
        Choice("split", (("1", ()), ("2", (tensor,)))),
        Choice("stages", (("1", ()), ("2", (pipe(2, 1),)), ("4", (pipe(4, 2),)))),
        Choice("state", (("whole", (use("parallelism.data.data_parallel"),)),
                         ("two", (use("parallelism.zero.zero2"),)),
                         ("three", (use("parallelism.zero.zero3"),)))),
    )


def test_bounds_lose_no_answer_that_simulating_everything_finds() -> None:
    given, choices = _pretraining()
    quick = _study(given, *choices, objective=Objective())
    # A metric that has no bound makes every candidate simulate.
    full = Objective("mfu", maximize=True)
    slow = _study(given, *choices, objective=full)
    assert all(c.simulated for c in slow.candidates if c.metrics)
    assert not all(c.simulated for c in quick.candidates)
    assert quick.best is not None
    assert slow.best is not None
    assert quick.best.number == slow.best.number
    assert {quick.candidates[i].number for i in quick.front} == {
        slow.candidates[i].number for i in slow.front
    }


def test_a_bound_is_never_above_what_the_simulation_finds() -> None:
    given, choices = _pretraining()
    bench, _ = Workbench.of(attrs.evolve(given, choices=choices))
    assert bench is not None
    drafts = bench.bounds(list(combinations(bench.scenario)))
    assert not any(d.simulated for d in drafts)
    compared_ones = 0
    for draft in drafts:
        if draft.fit is None:
            continue
        plan, own, _ = bench.build(draft.combination)
        assert plan is not None
        trace = run(plan, own)
        needed = max(f.peak_bytes for f in trace.fits)
        assert draft.fit.peak_bytes <= needed * (1 + 1e-9)
        seconds = draft.metrics.get("step_time_s")
        if seconds is not None:
            compared_ones += 1
            assert 0.5 * trace.makespan <= seconds <= trace.makespan * (1 + 1e-9)
    assert compared_ones >= 4


def test_one_that_turns_out_to_be_the_same_plan_repeats_the_other() -> None:
    given, choices = _pretraining()
    stated = replace_choice(choices[0])
    study = _study(given, stated, *choices[1:], objective=Objective())
    plans = [c.plan_hash for c in study.candidates if c.status == "feasible" and c.simulated]
    assert len(plans) == len(set(plans))
    assert any(c.status == "repeats" for c in study.candidates)


def replace_choice(choice: Choice) -> Choice:
    """Return a choice with its first alternative twice."""
    (label, uses), *rest = choice.options
    return Choice(choice.label, ((label, uses), (f"{label} again", uses), *rest))


def test_cost_follows_from_price_and_speed() -> None:
    given, choices = _pretraining()
    study = _study(given, *choices, objective=Objective(COST, maximize=False))
    best = study.best
    assert best is not None
    # 4 nodes at 50 USD/h.
    per_second = 4 * 50 / 3600
    rate = best.metrics["tokens_per_s"]
    assert rate is not None
    assert best.metrics[COST] == pytest.approx(per_second / rate * 1e6)


def test_without_choices_the_scenario_itself_is_judged() -> None:
    study = _study(_chat())
    assert len(study.candidates) == 1
    assert "nothing to choose" in study_text(study)




def test_a_search_says_how_far_it_is_and_ends_with_nothing() -> None:
    given, choices = _pretraining()
    said: list[str] = []
    optimize(attrs.evolve(given, choices=choices), said.append)
    assert said[0] == "18 of 18"
    assert said[-2].endswith("of the best simulated")
    assert said[-1] == ""
