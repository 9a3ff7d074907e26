"""The summary: one row a run. A quantity without meaning for the run is null, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from llamasim.cost import Machine, power_watts
from llamasim.plan.spec import Plan
from llamasim.simulate.trace import Requests, Trace
from llamasim.tables.goodput import SUMMARY as GOODPUT
from llamasim.tables.latency import FIELDS as LATENCY
from llamasim.tables.latency import alike, attained_together, latency_row

Value = float | int | str | bool | None

#: Every field, its unit and its meaning.
FIELDS: Mapping[str, tuple[str, str]] = {
    "step_time_s": ("s", "one optimizer step"),
    "makespan_s": ("s", "first arrival to last event, or the whole batch"),
    "tokens_per_s": ("tok/s", "training: processed; inference: input and output"),
    "tokens_per_s_per_gpu": ("tok/s", "the same for one device"),
    "model_tflops_per_gpu": ("TFLOP/s", "useful work, by the named convention"),
    "mfu": ("", "share of the device's dense peak in the workload's dtype"),
    "flops_convention": ("", "what counts as useful work"),
    "fits": ("", "whether memory suffices everywhere"),
    "peak_memory_gib": ("GiB", "on the fullest device"),
    "capacity_gib": ("GiB", "that a device has for the run"),
    "bubble_fraction": ("", "share of the time in which pipeline stages wait for each other"),
    "exposed_communication_s": ("s", "in which compute waits for transfers, mean over devices"),
    "prefill_tok_s": ("tok/s", "prompt tokens over the time of the prefill"),
    "decode_tok_s": ("tok/s", "output tokens over the time of decoding, whole system"),
    "output_tok_s": ("tok/s", "output tokens over the whole time"),
    "total_tok_s": ("tok/s", "input and output tokens over the whole time"),
    **LATENCY,
    "usd_per_million_tokens": ("USD", "output tokens in inference, processed ones in training"),
    "usd_per_hour": ("USD", "of all nodes"),
    "joules_per_token": ("J", "devices only"),
    "days_to_token_budget": ("day", "without interruptions"),
    "usd_to_token_budget": ("USD", "without interruptions"),
    **GOODPUT,
    "params": ("", "of the model"),
    "devices": ("", ""),
    "plan_hash": ("", ""), "seed": ("", ""), "scenario": ("", ""),
}



def convention(plan: Plan) -> str:
    """Return in words what a run's useful work counts; N is the parameters a token passes."""
    if plan.mode == "inference":
        return "2N + causal attention"
    frozen = plan.model_flops_per_token < 6.0 * plan.active_params
    linear = "4N + 2 x trained weights" if frozen else "6N"
    return f"{linear} + causal attention, replays not counted"


def summarize(trace: Trace) -> dict[str, Value]:
    """Return all fields of a run's summary."""
    row: dict[str, Value] = dict.fromkeys(FIELDS)
    row |= _identity(trace) | _memory(trace)
    if trace.plan.mode == "training":
        row |= _training(trace)
    elif trace.requests is not None:
        row |= _serving(trace, trace.requests)
    else:
        row |= _batch(trace)
    row |= _money(trace, row)
    return {k: _plain(v) for k, v in row.items()}


def _plain(value: Any) -> Value:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    result: Value = value
    return result


def _identity(trace: Trace) -> dict[str, Value]:
    plan, scenario = trace.plan, trace.scenario
    return {
        "makespan_s": trace.makespan, "params": plan.params,
        "devices": scenario.cluster.devices, "plan_hash": plan.hash, "seed": scenario.seed,
        "scenario": scenario.name, "flops_convention": convention(plan),
        "usd_per_hour": _hourly(trace),
    }


def _hourly(trace: Trace) -> float | None:
    price = trace.scenario.cluster.usd_per_hour
    return None if price is None else price * trace.scenario.cluster.nodes


def _memory(trace: Trace) -> dict[str, Value]:
    waits = trace.exposed
    bubble = waits.get("bubble", 0.0) / trace.makespan if trace.makespan > 0 else None
    moved = ("collective:", "send", "reduce", "gather", "copy")
    return {
        "fits": all(f.fits for f in trace.fits),
        "peak_memory_gib": max(f.peak_bytes for f in trace.fits) / 2**30,
        "capacity_gib": min(f.capacity_bytes for f in trace.fits) / 2**30,
        "bubble_fraction": bubble,
        "exposed_communication_s": sum(v for k, v in waits.items() if k.startswith(moved)),
    }


