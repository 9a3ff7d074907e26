"""The nearest changes that make a scenario fit: tried, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from llamasim import catalog
from llamasim.plan import compile_plan
from llamasim.scenario.spec import Length, Scenario, Workload
from llamasim.simulate import run
from llamasim.simulate.trace import Fit
from llamasim.study.bound import memory_bound
from llamasim.study.candidate import tightest
from llamasim.study.remedy import remedies

#: How often a knob is halved, or the machines doubled, before it is given up.
_STEPS = 6
_LEAST_TOKENS = 256

Change = tuple[str, Scenario]


def ways_out(scenario: Scenario, fits: Sequence[Fit]) -> tuple[str, ...]:
    """Return changes of one field, or one more technique, after which memory suffices.

    There is none where it does already.

    Each was planned and simulated. A field that changes nothing, because a technique sets it, is
    left out, and so is one of which no tried value helps.
    """
    worst = tightest(tuple(fits))
    if worst.fits:
        return ()
    found = [next((label for label, changed in knob if _fits(changed)), None)
             for knob in _knobs(scenario)]
    ways = (*found, *remedies(scenario, worst), _device(scenario, worst))
    return tuple(label for label in ways if label)


def _fits(scenario: Scenario) -> bool:
    plan, said = compile_plan(scenario)
    if plan is None or any(d.is_error for d in said):
        return False
    if plan.mode == "training" and not all(f.fits for f in memory_bound(plan, scenario)):
        return False
    trace = run(plan, scenario)
    return all(f.fits for f in trace.fits) and not trace.rejected


def _knobs(scenario: Scenario) -> Iterator[Iterator[Change]]:
    work = scenario.workload
    if work.mode == "training":
        yield _halved(scenario, "workload.micro_batch", work.micro_batch, 1,
                      lambda n: attrs.evolve(work, micro_batch=n))
    elif not work.serving:
        yield _halved(scenario, "workload.batch", work.batch, 1,
                      lambda n: attrs.evolve(work, batch=n))
    if work.mode == "training":
        yield _halved(scenario, "workload.sequence", work.sequence, _LEAST_TOKENS,
                      lambda n: attrs.evolve(work, sequence=n))
    elif work.prompt.distribution == "fixed":
        reserved = work.sequence - int(work.prompt.mean)
        yield _halved(scenario, "workload.prompt", int(work.prompt.mean), _LEAST_TOKENS,
                      lambda n: attrs.evolve(work, prompt=Length("fixed", n),
                                             sequence=n + reserved))
    yield _more_machines(scenario)


def _halved(
    scenario: Scenario, field: str, value: int, least: int, change: Callable[[int], Workload]
) -> Iterator[Change]:
    start = value
    for _ in range(_STEPS):
        value //= 2
        if value < least:
            return
        yield f"{field}: {value} (now {start})", attrs.evolve(scenario, workload=change(value))


def _more_machines(scenario: Scenario) -> Iterator[Change]:
    cluster = scenario.cluster
    if cluster.outer is None:
        return
    for step in range(1, _STEPS // 2 + 1):
        nodes = cluster.nodes * 2**step
        changed = attrs.evolve(scenario, cluster=attrs.evolve(cluster, nodes=nodes))
        yield f"cluster.nodes: {nodes:,} (now {cluster.nodes:,})", changed


def _device(scenario: Scenario, worst: Fit) -> str | None:
    """Name the smallest known device of the same maker and kind on which it fits.

    The first guess takes capacity to be the same share of any device's memory.
    """
    own = scenario.cluster.device
    if worst.peak_bytes <= worst.capacity_bytes:
        return None
    need = worst.peak_bytes / worst.capacity_bytes * own.memory_bytes
    known = (catalog.get_device(name) for name in catalog.ids("devices"))
    larger = sorted(
        (d for d in known
         if d and d.memory_bytes >= need and (d.vendor, d.kind) == (own.vendor, own.kind)),
        key=lambda d: (d.memory_bytes, -d.memory_bandwidth, d.id),
    )
    for device in larger[:_STEPS]:
        cluster = attrs.evolve(scenario.cluster, device=device)
        if _fits(attrs.evolve(scenario, cluster=cluster)):
            return (f"cluster.device: {device.id}, or another of "
                    f"{device.memory_bytes / 2**30:,.0f} GiB")
    return (f"cluster.device: one of about {need / 2**30:,.0f} GiB "
            f"(none of {own.vendor}'s in the catalog has that)")
