"""A long training job to vary: Llama 3 405B's failures, with round costs."""

from __future__ import annotations

from typing import Any

import attrs

from llamasim.simulate.goodput.job import Job, Saving

DAY = 86400.0
#: 419 interruptions in 54 days.
MTBF = 54 * DAY / 419


def job(**changes: Any) -> Job:
    """Return seventy days of steps of 6 s; 3 s a checkpoint, ten minutes a failure."""
    base = Job(
        work_s=70 * DAY, step_s=6.0, mtbf_s=MTBF, saving=saving(), detection_s=300.0,
        restart_s=300.0,
    )
    return attrs.evolve(base, **changes)


def saving(pause: float = 3.0, write: float = 0.0) -> Saving:
    """Return what a checkpoint takes, usable `write` seconds after its pause."""
    return Saving(5e12, pause, write, 3.0)
