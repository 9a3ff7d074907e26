"""What the techniques of a plan are known to cost in accuracy, and what nobody has measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from llamasim.plan.spec import ClaimFact, Plan


@attrs.frozen
class Interval:
    """A loss between two bounds."""

    low: float
    high: float

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)


@attrs.frozen
class Evidence:
    """What is known about the accuracy of one combination.

    Attributes:
        exact: techniques that claim to change no result.
        losses: technique -> metric -> interval, for those that claim a loss.
        silent: techniques that claim nothing.

    """

    exact: tuple[str, ...]
    losses: Mapping[str, Mapping[str, Interval]]
    silent: tuple[str, ...]

    def unknown(self, metric: str) -> frozenset[str]:
        """Return the techniques without a claim in a metric."""
        return frozenset(self.silent) | {t for t, m in self.losses.items() if metric not in m}

    def known(self, metric: str) -> Interval:
        """Return the sum over the techniques that claim something in a metric."""
        return sum((m[metric] for m in self.losses.values() if metric in m), Interval(0.0, 0.0))

    def summed(self, metric: str) -> bool:
        """Whether the interval adds up several techniques, whose interaction is not measured."""
        return sum(metric in m for m in self.losses.values()) > 1


def evidence_of(plan: Plan) -> Evidence:
    """Read the claims of a plan."""
    return evidence(plan.claims, plan.techniques)


def evidence(claims: Iterable[ClaimFact], techniques: Iterable[str]) -> Evidence:
    """Read claims; those of one technique in one metric are joined to their hull."""
    losses: dict[str, dict[str, Interval]] = {}
    spoken: set[str] = set()
    for claim in claims:
        spoken.add(claim.technique)
        if claim.low or claim.high:
            metrics = losses.setdefault(claim.technique, {})
            metrics[claim.metric] = _hull(metrics.get(claim.metric), claim)
    names = sorted(set(techniques))
    return Evidence(
        exact=tuple(n for n in names if n in spoken and n not in losses),
        losses={n: losses[n] for n in sorted(losses)},
        silent=tuple(n for n in names if n not in spoken),
    )


def _hull(known: Interval | None, claim: ClaimFact) -> Interval:
    if known is None:
        return Interval(claim.low, claim.high)
    return Interval(min(known.low, claim.low), max(known.high, claim.high))


def best_metric(found: Iterable[Evidence]) -> str:
    """Return the metric in which most techniques claim something; empty where none does."""
    claimed = {(t, m) for e in found for t, metrics in e.losses.items() for m in metrics}
    counts = Counter(metric for _, metric in claimed)
    return min(counts, key=lambda m: (-counts[m], m)) if counts else ""
