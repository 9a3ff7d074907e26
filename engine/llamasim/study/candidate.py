"""One combination and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from llamasim.scenario.spec import Scenario
from llamasim.simulate.trace import Fit
from llamasim.study.combine import Combination, describe
from llamasim.study.evidence import Evidence

#: `feasible`; `too_large`: memory; `too_slow`: misses a latency target; `repeats`: the same plan as
#: an earlier one; `refused`: the techniques do not go together, or not with this scenario.
Status = Literal["feasible", "too_large", "too_slow", "repeats", "refused"]

GIB = 2.0**30


@attrs.frozen
class Candidate:
    """One combination.

    Attributes:
        reason: one line on why it is not feasible; empty where it is.
        code: of the diagnostic that refused it.
        metrics: fields of the summary; those that have no meaning, or were not needed, are None.
        simulated: whether the figures are simulated. Others are bounds in closed form that no
            simulation can improve on (times from below, memory from below), and were too weak to
            matter.
        fit: memory of the rank class with the least room.
        warnings: what the rules advise against.

    """

    combination: Combination
    status: Status
    reason: str = ""
    code: str = ""
    metrics: Mapping[str, float | None] = attrs.field(factory=dict)
    evidence: Evidence | None = None
    fit: Fit | None = None
    simulated: bool = False
    plan_hash: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """Its number in the order of trying, from 1."""
        return self.combination.number

    @property
    def label(self) -> str:
        """Its alternatives, `weights=int4, split=tp2`."""
        return ", ".join(f"{k}={v}" for k, v in self.combination.picks) or "as given"

    @property
    def techniques(self) -> tuple[str, ...]:
        """Its techniques with their parameters."""
        return tuple(sorted(describe(u) for u in self.combination.use))

    @property
    def peak_gib(self) -> float | None:
        """Peak memory of the fullest device, in GiB."""
        return None if self.fit is None else self.fit.peak_bytes / GIB

    @property
    def missing_bytes(self) -> float:
        """What memory lacks, on the device or its host, whichever lacks more; 0 where it fits."""
        if self.fit is None:
            return 0.0
        return max(0.0, self.fit.peak_bytes - self.fit.capacity_bytes,
                   self.fit.host_bytes - self.fit.host_capacity_bytes)


def tightest(fits: tuple[Fit, ...]) -> Fit:
    """Return the memory of the rank class with the least room."""
    return max(fits, key=lambda f: (max(f.peak_bytes - f.capacity_bytes,
                                        f.host_bytes - f.host_capacity_bytes), -f.rank))


def memory_reason(fit: Fit, least: bool = False) -> str:
    """Say in one line what does not fit; empty where all does. `least` marks a lower bound."""
    needs = "needs at least" if least else "needs"
    if fit.peak_bytes > fit.capacity_bytes:
        category, size = max(fit.by_category.items(), key=lambda kv: kv[1])
        return (f"{needs} {fit.peak_bytes / GIB:,.1f} GiB, device has "
                f"{fit.capacity_bytes / GIB:,.1f} GiB to use ({category} {size / GIB:,.1f} GiB)")
    if fit.host_bytes > fit.host_capacity_bytes:
        return (f"{needs} {fit.host_bytes / GIB:,.1f} GiB of host memory, host has "
                f"{fit.host_capacity_bytes / GIB:,.1f} GiB")
    return ""


def latency_reason(metrics: Mapping[str, float | None], scenario: Scenario) -> str:
    """Say in one line which latency target is missed; empty where none is."""
    work = scenario.workload
    for name, limit, key in (("time to first token", work.slo_ttft_s, "ttft_ms_p99"),
                             ("time per output token", work.slo_tpot_s, "tpot_ms_p99")):
        value = metrics.get(key)
        if limit is not None and value is not None and value > limit * 1e3:
            return f"{name} {value:,.0f} ms at p99, target {limit * 1e3:,.0f} ms"
    return ""
