"""Costs, fits, memory, links, ledger and claims say what the trace and the plan say."""

from __future__ import annotations

import attrs
import pyarrow.compute as pc
import pytest
from tests.scenarios_for_tests import scenario
from tests.tables.traces import by_hand, price, serving, training

from llamasim.simulate.trace import CATEGORIES, Rejection
from llamasim.tables import tabulate


def test_causes_of_time_add_up_to_the_run_and_its_price() -> None:
    """What is not waiting is computing; nothing is counted twice."""
    given = price(scenario(), 100.0)
    table = tabulate(by_hand(given, 3600.0, exposed={"bubble": 900.0, "send": 300.0}))["costs"]
    assert table.to_pylist() == [
        {"cause": "compute", "seconds": 2400.0, "share": pytest.approx(2 / 3),
         "usd": pytest.approx(200 / 3)},
        {"cause": "bubble", "seconds": 900.0, "share": 0.25, "usd": 25.0},
        {"cause": "send", "seconds": 300.0, "share": pytest.approx(1 / 12),
         "usd": pytest.approx(25 / 3)},
    ]


def test_without_a_price_causes_cost_null() -> None:
    """Seconds are known; dollars are not."""
    assert tabulate(training())["costs"]["usd"].null_count == tabulate(training())["costs"].num_rows


def test_categories_of_a_rank_class_add_up_to_its_total() -> None:
    """The parts of the peak are those held at the moment of the peak."""
    run = training()
    fits = tabulate(run)["fits"].to_pylist()
    for rank in run.plan.ranks:
        mine = {r["category"]: r["peak_bytes"] for r in fits if r["rank_class"] == rank.stage}
        parts = sum(v for k, v in mine.items() if k not in ("total", "host"))
        assert parts == pytest.approx(mine["total"], rel=1e-9)
        assert mine["total"] == pytest.approx(run.fits[rank.stage].peak_bytes)


def test_memory_over_time_reaches_the_reported_peak() -> None:
    """Summing the categories' latest values over time gives the peak of the fits table."""
    run = training()
    rows = sorted((r for r in tabulate(run)["memory"].to_pylist() if r["rank_class"] == 0),
                  key=lambda r: r["time_s"])
    level = dict.fromkeys(CATEGORIES, 0.0)
    peak = 0.0
    for i, row in enumerate(rows):
        level[row["category"]] = row["bytes"]
        if i + 1 == len(rows) or rows[i + 1]["time_s"] > row["time_s"]:
            peak = max(peak, sum(level.values()))
    assert peak == pytest.approx(run.fits[0].peak_bytes, rel=1e-9)


def test_links_are_those_of_the_trace() -> None:
    """Names and axes come back from their codes."""
    run = training()
    table = tabulate(run)["links"]
    flows = [run.links.flows[i] for i in run.links.flow]
    assert flows
    assert list(zip(*(table[k].to_pylist() for k in ("name", "axis")), strict=True)) == flows
    assert pc.min(pc.subtract(table["end_s"], table["start_s"])).as_py() >= 0


def test_the_ledger_has_every_write_of_every_technique() -> None:
    """Which technique wrote which cell of how many elements, at which place."""
    rows = tabulate(training())["ledger"].to_pylist()
    assert {r["technique"].rsplit(".", 1)[-1] for r in rows} == {
        "tensor_parallel", "pipeline_parallel", "zero2", "flash_attention"}
    assert all(r["matched"] > 0 for r in rows)
    assert all(".rules:" in r["place"] for r in rows)
    written = {(r["verb"], r["cell"]): r["element"] for r in rows}
    assert written["set", "layout.chunks"] == "step"


def test_claims_carry_their_source() -> None:
    """No interval stands without a citation."""
    claims = tabulate(training())["claims"].to_pylist()
    assert claims
    assert all(c["source"] and c["low"] <= c["high"] for c in claims)


def test_requests_come_back_in_order_and_rejections_with_a_reason() -> None:
    """A request that no server can hold is in a table of its own, not lost."""
    run = attrs.evolve(serving(), rejected=(Rejection(40, 5.0, 9000, 10, "too long"),))
    tables = tabulate(run)
    rows = tables["requests"].to_pylist()
    assert [r["request"] for r in rows] == list(range(40))
    for r in rows:
        assert r["arrived_s"] <= r["admitted_s"] <= r["first_token_s"] <= r["finished_s"]
    assert tables["rejected"].to_pylist() == [
        {"request": 40, "arrived_s": 5.0, "prompt_tokens": 9000, "output_tokens": 10,
         "reason": "too long"}]
    assert tables["summary"]["rejected_requests"].to_pylist() == [1]
