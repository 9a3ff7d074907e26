"""The way into the simulation."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.simulate.hand_plans import plan, scenario, serving

from llamasim.plan.spec import CommWork, Group
from llamasim.scenario.spec import Length
from llamasim.simulate import run
from llamasim.simulate.fast import makespan


def test_the_makespan_without_events_is_that_of_the_run() -> None:
    reduce = (CommWork("g", "all_reduce", Group("dp", 4, 1), bytes_fixed=1e6, hidden=1.0),)
    made = plan(layers=3, reduce=reduce, schedule={"micro_batches": 3})
    given = scenario(mode="training")
    assert makespan(made, given) == pytest.approx(run(made, given).makespan)
    batch = scenario(batch=2, prompt=Length("fixed", 64), output=Length("fixed", 8))
    made = plan(mode="inference")
    assert makespan(made, batch) == run(made, batch).makespan


def test_a_job_that_does_not_fit_still_has_its_time() -> None:
    made = plan(layers=3)
    small, large = scenario(mode="training", memory=1.0), scenario(mode="training")
    assert not run(made, small).fits[0].fits
    assert run(made, small).makespan == run(made, large).makespan


def test_a_server_without_room_for_its_weights_rejects_everything() -> None:
    trace = run(plan(mode="inference"), serving("batch", 2, prompt=5, output=5, memory=1.0))
    assert trace.makespan == 0
    assert [r.request for r in trace.rejected] == [0, 1]
    assert "there is room for 0" in trace.rejected[0].reason
    assert not trace.fits[0].fits


def test_a_server_starts_without_the_closed_form() -> None:
    """Start-up is most of a short run's time."""
    code = (
        "import sys, llamasim.simulate.serving as _; "
        "sys.exit('llamasim.simulate.closed' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
