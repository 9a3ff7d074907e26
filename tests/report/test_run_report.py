"""The report of a run: the answer first, nothing cut short, and what is not known said so."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest
from tests.scenarios_for_tests import scenario
from tests.tables.traces import batch, by_hand, price, serving, training

from llamasim.plan import compile_plan
from llamasim.report import compare_text, report_text
from llamasim.scenario import read
from llamasim.scenario.spec import Arrivals
from llamasim.simulate import run
from llamasim.simulate.trace import Rejection, Requests, Trace
from llamasim.tables import summarize, tabulate
from llamasim.techniques.records import ClaimFact, LedgerRow

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"


def _text(trace: Trace, **more: object) -> str:
    return report_text(tabulate(trace), "name", "head", **more)


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_report_fits_on_100_columns(path: Path) -> None:
    """Every shipped scenario's, with nothing cut off at the edge."""
    given, _ = read(path)
    assert given is not None
    plan, _ = compile_plan(given)
    assert plan is not None
    text = _text(run(plan, given), assumed=given.inferred)
    assert max(map(len, text.splitlines())) <= 100
    assert " nan" not in text
    assert " inf" not in text
    assert text == text.encode("ascii", "replace").decode()


@pytest.mark.parametrize(("trace", "first"), [
    (training, "step time"), (batch, "decode"), (serving, "output")])
def test_the_answer_comes_first(trace: object, first: str) -> None:
    """Right under the headline: how fast; then whether it fits, and what stands behind both."""
    lines = _text(trace()).splitlines()
    assert lines[0] == "name: head"
    assert lines[2].startswith(f"  {first}")
    answer = lines[2 : lines.index("", 2)]
    memory, measured = (next(k for k, line in enumerate(answer) if line.startswith(f"  {word}"))
                        for word in ("memory", "measured"))
    assert answer[memory].endswith("fits")
    assert measured == memory + 1


def test_flops_utilisation_names_its_convention() -> None:
    """A share of peak means nothing without what was counted."""
    text = _text(training())
    assert "MFU" in text
    assert "6N + causal attention" in text


def test_too_little_memory_says_which_category_where_and_by_how_much() -> None:
    """30 of 20 GiB: 10 GiB are missing, and the ways out are listed."""
    trace = by_hand(scenario(devices=1), 1.0, peak=30 * 2**30, capacity=20 * 2**30)
    text = _text(trace, ways=("workload.micro_batch: 1 (now 4)",))
    assert "DOES NOT FIT" in text
    assert "OUT OF MEMORY by 10.00 GiB on stage 0; weights take most" in text
    assert "    - workload.micro_batch: 1 (now 4)" in text


def test_a_run_that_fits_lists_no_ways_out() -> None:
    """Nor does it say that anything is missing."""
    text = _text(by_hand(scenario(devices=1), 1.0))
    assert "OUT OF" not in text
    assert "it would fit" not in text


def test_waiting_is_told_by_axis() -> None:
    """Each mesh axis has a line of its own, and so has the bubble."""
    waits = {"collective:tp": 0.25, "bubble": 0.5, "reduce": 0.25}
    lines = _text(by_hand(scenario(), 2.0, exposed=waits)).splitlines()
    tensor = next(line for line in lines if "waiting for collectives over tp" in line)
    assert tensor.split()[5:8] == ["250", "ms", "12.5%"]
    assert any("pipeline bubble" in line and "25.0%" in line for line in lines)
    assert any("computing" in line and "50.0%" in line for line in lines)


def _with(claims: tuple[ClaimFact, ...], names: tuple[str, ...]) -> Trace:
    trace = by_hand(scenario(), 1.0)
    ledger = tuple(
        LedgerRow(technique=n, instance=n.rsplit(".", 1)[-1], element="weight", pattern="*",
                  matched=1, cell="numerics.bits", verb="set", value="8 bit", place="x.rules:1")
        for n in names
    )
    return attrs.evolve(trace, plan=attrs.evolve(trace.plan, claims=claims, ledger=ledger))


def _claim(technique: str, low: float, high: float) -> ClaimFact:
    return ClaimFact(technique=technique, metric="mmlu_loss", scope="MMLU", low=low, high=high,
                     source="a paper", note="")


def test_a_technique_without_a_claim_has_no_evidence() -> None:
    """No evidence is not a loss of zero."""
    text = _text(_with((), ("family.file.unknown_one",)))
    assert "no evidence: unknown_one" in text


def test_losses_of_several_techniques_were_not_measured_together() -> None:
    """Intervals of one technique need no such remark."""
    claims = (_claim("a.b.first", 0.001, 0.002), _claim("a.b.second", 0.01, 0.02))
    both = _text(_with(claims, ("a.b.first", "a.b.second")))
    assert "first: mmlu loss 0.10% to 0.20% on MMLU" in both
    assert "interaction not measured" in both
    alone = _text(_with(claims[:1], ("a.b.first",)))
    assert "interaction not measured" not in alone


def test_an_exact_technique_is_said_to_be_exact() -> None:
    """An interval from zero to zero is evidence."""
    text = _text(_with((_claim("a.b.exact", 0.0, 0.0),), ("a.b.exact",)))
    assert "same results up to rounding: exact" in text


def test_without_a_price_the_report_says_where_to_give_one() -> None:
    """And with one, it says the price of a million tokens."""
    assert "no price given (`cluster.price`)" in _text(by_hand(scenario(), 1.0))
    assert "per million tokens" in _text(by_hand(price(scenario(), 10.0), 1.0))


def test_what_the_scenario_leaves_open_is_listed() -> None:
    """A reader sees what was taken for it, and why."""
    text = _text(by_hand(scenario(), 1.0), assumed={"cluster.host": "usual, for such a device"})
    assert "cluster.host: usual, for such a device" in text


def test_several_runs_stand_side_by_side() -> None:
    """One column a run; a figure that none has is left out, one that some have shows `-`."""
    rows = [summarize(t) for t in (training(), batch())]
    lines = compare_text(rows).splitlines()
    names = [line.split("  ")[1] for line in lines[1:]]
    assert "step time s" in names
    assert "$ / M tokens" not in names
    step = next(line for line in lines if "step time s" in line)
    assert step.split()[-1] == "-"


def test_a_server_that_can_serve_nobody_shows_no_times() -> None:
    """It says how many it turned away and why; nothing has a time of zero."""
    given = scenario(mode="inference", devices=1, arrivals=Arrivals("poisson", 2, rate=1.0))
    ints, floats = np.zeros(0, np.int32), np.zeros(0)
    nobody = Requests(*[floats] * 4, *[ints] * 7)
    trace = attrs.evolve(
        by_hand(given, 0.0, requests=nobody, peak=3 * 2**30, capacity=2 * 2**30),
        rejected=tuple(Rejection(i, 0.0, 9, 9, "no room for its cache") for i in range(2)),
    )
    text = _text(trace)
    assert "2 requests that can never be served" in text
    assert "no room for its cache" in text
    assert "Time:" not in text
    assert summarize(trace)["makespan_s"] is None
    assert tabulate(trace)["costs"].num_rows == 0
