"""Draws of arrivals and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamasim.catalog.recordings import shipped
from llamasim.scenario.spec import Arrivals, Length, Workload
from llamasim.simulate.arrivals import draw


def workload(process: str, *, length: Length | None = None, **given: Any) -> Workload:
    arrivals = Arrivals(process, 20_000, **given)
    fixed = Length("fixed", 100)
    return Workload("inference", "bf16", 200, prompt=length or fixed, output=fixed,
                    arrivals=arrivals)


@pytest.mark.parametrize(("process", "cv"), [("poisson", 1.0), ("gamma", 0.5), ("gamma", 2.0)])
def test_gaps_have_the_rate_and_the_spread(process: str, cv: float) -> None:
    gaps = np.diff(draw(workload(process, rate=4.0, cv=cv), 1).time)
    assert gaps.mean() == pytest.approx(0.25, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


@pytest.mark.parametrize("cv", [0.2, 0.5])
@pytest.mark.parametrize("distribution", ["uniform", "lognormal"])
def test_lengths_have_the_mean_and_the_spread(distribution: str, cv: float) -> None:
    length = Length(distribution, 800, cv)
    drawn = draw(workload("batch", length=length), 1).prompt
    assert drawn.mean() == pytest.approx(800, rel=0.02)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, rel=0.03)
    assert drawn.min() >= 1


def test_the_first_request_comes_at_once_and_a_batch_all_together() -> None:
    assert draw(workload("poisson", rate=3.0), 5).time[0] == 0
    assert draw(workload("batch"), 5).time.max() == 0


def test_a_seed_fixes_the_draw_and_the_rate_leaves_lengths_alone() -> None:
    length = Length("lognormal", 300, 1.0)
    one = draw(workload("poisson", rate=3.0, length=length), 7)
    same = draw(workload("poisson", rate=3.0, length=length), 7)
    faster = draw(workload("poisson", rate=9.0, length=length), 7)
    other = draw(workload("poisson", rate=3.0, length=length), 8)
    assert (one.time == same.time).all() and (one.prompt == same.prompt).all()
    assert (one.prompt == faster.prompt).all() and (one.time != faster.time)[1:].all()
    assert (one.prompt != other.prompt).any()


def test_a_stepped_rate_brings_as_many_as_each_step_says() -> None:
    """2/s for 100 s, none for 50 s, 10/s for 100 s: 200, 0 and 1000, give or take 4 sigma."""
    times = draw(workload("stepped", rates=((0.0, 2.0), (100.0, 0.0), (150.0, 10.0))), 3).time
    counts = np.histogram(times, [0, 100, 150, 250])[0]
    assert counts[1] == 0
    assert counts[0] == pytest.approx(200, abs=4 * 200**0.5)
    assert counts[2] == pytest.approx(1000, abs=4 * 1000**0.5)


def test_a_diurnal_rate_has_its_trough_at_the_start_and_its_mean_over_a_period() -> None:
    """r (1 - s cos(2 pi t / p)) with s = 0.8: the first tenth of a period has
    0.1 - 0.8 sin(2 pi 0.1) / (2 pi) = 2.52 % of its requests.
    """
    times = draw(workload("diurnal", rate=10.0, period_s=1000.0, swing=0.8), 3).time
    assert (np.diff(times) >= 0).all()
    first = times[times < 1000]
    assert len(first) == pytest.approx(10_000, rel=0.04)
    assert (first < 100).mean() == pytest.approx(0.0252, rel=0.2)
    assert ((first > 450) & (first < 550)).mean() == pytest.approx(0.1787, rel=0.06)


def test_a_recording_is_repeated_as_fast_as_asked_and_lengths_drawn_from_it() -> None:
    found = shipped("azure-code-2023")
    assert (found.count, int(found.prompt[0]), int(found.output[1])) == (8819, 4808, 8)
    assert found.arrived[1] == pytest.approx(0.052)
    given = Workload(
        "inference", "bf16", 200, prompt=Length("recorded", 1, known=found.prompt),
        output=Length("empirical", 1, known=found.output),
        arrivals=Arrivals("replay", 1000, speed=2.0, recording=found),
    )
    stream = draw(given, 0)
    assert stream.time[1] == pytest.approx(0.026)
    assert (stream.prompt == found.prompt[:1000]).all()
    assert set(stream.output) <= set(found.output)
    assert stream.output.mean() == pytest.approx(found.output.mean(), rel=0.2)


def test_blocks_of_a_recording_stand_for_beginnings() -> None:
    found = shipped("mooncake-conversation-2025")
    assert (found.count, found.block) == (12031, 512)
    starts = found.starts
    assert found.blocks[starts[0] : starts[1]].tolist() == list(range(14))
    # 6758 tokens are 13 whole blocks of 512 and a part of another.
    assert found.prompt[0] == 6758
