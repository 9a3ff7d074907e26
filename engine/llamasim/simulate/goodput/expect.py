"""The share of useful time in closed form, and the interval between checkpoints that is best.

A job runs from one failure to the next. What it keeps of that time is whole intervals whose
checkpoint can be used by then. With failures of survival S(t), a restart R at the beginning, an
interval of `t` that takes P with its pause, and a lag w until a checkpoint can be used, it keeps
`t x sum over k >= 1 of S(R + k P + w)` of `mean time + detection` (renewal and reward; for
exponential failures the sum is geometric and the result is Daly's, FGCS 22(3), 2006, with a lag).
"""

from __future__ import annotations

import math

import numpy as np

from llamasim.simulate.goodput.job import Job

#: Terms that are summed one by one; longer sums become an integral.
_TERMS = 1000
_GOLDEN = (math.sqrt(5) - 1) / 2


def expected_goodput(job: Job, interval_s: float) -> float:
    """Return the share of a long run's time that is useful: more than 0, at most 1.

    Exact for a run of many failures without planned interruptions and waits; those come in as
    independent shares.
    """
    kept = sum(
        chance * _kept(job, interval_s * pace + job.saving.pause_s) * interval_s
        for pace, chance in zip(job.paces.factors, job.paces.chances, strict=True)
    )
    running = kept / (job.mtbf_s + job.detection_s)
    return running * (1 - planned_share(job)) * (1 - waiting_share(job))


def _kept(job: Job, period: float) -> float:
    """Return the mean number of checkpoints that a stretch between two failures leaves behind."""
    first = job.restart_s + job.saving.write_s
    if job.shape == 1:
        exponent = period / job.mtbf_s
        if exponent > 700:
            return 0.0
        return math.exp(-first / job.mtbf_s) / math.expm1(exponent)
    far = job.scale_s * 40 ** (1 / job.shape)
    terms = max(0.0, (far - first) / period)
    if terms <= _TERMS:
        times = first + period * np.arange(1, math.ceil(terms) + 1)
        return float(np.exp(-((times / job.scale_s) ** job.shape)).sum())
    # The trapezoidal rule, the other way about.
    x = first + (far - first) * np.linspace(0, 1, 4001) ** 3
    y = np.exp(-((x / job.scale_s) ** job.shape))
    whole = float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum())
    return whole / period - float(y[0]) / 2


def planned_share(job: Job) -> float:
    """Return the share of time in which the job stands still as planned."""
    if job.planned_s is None:
        return 0.0
    return min(1.0, planned_stop_s(job) / job.planned_s)


def planned_stop_s(job: Job) -> float:
    """Return how long a planned interruption keeps the job: a checkpoint, and a restart."""
    return job.saving.pause_s + job.saving.write_s + job.restart_s


def waiting_share(job: Job) -> float:
    """Return the share of time in which the job waits for a repair.

    Nodes that fail come back after their repair; with `spares` of them out, the next failure waits.
    This is Erlang's loss system with one place more than there are spares, whatever the
    distribution of repair times (Erlang, 1917).
    """
    if job.spares is None:
        return 0.0
    load = job.repairs_per_failure_s / (job.mtbf_s + job.detection_s)
    blocked = 1.0
    for places in range(1, job.spares + 2):
        blocked = load * blocked / (places + load * blocked)
    return blocked


def expected_failures(job: Job, interval_s: float) -> float:
    """Return the number of failures during the whole job; infinite where it never ends."""
    goodput = expected_goodput(job, interval_s)
    if goodput <= 0:
        return math.inf
    running = job.work_s / goodput * (1 - planned_share(job)) * (1 - waiting_share(job))
    return running / (job.mtbf_s + job.detection_s)


def shortest_interval(job: Job) -> float:
    """Return the shortest possible interval: one step, or as long as a checkpoint is written."""
    writing = (job.saving.write_s - job.saving.pause_s) / job.paces.factors[0]
    return in_steps(job, max(job.step_s, writing), up=True)


def in_steps(job: Job, interval_s: float, *, up: bool = False) -> float:
    """Return an interval as whole steps, at least one and at most all."""
    count = interval_s / job.step_s
    whole = math.ceil(count - 1e-9) if up else round(count)
    return max(1, min(whole, math.ceil(job.work_s / job.step_s))) * job.step_s


def best_interval(job: Job) -> float:
    """Return the interval of whole steps whose expected goodput is largest."""
    shortest = shortest_interval(job)
    longest = max(shortest, min(job.work_s, 20 * job.mtbf_s))
    low, high = math.log(shortest), math.log(longest)
    while high - low > 1e-3:
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if expected_goodput(job, math.exp(left)) >= expected_goodput(job, math.exp(right)):
            high = right
        else:
            low = left
    guess = math.exp((low + high) / 2) / job.step_s
    steps = [(math.floor(guess) + d) * job.step_s for d in range(-2, 4)]
    near = sorted({in_steps(job, max(s, shortest)) for s in (*steps, longest)})
    return max(near, key=lambda s: expected_goodput(job, s))


def young(job: Job) -> float:
    """Return Young's interval, sqrt(2 x pause x mean time between failures) (CACM 17(9), 1974)."""
    return math.sqrt(2 * job.saving.pause_s * job.mtbf_s)


def daly(job: Job) -> float:
    """Return Daly's interval of higher order (FGCS 22(3), 2006, equation 37)."""
    pause, mean = job.saving.pause_s, job.mtbf_s
    if pause >= 2 * mean:
        return mean
    part = pause / (2 * mean)
    return math.sqrt(2 * pause * mean) * (1 + math.sqrt(part) / 3 + part / 9) - pause
