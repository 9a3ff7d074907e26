"""Draws of arrivals and lengths."""

from __future__ import annotations

import numpy as np
import pytest

from llamasim.scenario.spec import Arrivals, Length, Workload
from llamasim.simulate.arrivals import draw


def workload(process: str, *, length: Length | None = None, **given: float) -> Workload:
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