def _useful(plan: Plan, tokens: float, pairs: float) -> float:
    return plan.model_flops_per_token * tokens + plan.attention_flops_per_pair * pairs


def _rates(trace: Trace, tokens: float, flops: float, seconds: float) -> dict[str, Value]:
    devices = trace.scenario.cluster.devices
    peaks = trace.scenario.cluster.device.peaks
    peak = peaks.get(trace.scenario.workload.dtype) or max(peaks.values())
    each = flops / seconds / devices
    return {
        "tokens_per_s": tokens / seconds, "tokens_per_s_per_gpu": tokens / seconds / devices,
        "model_tflops_per_gpu": each / 1e12, "mfu": each / peak,
    }


def _training(trace: Trace) -> dict[str, Value]:
    plan, workload = trace.plan, trace.scenario.workload
    sequences = workload.global_batch
    tokens = float(sequences * workload.sequence)
    pairs = sequences * workload.sequence * (workload.sequence + 1) / 2
    row = _rates(trace, tokens, _useful(plan, tokens, pairs), trace.makespan)
    row["step_time_s"] = trace.makespan
    if workload.token_budget:
        days = workload.token_budget / tokens * trace.makespan / 86400
        hourly = _hourly(trace)
        row["days_to_token_budget"] = days
        row["usd_to_token_budget"] = None if hourly is None else days * 24 * hourly
    return row


def _batch(trace: Trace) -> dict[str, Value]:
    plan, workload = trace.plan, trace.scenario.workload
    prompt, output, batch = workload.prompt.mean, workload.output.mean, workload.batch
    tokens = batch * (prompt + output)
    pairs = batch * (prompt + output) * (prompt + output + 1) / 2
    row = _rates(trace, tokens, _useful(plan, tokens, pairs), trace.makespan)
    prefill, decode = trace.prefill_s, trace.decode_s
    if prefill:
        row["prefill_tok_s"] = batch * prompt / prefill
        row |= alike("ttft_ms", prefill * 1e3)
    later = output - 1 if prefill else output
    if decode and later > 0:
        row["decode_tok_s"] = batch * later / decode
        row |= alike("tpot_ms", decode / later * 1e3)
    row["output_tok_s"] = batch * output / trace.makespan
    row["total_tok_s"] = tokens / trace.makespan
    return row | attained_together(
        workload, prefill or 0.0, decode / later if decode and later > 0 else 0.0, trace.makespan)


def _serving(trace: Trace, requests: Requests) -> dict[str, Value]:
    row: dict[str, Value] = {"rejected_requests": len(trace.rejected)}
    if not len(requests.arrived):
        return row | {"makespan_s": None, "exposed_communication_s": None}
    prompt, output = float(requests.prompt.sum()), float(requests.output.sum())
    ends = requests.prompt.astype(np.float64) + requests.output
    flops = _useful(trace.plan, prompt + output, float((ends * (ends + 1) / 2).sum()))
    row |= _rates(trace, prompt + output, flops, trace.makespan)
    row |= latency_row(trace, requests)
    return row | {
        "output_tok_s": output / trace.makespan, "total_tok_s": (prompt + output) / trace.makespan,
    }


def _money(trace: Trace, row: Mapping[str, Value]) -> dict[str, Value]:
    training = trace.plan.mode == "training"
    rate = row["tokens_per_s"] if training else row["output_tok_s"]
    if not isinstance(rate, float | np.floating) or rate <= 0:
        return {}
    machine = Machine.of(trace.scenario)
    busy = 1 - sum(trace.exposed.values()) / trace.makespan if trace.makespan > 0 else 0.0
    watts = power_watts(machine, busy) * trace.scenario.cluster.devices
    hourly = _hourly(trace)
    if hourly is not None and trace.service is not None:
        hourly *= trace.service.there
    return {
        "joules_per_token": watts / float(rate),
        "usd_per_million_tokens": None if hourly is None else hourly / 3600 / float(rate) * 1e6,
    }
