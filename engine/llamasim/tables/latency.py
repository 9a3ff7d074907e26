"""Figures of a server's run: what users waited for, what was under way, what met the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from llamasim.scenario.spec import Workload
from llamasim.simulate.trace import Floats, Requests, Trace
from llamasim.tables.percentiles import spread

#: Percentiles of every distribution.
PERCENTILES = (50, 90, 95, 99)
_SPREADS = {
    "ttft_ms": ("ms", "time to first token"),
    "tpot_ms": ("ms", "time per output token after the first, of each request"),
    "itl_ms": ("ms", "time from one step with tokens to the next, over all tokens"),
    "latency_s": ("s", "arrival to last token"),
    "queue_s": ("s", "arrival to first scheduled"),
}

#: Every field of a server's run, its unit and its meaning.
FIELDS: Mapping[str, tuple[str, str]] = {
    "requests_per_s": ("1/s", "finished requests over the whole time"),
    **{
        f"{name}_{what}": (unit, doc if what == "mean" else "")
        for name, (unit, doc) in _SPREADS.items()
        for what in ("mean", *(f"p{p}" for p in PERCENTILES))
    },
    "slo_attained": ("", "share of requests within the scenario's slo"),
    "goodput_per_s": ("1/s", "requests within the slo over the whole time"),
    "waiting_mean": ("", "requests in the queue, mean over time"),
    "running_mean": ("", "sequences under way while any are, mean over time and servers"),
    "running_max": ("", "most sequences under way on one server"),
    "kv_used_mean": ("", "share of the cache's blocks in use while any are, mean over time"),
    "kv_used_max": ("", "largest share of a cache's blocks in use"),
    "preemptions": ("", "times that a request gave its cache back"),
    "swapped_blocks": ("", "blocks of the cache moved to the host's memory or back"),
    "handover_ms_mean": ("ms", "way of a prompt's cache from a replica that prefills to one that "
                               "decodes, its wait for the link included"),
    "variant_loads": ("", "variants of weights that were brought from the host to a device"),
    "cached_prompt": ("", "share of prompt tokens that were in the cache"),
    "rejected_requests": ("", "requests that no server could ever hold"),
    "replicas_mean": ("", "replicas that were there, mean over time"),
}


def latency_row(trace: Trace, requests: Requests) -> dict[str, Any]:
    """Return these fields for a run that finished some requests."""
    first = requests.first_token - requests.arrived
    whole = requests.finished - requests.arrived
    later = requests.output > 1
    each = (requests.finished - requests.first_token)[later] / (requests.output[later] - 1)
    prompt = float(requests.prompt.sum())
    waited = requests.admitted - requests.arrived
    row = _spread("ttft_ms", first * 1e3) | _spread("tpot_ms", each * 1e3)
    row |= _spread("latency_s", whole) | _spread("queue_s", waited)
    row |= _between_tokens(trace) | _load(trace)
    attained = _attained(trace.scenario.workload, requests)
    rate = len(first) / trace.makespan
    return row | {
        "requests_per_s": rate,
        "slo_attained": attained,
        "goodput_per_s": None if attained is None else attained * rate,
        # Little's law: the queue's mean length is the rate times the mean wait.
        "waiting_mean": rate * float(waited.mean()),
        "preemptions": int(requests.preemptions.sum()),
        "handover_ms_mean": _handover(trace, int(later.sum())),
        "cached_prompt": float(requests.cached.sum()) / prompt if prompt else None,
    }


def _handover(trace: Trace, count: int) -> float | None:
    """Return the mean milliseconds that caches were on their way between pools, of `count`."""
    if trace.service is None or not trace.service.sent or not count:
        return None
    return trace.service.sent / count * 1e3


def alike(name: str, value: float) -> dict[str, Any]:
    """Return the spread of what is the same for all."""
    return {f"{name}_{what}": value for what in ("mean", *(f"p{p}" for p in PERCENTILES))}


def _spread(name: str, values: Floats) -> dict[str, Any]:
    if not len(values):
        return {}
    found = np.percentile(values, PERCENTILES)
    return {f"{name}_mean": values.mean()} | {
        f"{name}_p{p}": v for p, v in zip(PERCENTILES, found, strict=True)
    }


def _between_tokens(trace: Trace) -> dict[str, Any]:
    """Return the spread of times between tokens: of all steps, each as often as it has sequences.

    A wait before a step makes it longer for those that waited.
    """
    def counted() -> Iterator[tuple[Floats, Floats]]:
        for it in trace.iterations:
            decoding = it.decode_sequences > 0
            times = (it.end - it.start)[decoding] / it.steps[decoding]
            yield times * 1e3, (it.steps * it.decode_sequences)[decoding].astype(np.float64)
        if trace.service is not None:
            gaps, many = trace.service.gaps
            yield gaps * 1e3, many.astype(np.float64)

    mean, found = spread(counted, PERCENTILES)
    return {"itl_ms_mean": mean} | {
        f"itl_ms_p{p}": v for p, v in zip(PERCENTILES, found, strict=True)
    }


def _load(trace: Trace) -> dict[str, Any]:
    service = trace.service
    if service is None or not trace.iterations:
        return {}
    busy = running = blocks = 0.0
    for it in trace.iterations:
        seconds = it.end - it.start
        busy += float(seconds.sum())
        running += float((it.running * seconds).sum())
        blocks += float((it.kv_blocks * seconds).sum())
    busy = busy or 1.0
    row: dict[str, Any] = {
        "running_mean": running / busy,
        "running_max": float(max(it.running.max() for it in trace.iterations)),
        "swapped_blocks": service.swapped,
        "variant_loads": service.loads,
        "replicas_mean": service.there * max(1, trace.plan.replicas),
    }
    if service.blocks < 1 << 50:
        most = max(it.kv_blocks.max() for it in trace.iterations)
        row |= {
            "kv_used_mean": blocks / busy / service.blocks,
            "kv_used_max": float(most) / service.blocks,
        }
    return row


def attained_together(
    w: Workload, first: float, each: float, whole: float
) -> dict[str, Any]:
    """Return what of a batch is within the scenario's slo: all of its sequences, or none.

    Seconds to the first token, for each further one, and for all.
    """
    pairs = ((w.slo_ttft_s, first), (w.slo_tpot_s, each), (w.slo_latency_s, whole))
    given = [(limit, value) for limit, value in pairs if limit is not None]
    if not given:
        return {}
    good = float(all(value <= limit for limit, value in given))
    return {"slo_attained": good, "goodput_per_s": good * w.batch / whole}


def _attained(w: Workload, requests: Requests) -> float | None:
    """Return the share of requests that met every target of the scenario."""
    good = np.ones(len(requests.arrived), dtype=bool)
    targets = (w.slo_ttft_s, w.slo_tpot_s, w.slo_latency_s)
    if all(t is None for t in targets):
        return None
    if w.slo_ttft_s is not None:
        good &= requests.first_token - requests.arrived <= w.slo_ttft_s
    if w.slo_tpot_s is not None:
        rest = np.maximum(requests.output - 1, 1)
        good &= (requests.finished - requests.first_token) / rest <= w.slo_tpot_s
    if w.slo_latency_s is not None:
        good &= requests.finished - requests.arrived <= w.slo_latency_s
    return float(good.mean())
