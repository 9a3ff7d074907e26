"""The highest load within targets."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.catalog.recordings import Recording
from llamasim.scenario.spec import Arrivals, Length, Scenario
from llamasim.simulate import run
from llamasim.study.capacity import at_load, capacity


def given(arrivals: Arrivals, **targets: float) -> Scenario:
    return scenario(
        use("serving.batching.continuous_batching"), devices=1, runtime="vllm", mode="inference",
        sequence=512, prompt=Length("lognormal", 500, 0.5), output=Length("fixed", 50),
        arrivals=arrivals, **targets,
    )


def test_the_answer_meets_the_targets_and_a_little_more_does_not() -> None:
    found, said = capacity(given(Arrivals("poisson", 150, rate=3.0), slo_ttft_s=0.15), 0.9)
    assert found is not None and not said
    assert found.best is not None and found.over is not None
    assert found.best.attained >= 0.9 > found.over.attained
    assert found.best.rate < found.over.rate <= found.best.rate * 1.011


def test_a_tighter_target_is_met_at_a_lower_rate() -> None:
    """The same draws at every rate, so the order is not left to chance."""
    rates = []
    for target in (0.06, 0.2):
        found, _ = capacity(given(Arrivals("poisson", 150, rate=8.0), slo_ttft_s=target), 0.9)
        assert found is not None and found.best is not None
        rates.append(found.best.rate)
    assert rates[0] < rates[1]


def test_users_of_a_closed_loop_are_whole_ones() -> None:
    arrivals = Arrivals("closed", 120, concurrency=4)
    found, _ = capacity(given(arrivals, slo_tpot_s=0.012), 0.95)
    assert found is not None and found.users
    assert found.best is not None and found.over is not None
    assert found.over.rate == found.best.rate + 1


def test_what_no_rate_meets_has_no_answer() -> None:
    found, _ = capacity(given(Arrivals("poisson", 20, rate=8.0), slo_ttft_s=1e-6), 0.5)
    assert found is not None and found.best is None


def test_without_a_rate_or_a_target_there_is_nothing_to_find() -> None:
    one_batch, no_target = Arrivals("batch", 20), Arrivals("poisson", 9, rate=1.0)
    for one in (given(one_batch, slo_ttft_s=1.0), given(no_target)):
        found, said = capacity(one, 0.9)
        assert found is None
        assert [d.code for d in said] == ["E0722"]


@pytest.mark.parametrize("arrivals", [
    Arrivals("gamma", 40, rate=4.0, cv=2.0),
    Arrivals("stepped", 40, rates=((0.0, 2.0), (5.0, 4.0))),
    Arrivals("replay", 40, recording=Recording("r", "d", 40, np.arange(40) / 4.0, None, None)),
    Arrivals("diurnal", 40, rate=4.0, period_s=5.0),
])
def test_twice_the_load_comes_in_half_the_time(arrivals: Arrivals) -> None:
    """Lengths stay; of a rate that changes, only the rates do and not when they change."""
    one = given(arrivals)
    times = []
    for load in (4.0, 8.0):
        trace = run(plan_of(one), at_load(one, load))
        assert trace.requests is not None
        times.append(trace.requests)
    assert (times[0].prompt == times[1].prompt).all()
    if arrivals.process in ("gamma", "replay"):
        assert times[1].arrived == pytest.approx(times[0].arrived / 2)
    else:
        assert (times[1].arrived <= times[0].arrived).all()
    assert attrs.asdict(at_load(one, 4.0).workload.prompt) == attrs.asdict(one.workload.prompt)
