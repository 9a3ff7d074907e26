"""What is known about accuracy, and what is not."""

from __future__ import annotations

from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.report.accuracy import accuracy_text
from llamasim.study.evidence import Evidence, Interval, best_metric, evidence_of

INT4 = use("quantization.int4.int4_weights")
CACHE = use("quantization.kv_cache.fp8_kv_cache")
FLASH = use("attention.flash.flash_attention")


def test_a_technique_that_claims_no_change_is_exact_and_one_that_claims_nothing_is_silent() -> None:
    plan = plan_of(scenario(INT4, CACHE, FLASH, mode="inference", runtime="vllm"))
    evidence = evidence_of(plan)
    assert evidence.exact == ("attention.flash.flash_attention",)
    assert evidence.silent == ("quantization.kv_cache.fp8_kv_cache",)
    assert list(evidence.losses) == ["quantization.int4.int4_weights"]
    assert "no evidence for fp8_kv_cache" in accuracy_text(evidence, "mmlu_loss")


def test_a_plan_of_exact_techniques_is_exact() -> None:
    plan = plan_of(scenario(FLASH, mode="inference", runtime="vllm"))
    assert accuracy_text(evidence_of(plan), "") == "exact"


def test_losses_of_several_techniques_add_up_and_say_so() -> None:
    evidence = Evidence(
        (), {"x.a": {"mmlu_loss": Interval(0.01, 0.02)}, "x.b": {"mmlu_loss": Interval(0.0, 0.03)}},
        (),
    )
    assert Interval(0.01, 0.05) == evidence.known("mmlu_loss")
    expected = "mmlu loss 1 to 5 % (sum, not measured together)"
    assert expected == accuracy_text(evidence, "mmlu_loss")


def test_a_technique_without_a_claim_in_a_metric_is_unknown_there() -> None:
    evidence = Evidence((), {"x.a": {"mmlu_loss": Interval(0.01, 0.02)}}, ("x.b",))
    assert {"x.a", "x.b"} == evidence.unknown("perplexity_increase")
    assert {"x.b"} == evidence.unknown("mmlu_loss")


def test_the_metric_with_most_claims_is_compared_and_ties_go_by_name() -> None:
    a, b = Interval(0.0, 0.1), Interval(0.0, 0.2)
    many = [Evidence((), {"x.a": {"m": a, "p": a}}, ()), Evidence((), {"x.b": {"p": b}}, ())]
    assert best_metric(many) == "p"
    assert best_metric(many[:1]) == "m"
    assert best_metric([Evidence((), {}, ("x.c",))]) == ""
