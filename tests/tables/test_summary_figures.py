"""Figures of the summary, against hand calculation; null where there is no meaning."""

from __future__ import annotations

from functools import partial

import attrs
import numpy as np
import pytest
from tests.scenarios_for_tests import scenario
from tests.tables.traces import batch, by_hand, price, serving, training

from llamasim.scenario.spec import Arrivals
from llamasim.simulate.trace import Iterations, Requests, Service
from llamasim.tables import summarize

PROMISED = (
    "step_time_s", "tokens_per_s", "tokens_per_s_per_gpu", "model_tflops_per_gpu", "mfu",
    "flops_convention", "fits", "peak_memory_gib", "bubble_fraction", "exposed_communication_s",
    "ttft_ms_mean", "ttft_ms_p50", "ttft_ms_p99", "tpot_ms_mean", "tpot_ms_p50", "tpot_ms_p99",
    "decode_tok_s", "prefill_tok_s", "output_tok_s", "total_tok_s", "usd_per_million_tokens",
    "joules_per_token", "plan_hash", "seed",
)


@pytest.mark.parametrize("trace", [training, batch, serving])
def test_every_promised_field_is_there(trace: object) -> None:
    """Programs may rely on the names, whatever the job."""
    assert set(PROMISED) <= set(summarize(trace()))


def test_training_figures_by_hand() -> None:
    """4 sequences of 1,000 tokens in 2 s on 8 devices.

    4,000 tokens at 10 GFLOP are 40 TFLOP; 4 x 1000 x 1001 / 2 pairs at 1 kFLOP are 2.002 GFLOP.
    Over 2 s and 8 devices: 2.5001 TFLOP/s each, of 989.4 dense in bf16.
    """
    given = scenario(sequence=1000, global_batch=4, token_budget=86400 * 2000.0)
    row = summarize(by_hand(price(given, 36.0), 2.0))
    each = (40e12 + 2.002e9) / 2 / 8
    assert row["step_time_s"] == 2.0
    assert row["tokens_per_s"] == 2000
    assert row["tokens_per_s_per_gpu"] == 250
    assert row["model_tflops_per_gpu"] == pytest.approx(each / 1e12)
    assert row["mfu"] == pytest.approx(each / given.cluster.device.peaks["bf16"])
    assert row["days_to_token_budget"] == pytest.approx(1.0)
    assert row["usd_to_token_budget"] == pytest.approx(24 * 36.0)
    assert row["usd_per_million_tokens"] == pytest.approx(36 / 3600 / 2000 * 1e6)


def test_a_training_run_has_no_latencies() -> None:
    """Null, not 0: a training step has no first token."""
    row = summarize(training())
    absent = ("ttft_ms_mean", "tpot_ms_p99", "decode_tok_s", "prefill_tok_s", "output_tok_s",
              "requests_per_s", "slo_attained", "usd_per_million_tokens", "days_to_token_budget")
    assert {k: row[k] for k in absent} == dict.fromkeys(absent)


def test_a_run_without_a_price_costs_null() -> None:
    """Not knowing a price is not a price of zero."""
    row = summarize(by_hand(scenario(), 1.0))
    assert row["usd_per_million_tokens"] is None
    assert row["usd_per_hour"] is None


def test_exposed_communication_and_bubble_by_hand() -> None:
    """Only waits for transfers count as communication; the bubble is a share of the time."""
    waits = {"collective:tp": 0.2, "send": 0.1, "reduce": 0.05, "bubble": 0.5, "host": 0.3}
    row = summarize(by_hand(scenario(), 2.0, exposed=waits))
    assert row["exposed_communication_s"] == pytest.approx(0.35)
    assert row["bubble_fraction"] == pytest.approx(0.25)


def test_energy_by_hand() -> None:
    """A device that computes half of the time draws half way between idle and its limit."""
    given = scenario(sequence=1000, global_batch=4)
    device = given.cluster.device
    row = summarize(by_hand(given, 2.0, exposed={"bubble": 1.0}))
    watts = (device.idle_watts + device.tdp_watts) / 2 * 8
    assert row["joules_per_token"] == pytest.approx(watts / 2000)


def test_memory_is_the_fullest_device_against_its_capacity() -> None:
    """GiB, not GB."""
    row = summarize(by_hand(scenario(), 1.0, peak=3 * 2**30, capacity=2 * 2**30))
    assert (row["peak_memory_gib"], row["capacity_gib"], row["fits"]) == (3.0, 2.0, False)


def _served() -> Requests:
    """Return two requests of 10 and 20 output tokens; the second waits for a second."""
    ints = np.array([100, 100], np.int32)
    return Requests(
        arrived=np.array([0.0, 1.0]), admitted=np.array([0.0, 2.0]),
        first_token=np.array([0.5, 2.5]), finished=np.array([1.4, 4.4]), prompt=ints,
        output=np.array([10, 20], np.int32), preemptions=np.array([0, 3], np.int32),
        cached=np.array([0, 64], np.int32), variant=np.array([-1, -1], np.int32),
        replica=np.array([0, 0], np.int32), number=np.array([0, 1]),
    )


