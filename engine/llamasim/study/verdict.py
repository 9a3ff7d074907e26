"""Why a candidate did not win, in one line; and what is missing where none is feasible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs

from llamasim.simulate.trace import Fit
from llamasim.study.candidate import GIB, Candidate
from llamasim.study.metrics import COST, MEMORY, Figure
from llamasim.study.pareto import no_worse, rounded
from llamasim.study.search import Study

#: What takes memory -> ways to need less of it.
_WAYS = {
    "weights": "fewer bits a weight, more devices to split the layers over, or a smaller model",
    "gradients": "split gradients over the replicas, or train fewer weights",
    "optimizer": "split optimizer state over the replicas, or train fewer weights",
    "activations": "a smaller micro-batch, a shorter sequence, or recomputation",
    "transient": "a smaller micro-batch or a shorter sequence",
    "kv_cache": "a shorter context, fewer sequences at once, or fewer bits in the cache",
    "buffers": "gather fewer layers ahead",
    "reserve": "a runtime that keeps less for itself",
}


@attrs.frozen
class Verdict:
    """What a study says where nothing is feasible.

    Attributes:
        because: the reason, in one line.
        nearest: the candidate that misses by least; None where all were refused.
        ways: what would change it.

    """

    because: str
    nearest: Candidate | None
    ways: tuple[str, ...]


def compared(study: Study, candidate: Candidate) -> str:
    """Say in one line how a feasible candidate stands against the best."""
    best = study.best
    if best is None or candidate is best:
        return ""
    parts = [_relative(f, best, candidate) for f in dict.fromkeys((study.objective, study.speed))]
    if not candidate.simulated:
        parts = [f"at least {p}" if p[:1].isdigit() else p for p in parts]
    if study.objective.metric != MEMORY:
        parts.append(_memory(best, candidate))
    return ", ".join(p for p in parts if p)


def beaten(study: Study, candidate: Candidate) -> Candidate | None:
    """Return a candidate on the front that is at least as good in everything, if there is one."""
    point = study.point(candidate)
    ahead = (study.candidates[i] for i in study.front)
    return next((c for c in ahead if c is not candidate and no_worse(study.point(c), point)), None)


def alternatives(study: Study) -> Iterator[tuple[str, str, str]]:
    """Yield each knob, each of its alternatives, and how that does at its best."""
    ranked = [study.candidates[i] for i in study.ranking]
    for choice in study.scenario.choices:
        for option, _ in choice.options:
            pick = (choice.label, option)
            best = next((c for c in ranked if pick in c.combination.picks), None)
            if best is not None:
                text = compared(study, best) or "the best"
                yield *pick, f"{text} (#{best.number})"
                continue
            all_of_it = [c for c in study.candidates if pick in c.combination.picks]
            yield *pick, _never(all_of_it)


def _never(candidates: Sequence[Candidate]) -> str:
    """Say in one line why none of some candidates is feasible."""
    slow = [c for c in candidates if c.status == "too_slow"]
    if slow:
        return f"never fast enough: {slow[0].reason} (#{slow[0].number})"
    large = [c for c in candidates if c.status == "too_large"]
    if large:
        near = min(large, key=lambda c: (c.missing_bytes, c.number))
        return f"never fits: {near.reason} (#{near.number})"
    reasons = [c.reason for c in candidates]
    return f"refused: {max(sorted(set(reasons)), key=reasons.count)}"


#: Words for more and less of a figure that is no speed.
_WORDS = {MEMORY: ("more memory", "less memory"), COST: ("dearer", "cheaper")}


def _relative(figure: Figure, best: Candidate, other: Candidate) -> str:
    a, b = best.metrics.get(figure.metric), other.metrics.get(figure.metric)
    if a is None or b is None or a <= 0 or b <= 0:
        return ""
    change = b / a - 1
    if figure.metric.endswith("tok_s") or figure.metric.startswith("tokens_per_s"):
        more, less, same = "faster", "slower", "as fast"
    else:
        name = figure.metric
        more, less = _WORDS.get(name, (f"more {name}", f"less {name}"))
        same = f"the same {name}"
    if rounded(a) == rounded(b):
        return same
    return f"{abs(change) * 100:.1f} % {more if change > 0 else less}"


def _memory(best: Candidate, other: Candidate) -> str:
    if best.peak_gib is None or other.peak_gib is None:
        return ""
    saved = best.peak_gib - other.peak_gib
    if abs(saved) < 0.05:
        return "same memory"
    return f"saves {saved:,.1f} GiB" if saved > 0 else f"takes {-saved:,.1f} GiB more"


def infeasible(study: Study) -> Verdict:
    """Say why nothing is feasible, what came nearest, and what would change it."""
    large = [c for c in study.candidates if c.status == "too_large"]
    slow = [c for c in study.candidates if c.status == "too_slow"]
    if slow:
        near = min(slow, key=lambda c: _lateness(study, c))
        return Verdict(f"nothing that fits is fast enough: {near.reason}", near,
                       ("a faster device, fewer requests, or a later target",))
    if large:
        near = min(large, key=lambda c: (c.missing_bytes, c.number))
        return Verdict(near.reason, near, _ways(study, near))
    reasons = [c.reason for c in study.candidates if c.status == "refused"]
    common = max(sorted(set(reasons)), key=reasons.count, default="there is nothing to try")
    return Verdict(common, None, ("change the alternatives under `choices`",))


def _lateness(study: Study, candidate: Candidate) -> tuple[float, int]:
    """Return by what factor the worse of the targets is missed."""
    work, metrics = study.scenario.workload, candidate.metrics
    pairs = ((work.slo_ttft_s, metrics.get("ttft_ms_p99")),
             (work.slo_tpot_s, metrics.get("tpot_ms_p99")))
    over = [v / (limit * 1e3) for limit, v in pairs if limit and v is not None]
    return max(over, default=math.inf), candidate.number


def _ways(study: Study, near: Candidate) -> tuple[str, ...]:
    fit = near.fit
    if fit is None:
        return ()
    if fit.peak_bytes <= fit.capacity_bytes:
        missing = (fit.host_bytes - fit.host_capacity_bytes) / GIB
        return (f"{missing:,.1f} GiB more memory in the host",) if missing > 0 else ()
    missing = (fit.peak_bytes - fit.capacity_bytes) / GIB
    category = max(fit.by_category, key=lambda k: fit.by_category[k])
    ways = [f"{missing:,.1f} GiB more on each device: {fit.peak_bytes / GIB:,.1f} GiB to use"]
    devices = _devices(study, fit)
    if devices:
        ways.append(devices)
    if category in _WAYS:
        ways.append(f"{category} take most: {_WAYS[category]}")
    return tuple(ways)


def _devices(study: Study, fit: Fit) -> str:
    """Say how many devices would hold it together, what each keeps for itself set aside."""
    cluster = study.scenario.cluster
    own = fit.by_category.get("reserve", 0.0)
    room = fit.capacity_bytes - own
    if room <= 0:
        return ""
    count = math.ceil(cluster.devices * (fit.peak_bytes - own) / room)
    return f"about {count:,} such devices, were all of it split evenly"
