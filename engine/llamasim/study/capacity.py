"""The most load that a server takes within its targets, by bisection with common random numbers.

Every load is drawn from the scenario's seed: gaps keep their proportions and lengths stay as they
are, so two loads differ in nothing but the rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.plan import compile_plan
from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Arrivals, Scenario
from llamasim.simulate import run
from llamasim.tables.reach import Reach, reaches
from llamasim.tables.summary import summarize

#: Relative width of the interval in which the answer lies.
CLOSE = 0.01
#: Loads that are tried at most, doubling, halving and bisecting.
MOST = 60
#: Factor beyond which no load is looked for.
FARTHEST = 2.0**20


@attrs.frozen
class Probe:
    """One load that was tried: its rate (requests/s, or users of a closed loop) and what came out.

    `attained` is the share of requests, those turned away included, within every target.
    """

    rate: float
    attained: float
    met: bool
    summary: dict[str, Any]


@attrs.frozen
class Capacity:
    """The answer.

    Attributes:
        share: of requests that must be within the targets.
        best: the highest load that is; None where none is.
        over: the lowest load that was found too high; None where none was.
        users: whether a load is users in a closed loop rather than requests/s.
        probes: all loads tried, in order of their rate.
        measured: what stands behind its figures.

    """

    scenario: Scenario
    share: float
    best: Probe | None
    over: Probe | None
    users: bool
    probes: tuple[Probe, ...]
    measured: tuple[Reach, ...] = ()


def capacity(
    scenario: Scenario, share: float, told: Callable[[Probe], None] | None = None
) -> tuple[Capacity | None, list[Diagnostic]]:
    """Find the highest load at which a share of requests is within the scenario's targets."""
    refused = _refused(scenario)
    if refused is not None:
        return None, [refused]
    plan, said = compile_plan(scenario)
    if plan is None:
        return None, said
    found: dict[float, Probe] = {}

    def meets(load: float) -> bool:
        if load not in found:
            found[load] = _probe(plan, scenario, load, share)
            if told is not None:
                told(found[load])
        return found[load].met

    users = _arrivals(scenario).process == "closed"
    for load in _search(meets, whole=users, begin=_rate(_arrivals(scenario))):
        meets(load)
    probes = tuple(sorted(found.values(), key=lambda p: p.rate))
    best = max((p for p in probes if p.met), key=lambda p: p.rate, default=None)
    over = min((p for p in probes if not p.met), key=lambda p: p.rate, default=None)
    return Capacity(
        scenario, share, best, over, users, probes, reaches(plan, scenario)), said


def _search(
    meets: Callable[[float], bool], *, whole: bool, begin: float
) -> Iterator[float]:
    """Yield loads to try: away from the first until it turns, then halves between."""
    low = high = begin
    least = 1.0 if whole else begin / FARTHEST
    if meets(begin):
        while meets(high):
            low, high = high, high * 2
            if high > begin * FARTHEST:
                return
            yield high
    else:
        while not meets(low):
            high, low = low, max(1.0, low // 2) if whole else low / 2
            if low < least or low == high:
                return
            yield low
    for _ in range(MOST):
        middle = (low + high) // 2 if whole else (low + high) / 2
        if high - low <= (1 if whole else CLOSE * low):
            return
        yield middle
        low, high = (middle, high) if meets(middle) else (low, middle)


def _arrivals(scenario: Scenario) -> Arrivals:
    assert scenario.workload.arrivals is not None
    return scenario.workload.arrivals


def _rate(arrivals: Arrivals) -> float:
    """Return a load: requests/s on average, or users."""
    if arrivals.process == "closed":
        return float(arrivals.concurrency)
    if arrivals.process == "stepped":
        return max(rate for _, rate in arrivals.rates)
    if arrivals.recording is not None and arrivals.recording.arrived is not None:
        last = float(arrivals.recording.arrived[arrivals.requests - 1])
        return (arrivals.requests - 1) / last * arrivals.speed if last > 0 else 1.0
    return arrivals.rate


def at_load(scenario: Scenario, load: float) -> Scenario:
    """Return the scenario at another load, with all else as it is."""
    arrivals = _arrivals(scenario)
    factor = load / _rate(arrivals)
    other: dict[str, Any] = {"rate": load}
    if arrivals.process == "closed":
        other = {"concurrency": int(load)}
    elif arrivals.process == "stepped":
        other = {"rates": tuple((t, r * factor) for t, r in arrivals.rates)}
    elif arrivals.process == "replay":
        other = {"speed": arrivals.speed * factor}
    workload = attrs.evolve(scenario.workload, arrivals=attrs.evolve(arrivals, **other))
    return attrs.evolve(scenario, workload=workload)


def _probe(plan: Plan, scenario: Scenario, load: float, share: float) -> Probe:
    summary = summarize(run(plan, at_load(scenario, load)))
    turned_away = int(summary["rejected_requests"] or 0)
    count = _arrivals(scenario).requests
    attained = float(summary["slo_attained"] or 0.0) * (count - turned_away) / count
    return Probe(load, attained, attained >= share, dict(summary))


def _refused(scenario: Scenario) -> Diagnostic | None:
    """Return why no highest load can be looked for."""
    workload, spans = scenario.workload, scenario.spans
    span = spans.get("workload@key") or spans.get("workload")
    labels = (Label(span, "this workload"),) if span else ()
    if workload.arrivals is None or workload.arrivals.process == "batch":
        return Diagnostic(
            "E0722", "there is no rate of arrivals to vary", labels,
            why="the highest rate is found by trying rates",
            help=("write `arrivals: {process: poisson, rate: 4 req/s, requests: 1000}`",))
    targets = (workload.slo_ttft_s, workload.slo_tpot_s, workload.slo_latency_s)
    if all(t is None for t in targets):
        return Diagnostic(
            "E0722", "there are no targets that a rate could miss", labels,
            why="without any, every rate is fine",
            help=("give `--slo ttft=1s,tpot=50ms`", "or `slo: {ttft: 1 s}` in the scenario"))
    return None
