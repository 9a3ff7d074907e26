"""The summary: what a run comes to, by hand where that can be done."""

from __future__ import annotations

import math

import attrs
import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.simulate import run
from llamasim.simulate.trace import Trace
from llamasim.tables import summarize, tabulate

DATA = use("parallelism.data.data_parallel")
MIXED = use("precision.mixed.bf16_mixed")


def _training() -> Trace:
    given = scenario(DATA, MIXED, devices=8, global_batch=16, micro_batch=1)
    return run(plan_of(given), given)


def test_useful_work_is_six_flops_a_weight_and_the_causal_half_of_attention() -> None:
    """6 N a token, N being all weights, plus 12 x hidden x layers a causal pair of tokens."""
    trace = _training()
    row = summarize(trace)
    tokens = 16 * 4096
    pairs = 16 * 4096 * 4097 / 2
    # Scores and values: 2 x 2 x hidden a pair forward, twice that backward, in each of 32 layers.
    flops = 6 * 8_030_261_248 * tokens + 12 * 4096 * 32 * pairs
    assert row["step_time_s"] == trace.makespan
    expected = flops / trace.makespan / 8 / 1e12
    assert row["model_tflops_per_gpu"] == pytest.approx(expected, rel=1e-6)
    assert row["mfu"] == pytest.approx(float(expected) * 1e12 / 989e12, rel=1e-6)
    assert row["tokens_per_s"] == pytest.approx(tokens / trace.makespan)


def test_a_quantity_without_meaning_is_null() -> None:
    """A training step has no time to first token; a run without a price has no cost."""
    row = summarize(_training())
    for name in ("ttft_ms_mean", "tpot_ms_p99", "decode_tok_s", "prefill_tok_s", "slo_attained",
                 "usd_per_million_tokens", "requests_per_s", "days_to_token_budget"):
        assert row[name] is None, name


def test_a_price_becomes_dollars_a_token() -> None:
    """8 USD an hour over the tokens of an hour."""
    given = scenario(DATA, MIXED, devices=8, global_batch=16)
    given = attrs.evolve(given, cluster=attrs.evolve(given.cluster, usd_per_hour=8.0))
    row = summarize(run(plan_of(given), given))
    rate = float(row["tokens_per_s"] or 0)
    assert row["usd_per_hour"] == 8.0
    assert row["usd_per_million_tokens"] == pytest.approx(8 / 3600 / rate * 1e6)


def test_no_number_is_infinite_or_negative() -> None:
    """Nor is any missing where it has a meaning."""
    row = summarize(_training())
    for name, value in row.items():
        if isinstance(value, int | float):
            assert math.isfinite(value) and value >= 0, name


def test_tables_say_what_made_them() -> None:
    """Units are in the fields' metadata; plan, seed and version in the schema's."""
    trace = _training()
    for name, table in tabulate(trace).items():
        stamp = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        assert stamp["plan_hash"] == trace.plan.hash, name
        assert stamp["seed"] == "0"
        assert stamp["scenario"] == "test"
        for field in table.schema:
            if field.name.endswith("_s") and field.name != "tokens_per_s":
                unit = (field.metadata or {}).get(b"unit", b"")
                assert unit in (b"s", b"tok/s", b"1/s"), f"{name}.{field.name}"


def test_the_time_of_the_costs_is_the_run() -> None:
    """Computing and all causes of waiting add up to the makespan, and their shares to one."""
    trace = _training()
    rows = tabulate(trace)["costs"].to_pylist()
    assert sum(r["seconds"] for r in rows) == pytest.approx(trace.makespan)
    assert sum(r["share"] for r in rows) == pytest.approx(1.0)


def test_the_fits_table_adds_up_to_its_peak() -> None:
    """Categories at the peak sum to the total of a rank class."""
    rows = tabulate(_training())["fits"].to_pylist()
    total = next(r for r in rows if r["category"] == "total")
    parts = sum(r["peak_bytes"] for r in rows if r["category"] not in ("total", "host")
                and r["rank_class"] == total["rank_class"])
    assert parts == pytest.approx(total["peak_bytes"])