def test_serving_figures_by_hand() -> None:
    """First tokens after 0.5 and 1.5 s; (1.4 - 0.5) / 9 and (4.4 - 2.5) / 19 s a token: 100 ms."""
    given = scenario(mode="inference", devices=1, slo_ttft_s=1.0,
                     arrivals=Arrivals("poisson", 2, rate=1.0))
    row = summarize(by_hand(price(given, 3.6), 5.0, requests=_served()))
    assert row["ttft_ms_mean"] == pytest.approx(1000)
    assert row["ttft_ms_p50"] == pytest.approx(1000)
    assert row["ttft_ms_p90"] == pytest.approx(1400)
    assert row["ttft_ms_p99"] == pytest.approx(1490)
    assert row["queue_s_mean"] == pytest.approx(0.5)
    assert row["waiting_mean"] == pytest.approx(1.0 / 5.0)
    assert row["goodput_per_s"] == pytest.approx(0.2)
    assert row["tpot_ms_mean"] == pytest.approx(100)
    assert row["output_tok_s"] == pytest.approx(6)
    assert row["total_tok_s"] == pytest.approx(46)
    assert row["requests_per_s"] == pytest.approx(0.4)
    assert row["preemptions"] == 3
    assert row["slo_attained"] == pytest.approx(0.5)
    assert row["usd_per_million_tokens"] == pytest.approx(3.6 / 3600 / 6 * 1e6)
    assert row["step_time_s"] is None
    assert row["decode_tok_s"] is None


def test_times_between_tokens_count_every_sequence_of_a_step() -> None:
    """Ten steps of 10 ms with 3 sequences, one of 100 ms with 7: 37 gaps, 7 of them long; a wait
    of a second for one more. The mean is (30 x 10 + 7 x 100 + 1000) / 38 ms.
    """
    ints, floats = partial(np.array, dtype=np.int32), partial(np.array, dtype=np.float64)
    it = Iterations(
        start=floats([0.0, 0.1]), end=floats([0.1, 0.2]), steps=ints([10, 1]),
        prefill_tokens=ints([0, 500]), decode_sequences=ints([3, 7]), kv_tokens=floats([0, 0]),
        waiting=ints([0, 0]), running=ints([3, 8]), kv_blocks=ints([50, 100]),
        server=ints([0, 0]),
    )
    service = Service(1, 200, 16, (floats([1.0]), ints([1])))
    given = scenario(mode="inference", devices=1, arrivals=Arrivals("poisson", 2, rate=1.0))
    trace = attrs.evolve(by_hand(given, 5.0, requests=_served()), iterations=(it,), service=service)
    row = summarize(trace)
    assert row["itl_ms_mean"] == pytest.approx((30 * 10 + 7 * 100 + 1000) / 38)
    assert [row[f"itl_ms_p{p}"] for p in (50, 90, 99)] == pytest.approx([10, 100, 1000])
    assert row["running_mean"] == pytest.approx(5.5)
    assert (row["kv_used_mean"], row["kv_used_max"]) == pytest.approx((0.375, 0.5))


def test_a_batch_adds_up() -> None:
    """Prefill and decode make up the run; speeds follow from them."""
    trace = batch()
    row = summarize(trace)
    assert trace.prefill_s is not None
    assert trace.decode_s is not None
    assert trace.prefill_s + trace.decode_s == pytest.approx(trace.makespan)
    assert row["prefill_tok_s"] == pytest.approx(2 * 128 / trace.prefill_s)
    assert row["decode_tok_s"] == pytest.approx(2 * 63 / trace.decode_s)
    assert row["ttft_ms_p99"] == pytest.approx(trace.prefill_s * 1e3)
    assert row["output_tok_s"] == pytest.approx(2 * 64 / trace.makespan)


@pytest.mark.parametrize("trace", [training, batch, serving])
def test_no_figure_is_negative_or_not_a_number(trace: object) -> None:
    """Whatever has no meaning is null."""
    for name, value in summarize(trace()).items():
        if isinstance(value, float | int):
            assert np.isfinite(value), name
            assert value >= 0, name


def test_the_convention_says_what_frozen_weights_count() -> None:
    """A frozen model's useful work has no weight gradients, and its label says so."""
    from tests.scenarios_for_tests import plan_of, scenario, use

    from llamasim.tables.summary import convention

    assert convention(plan_of(scenario(devices=1))).startswith("6N + ")
    frozen = plan_of(scenario(use("finetune.lora.lora"), devices=1))
    assert convention(frozen).startswith("4N + 2 x trained weights")
