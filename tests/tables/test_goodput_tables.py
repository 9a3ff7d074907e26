"""A training run with failures, as tables and as a report."""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np
import pytest
from tests.scenarios_for_tests import scenario
from tests.tables.traces import by_hand, price, serving, training

from llamasim.report import report_text
from llamasim.report.goodput import goodput_object
from llamasim.scenario.reliability import Checkpointing, Reliability, Stragglers
from llamasim.simulate.trace import Trace
from llamasim.tables import tabulate
from llamasim.tables.goodput import MEANINGS
from llamasim.tables.schemas import SCHEMAS

DAY = 86400.0
OFTEN = Reliability(
    device_mtbf_s=8 * 20_000.0, planned_s=DAY, spares=1, trials=100,
    checkpoint=Checkpointing(pause_s=5.0), stragglers=Stragglers(0.05, 0.1),
)


def _trace(reliability: Reliability | None = OFTEN, **more: Any) -> Trace:
    """Return a step of 2 s whose budget takes a million of them."""
    given = scenario(sequence=1000, global_batch=4, token_budget=4000 * 1e6, **more)
    given = attrs.evolve(price(given, 36.0), reliability=reliability)
    return by_hand(given, 2.0, exposed={"host": 0.5})


def _report(trace: Trace) -> str:
    return report_text(tabulate(trace), "name", "head")


def test_times_by_cause_add_up_to_each_run() -> None:
    """In days, and in dollars of the node and its spare one."""
    rows = tabulate(_trace())["goodput"].to_pylist()
    assert len(rows) == 100
    for row in rows:
        seconds = sum(row[f"{cause}_s"] for cause in MEANINGS)
        assert row["days"] * DAY == pytest.approx(seconds)
        assert row["goodput"] == pytest.approx(2e6 / seconds)
        assert row["usd"] == pytest.approx(row["days"] * 24 * 2 * 36.0)
        assert row["useful_s"] == pytest.approx(2e6)


def test_the_summary_has_the_percentiles_of_the_draws() -> None:
    """p95 is what 95 of 100 runs keep: the 95th of days, the 5th of goodput."""
    tables = tabulate(_trace())
    row = tables["summary"].to_pylist()[0]
    days, goodput = (tables["goodput"][c].to_numpy() for c in ("days", "goodput"))
    assert row["days_p50"] == pytest.approx(np.percentile(days, 50))
    assert row["days_p95"] == pytest.approx(np.percentile(days, 95))
    assert row["goodput_p95"] == pytest.approx(np.percentile(goodput, 5))
    assert row["goodput_p95"] <= row["goodput_p50"] <= 1
    assert row["days_to_token_budget"] < row["days_p50"] <= row["days_p95"]
    assert row["usd_p95"] == pytest.approx(row["days_p95"] * 24 * 72)


def test_what_was_expected_stands_beside() -> None:
    """20,000 s between failures of eight devices; the interval of the largest goodput."""
    row = tabulate(_trace())["reliability"].to_pylist()[0]
    assert row["mtbf_s"] == pytest.approx(20_000.0)
    assert row["interval_s"] == row["best_interval_s"]
    assert row["young_s"] == pytest.approx((2 * row["pause_s"] * 20_000) ** 0.5)
    assert row["straggler_factor"] == pytest.approx(1 + 0.75 * 0.1 * (1 - 0.95**8))


def test_without_the_section_there_is_nothing_new() -> None:
    """No tables, no figures, and one hint."""
    trace = _trace(None)
    tables = tabulate(trace)
    assert not {"goodput", "reliability"} & set(tables)
    assert tables["summary"]["goodput_p50"][0].as_py() is None
    assert goodput_object(tables) is None
    assert "without interruptions (`reliability` adds them)" in _report(trace)
    assert "goodput" not in _report(training())
    assert "reliability" not in tabulate(serving())


def test_without_a_price_there_are_days_and_no_dollars() -> None:
    trace = _trace()
    cluster = attrs.evolve(trace.scenario.cluster, usd_per_hour=None)
    trace = attrs.evolve(trace, scenario=attrs.evolve(trace.scenario, cluster=cluster))
    tables = tabulate(trace)
    assert tables["goodput"]["usd"].null_count == 100
    assert tables["summary"]["usd_p50"][0].as_py() is None
    assert "without interruptions\n" in report_text(tables, "name", "head")


def test_the_report_says_goodput_days_dollars_causes_and_the_interval() -> None:
    text = _report(_trace())
    for words in ("Over the token budget", "goodput", "(p50)", "(p95)", "in closed form",
                  "failures", "the best interval", "Young", "Daly", "training that counts",
                  "steps done again", "noticing failures", "starting again",
                  "saving checkpoints", "planned interruptions", "waiting for repairs",
                  "waiting for slow devices"):
        assert words in text, words
    assert max(map(len, text.splitlines())) <= 100


def test_an_interval_that_was_asked_for_is_compared_with_the_best() -> None:
    asked = attrs.evolve(OFTEN, checkpoint=Checkpointing(interval_s=7200.0))
    text = _report(_trace(asked))
    assert "every 2.0 h of training" in text
    assert "would be best" in text


def test_a_run_that_gets_nowhere_says_why() -> None:
    """A failure every ten seconds, and a pause of a minute at each checkpoint."""
    never = attrs.evolve(OFTEN, device_mtbf_s=80.0, checkpoint=Checkpointing(pause_s=60.0))
    trace = _trace(never)
    tables = tabulate(trace)
    assert tables["goodput"].num_rows == 0
    assert tables["summary"]["days_p50"][0].as_py() is None
    assert "hardly a checkpoint is reached" in _report(trace)
    json.dumps(goodput_object(tables), allow_nan=False)


def test_programs_get_causes_that_add_up() -> None:
    tables = tabulate(_trace())
    given = goodput_object(tables)
    assert given is not None
    json.dumps(given, allow_nan=False)
    mean = tables["goodput"]["days"].to_numpy().mean()
    assert sum(given["seconds_by_cause"].values()) == pytest.approx(mean * DAY)


def test_the_seed_decides() -> None:
    """The same one gives the same tables, another one others."""
    one, again = tabulate(_trace()), tabulate(_trace())
    assert one["goodput"].equals(again["goodput"])
    trace = _trace()
    other = attrs.evolve(trace, scenario=attrs.evolve(trace.scenario, seed=7))
    assert not tabulate(other)["goodput"].equals(one["goodput"])


def test_tables_have_their_published_schema() -> None:
    tables = tabulate(_trace())
    for name in ("goodput", "reliability", "summary"):
        assert tables[name].schema.equals(SCHEMAS[name], check_metadata=False)
