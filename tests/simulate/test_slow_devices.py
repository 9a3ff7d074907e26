"""A step waits for the slowest of its devices."""

from __future__ import annotations

import numpy as np
import pytest

from llamasim.scenario.reliability import Stragglers
from llamasim.simulate.goodput.slow import Paces, paces


@pytest.mark.parametrize(("devices", "deviations"), [
    (1, 0.0), (2, 0.5642), (10, 1.5388), (100, 2.5076), (1000, 3.2414),
])
def test_jitter_costs_the_mean_of_the_largest_of_normals(devices: int, deviations: float) -> None:
    """Expected normal order statistics (Harter, Biometrika 48, 1961)."""
    pace = paces(Stragglers(jitter=0.01), devices, 1.0)
    assert pace.mean == pytest.approx(1 + 0.01 * deviations, abs=2e-6)


def test_of_many_devices_one_is_slow_nearly_surely() -> None:
    """One in a thousand of 16,384 is 16; of 8 devices, 1 - 0.999^8 = 0.8 % of the starts."""
    slow = Stragglers(0.001, 0.1)
    assert paces(slow, 16_384, 1.0).mean == pytest.approx(1.1, abs=1e-6)
    assert paces(slow, 8, 1.0).mean == pytest.approx(1 + 0.1 * (1 - 0.999**8), rel=1e-6)


def test_only_computing_is_stretched() -> None:
    """A step that computes half of its time loses half as much."""
    slow = Stragglers(1.0, 0.1)
    assert paces(slow, 8, 0.5).mean == pytest.approx(1.05)


def test_nothing_slow_is_no_delay() -> None:
    """Neither a share of devices that are no slower, nor a slowdown of none."""
    assert paces(Stragglers(0.5, 0.0), 8, 1.0) == Paces()
    assert paces(Stragglers(0.0, 0.5), 8, 1.0) == Paces()


def test_slow_devices_and_jitter_together_match_draws() -> None:
    """The largest of 256 devices, of which 2 % are 5 % slower, with 1 % jitter."""
    rng = np.random.default_rng(0)
    slow = rng.random((20_000, 256)) < 0.02
    drawn = (0.05 * slow + 0.01 * rng.standard_normal(slow.shape)).max(axis=1).mean()
    assert paces(Stragglers(0.02, 0.05, 0.01), 256, 1.0).mean == pytest.approx(1 + drawn, abs=3e-4)


def test_chances_are_chances() -> None:
    """They add up to one; factors rise with the number of slow devices."""
    pace = paces(Stragglers(0.01, 0.1, 0.02), 4096, 0.7)
    assert sum(pace.chances) == pytest.approx(1)
    assert list(pace.factors) == sorted(pace.factors)
