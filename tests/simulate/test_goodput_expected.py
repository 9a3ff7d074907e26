"""Goodput in closed form: by hand, by Daly's formula, and against draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests.simulate.goodput_jobs import MTBF, job, saving

from llamasim.scenario.reliability import Stragglers
from llamasim.simulate.goodput.draw import draw
from llamasim.simulate.goodput.expect import (
    best_interval,
    daly,
    expected_failures,
    expected_goodput,
    planned_share,
    waiting_share,
    young,
)
from llamasim.simulate.goodput.job import Job
from llamasim.simulate.goodput.slow import paces
from llamasim.simulate.trace import CAUSES


def _drawn(given: Job, interval: float, trials: int = 400) -> float:
    """Return the useful share of the time of all drawn runs together."""
    draws = draw(given, interval, trials, seed=3)
    return float(draws.seconds["useful"].sum() / draws.total.sum())


def test_it_is_dalys_expectation_where_failures_are_noticed_at_once() -> None:
    """T = M exp(R/M) (exp((t+d)/M) - 1) W/t (Daly 2006, equation 20 with all intervals whole)."""
    mean, restart, interval, pause = 10_000.0, 400.0, 600.0, 20.0
    given = job(mtbf_s=mean, restart_s=restart, detection_s=0.0, saving=saving(pause))
    each = mean * math.exp(restart / mean) * math.expm1((interval + pause) / mean)
    assert expected_goodput(given, interval) == pytest.approx(interval / each, rel=1e-12)


def test_without_failures_only_checkpoints_cost() -> None:
    """97 s of every 100 s train."""
    given = job(mtbf_s=1e15)
    assert expected_goodput(given, 97.0) == pytest.approx(0.97, rel=1e-6)


@pytest.mark.parametrize("shape", [0.6, 1.5])
def test_other_distributions_are_summed_term_by_term(shape: float) -> None:
    """Against the mean number of whole periods in a million drawn times between failures."""
    given = job(shape=shape, mtbf_s=5000.0)
    times = given.scale_s * np.random.default_rng(0).weibull(shape, 1_000_000)
    assert times.mean() == pytest.approx(5000.0, rel=0.01)
    whole = np.maximum(np.floor((times - 300.0) / 403.0), 0)
    by_hand = 400.0 * whole.mean() / (times.mean() + 300.0)
    assert expected_goodput(given, 400.0) == pytest.approx(by_hand, rel=0.01)


def test_a_long_sum_becomes_an_integral() -> None:
    """A shape a hair's breadth from exponential gives what the geometric sum gives."""
    exact = job(mtbf_s=1e9)
    near = job(mtbf_s=1e9, shape=1 + 1e-9)
    assert expected_goodput(near, 600.0) == pytest.approx(expected_goodput(exact, 600.0), rel=1e-6)


@pytest.mark.parametrize("given", [
    job(), job(mtbf_s=1200.0), job(saving=saving(2.0, 120.0)), job(shape=0.7), job(shape=2.0),
    job(planned_s=86400.0),
    job(paces=paces(Stragglers(1e-4, 0.1), 16_384, 0.7)),
    job(paces=paces(Stragglers(0.005, 0.1, 0.01), 16_384, 0.7)),
], ids=["exponential", "often", "asynchronous", "bursts", "aging", "planned", "few slow", "jitter"])
def test_the_mean_of_draws_is_what_is_expected(given: Job) -> None:
    """Within half a percent: the first start and the last checkpoint make the difference."""
    interval = best_interval(given)
    assert _drawn(given, interval) == pytest.approx(expected_goodput(given, interval), rel=0.005)
    failures = draw(given, interval, 400, seed=3).failures.mean()
    assert failures == pytest.approx(expected_failures(given, interval), rel=0.01)


@pytest.mark.parametrize(("spares", "repair"), [(0, 3600.0), (3, 20_000.0), (8, 86_400.0)])
def test_waits_for_repairs_are_erlangs_losses(spares: int, repair: float) -> None:
    """Within two percent of the time: failures come a little too regularly to be Erlang's."""
    given = job(spares=spares, repair_s=repair, repair_share=0.78)
    draws = draw(given, 258.0, 400, seed=1)
    share = float(draws.seconds["waiting"].sum() / draws.total.sum())
    assert share == pytest.approx(waiting_share(given), abs=0.02)


def test_a_single_node_without_a_spare_waits_for_each_repair() -> None:
    """One hour of repair for every nine of running: a tenth of the time."""
    given = job(mtbf_s=9 * 3600.0, detection_s=0.0, repair_s=3600.0, spares=0)
    assert waiting_share(given) == pytest.approx(0.1)
    assert waiting_share(job(spares=None)) == 0.0


def test_planned_stops_take_their_share() -> None:
    """A checkpoint of 3 s and a restart of 300 s in every 3,030 s."""
    assert planned_share(job(planned_s=3030.0)) == pytest.approx(0.1)


def test_the_best_interval_is_near_young_and_daly_and_better_than_its_neighbours() -> None:
    """sqrt(2 x 3 s x 11,135 s) = 258 s; the best in whole steps of 6 s is next to it."""
    given = job()
    assert young(given) == pytest.approx(math.sqrt(6 * MTBF))
    assert daly(given) == pytest.approx(256.5, abs=0.5)
    best = best_interval(given)
    assert abs(best - young(given)) <= 12
    assert best % given.step_s == pytest.approx(0)
    for other in (best - 6, best + 6, best / 2, best * 2):
        assert expected_goodput(given, other) <= expected_goodput(given, best)


def test_an_interval_is_never_shorter_than_a_checkpoint_is_written() -> None:
    """One background write at a time: 600 s of writing less the next pause."""
    assert best_interval(job(saving=saving(1.0, 600.0))) >= 599.0


def test_causes_add_up_to_the_time_of_each_run() -> None:
    """Nothing is counted twice, and nothing left out."""
    given = job(work_s=5 * 86400.0, planned_s=50_000.0, spares=1,
                paces=paces(Stragglers(0.01, 0.1, 0.01), 512, 0.8))
    draws = draw(given, 300.0, 50, seed=0)
    assert set(draws.seconds) == set(CAUSES)
    assert all((seconds >= 0).all() for seconds in draws.seconds.values())
    assert draws.total == pytest.approx(sum(draws.seconds[c] for c in CAUSES))
    assert draws.seconds["detection"] == pytest.approx(300.0 * draws.failures)
    assert draws.seconds["useful"] == pytest.approx(given.work_s)


def test_a_run_that_no_failure_reaches_takes_its_steps_and_checkpoints() -> None:
    """600 s of work, a checkpoint after each 100 s but the last: 600 + 5 x 3."""
    given = job(work_s=600.0, step_s=10.0, mtbf_s=1e15)
    draws = draw(given, 100.0, 10, seed=0)
    assert draws.total == pytest.approx(615.0)
    assert draws.failures.sum() == 0


def test_a_very_long_run_is_drawn_in_part_and_keeps_mean_and_spread() -> None:
    """A run of a hundred times the failures has the same goodput, with a tenth of the spread."""
    short, long = job(work_s=365 * 86400.0), job(work_s=36500 * 86400.0)
    one, hundred = (draw(j, 258.0, 400, seed=0) for j in (short, long))
    assert hundred.goodput.mean() == pytest.approx(one.goodput.mean(), rel=1e-3)
    assert hundred.goodput.std() == pytest.approx(one.goodput.std() / 10, rel=0.15)
    assert hundred.seconds["useful"] == pytest.approx(long.work_s)
