"""The schedule: how a global batch is cut into micro-batches, and the serving bounds."""

from __future__ import annotations

from typing import Any

from llamasim.catalog.specs import Runtime
from llamasim.diagnostics import Diagnostic, Label
from llamasim.plan.spec import Schedule
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import Applied, Merged
from llamasim.techniques.mesh import REMAINDER


def schedule_of(
    applied: Applied, scenario: Scenario
) -> tuple[Schedule | None, list[Diagnostic]]:
    """Return the schedule cells filled in, or why the batch does not divide."""
    cell, symbol = applied.step_number, applied.step_symbol
    workload = scenario.workload
    micro_batch = int(cell("schedule.micro_batch", workload.micro_batch))
    replicas = applied.mesh.size(REMAINDER)
    training = workload.mode == "training"
    pipeline = symbol("schedule.pipeline", "one_forward_one_backward")
    prefill = int(cell("schedule.prefill_replicas", 0))
    refused = _refused(applied, scenario, micro_batch, pipeline, prefill)
    if refused is not None:
        return None, [refused]
    count = workload.global_batch // (replicas * micro_batch) if training else 1
    serving = _serving(applied, scenario.runtime)
    refused = _disagreeing(scenario, serving, replicas)
    if refused is not None:
        return None, [refused]
    host = applied.step.get(("forward" if training else "decode", "cost.host"), Merged())
    return Schedule(
        pipeline=pipeline,
        stages=applied.stages,
        chunks=applied.chunks,
        micro_batch=micro_batch,
        micro_batches=count,
        reduce_every=int(cell("schedule.reduce_every", 0)),
        prefetch=int(cell("schedule.prefetch", 1)),
        rows=cell("schedule.rows", 1.0, "decode"),
        tokens_out=cell("schedule.tokens_out", 1.0, "decode"),
        host_scale=host.scale,
        host_add_s=host.add,
        **serving,
    ), _unshared(scenario, serving)


def _serving(applied: Applied, runtime: Runtime) -> dict[str, Any]:
    """Return the cells of a server."""
    cell, symbol = applied.step_number, applied.step_symbol
    return {
        "admission": symbol("schedule.admission", "iteration"),
        "token_budget": int(cell("schedule.token_budget", runtime.token_budget)),
        "max_sequences": int(cell("schedule.max_sequences", runtime.max_sequences)),
        "kv_block": max(1, int(cell("schedule.kv_block", runtime.kv_block))),
        "cache": symbol("schedule.cache", "paged"),
        "prefill_replicas": int(cell("schedule.prefill_replicas", 0)),
        "prompts": symbol("schedule.prompts", "cut"),
        "mixing": symbol("schedule.mixing", "together"),
        "reserve": symbol("schedule.reserve", "grown"),
        "swap_bytes": cell("schedule.swap_bytes", 0.0) / 8,
        "kept_bytes": cell("schedule.kept_bytes", 0.0) / 8,
        "variants": _variants(applied),
        "routing": symbol("schedule.routing", "round_robin"),
        "replicas_least": int(cell("schedule.replicas_least", 0)),
        "replica_start": cell("schedule.replica_start", 0.0),
        "open_above": cell("schedule.open_above", 0.0),
        "close_below": cell("schedule.close_below", 0.0),
        "pool_link": symbol("schedule.pool_link", "nearest"),
    }


def _variants(applied: Applied) -> int:
    """Return of how many variants a device holds the weights at a time."""
    held = [
        int(merged.number(1)) for b in applied.blocks for (*_, cell), merged in b.cells.items()
        if cell == "layout.variants"
    ]
    return min((n for n in held if n > 1), default=1)


def _disagreeing(
    scenario: Scenario, cells: dict[str, Any], replicas: int
) -> Diagnostic | None:
    """Return why policies of a server do not go together, each of which would mean nothing."""
    batch, aside = cells["admission"] == "batch", cells["reserve"] != "grown"
    aside = aside or cells["cache"] == "contiguous"
    found = next((words for wrong, words in (
        (batch and cells["cache"] == "prefix",
         ("beginnings are not shared where a batch stays together", "its requests start at once")),
        (batch and (cells["prompts"] == "whole" or cells["mixing"] == "apart"),
         ("a batch that stays together has its prompts first anyhow", "nothing joins it later")),
        ((batch or aside) and cells["swap_bytes"] > 0,
         ("nothing is ever swapped where the cache is set aside", "no request has to give way")),
        (cells["kept_bytes"] > 0 and cells["cache"] != "prefix",
         ("there are no beginnings of prompts to keep on the host", "no cache keeps any")),
        (cells["routing"] == "prefix" and cells["cache"] != "prefix",
         ("no replica has the beginning of a prompt cached", "no cache keeps any")),
        (cells["routing"] == "variant" and cells["variants"] == 1,
         ("no replica holds one variant of the weights rather than another",
          "no weight has several (`layout.variants`)")),
        (scenario.workload.variants > 1 and cells["variants"] == 1,
         (f"requests ask for {scenario.workload.variants} variants of the model, and there is one",
          "no weight has several (`layout.variants`)")),
        (cells["replicas_least"] > replicas,
         (f"{cells['replicas_least']} replicas cannot always be open where there are {replicas}",
          "the cluster has room for no more")),
    ) if wrong), None)
    if found is None:
        return None
    span = scenario.spans.get("use") or scenario.spans.get("workload")
    return Diagnostic(
        "E0417", found[0], (Label(span, "these techniques"),) if span else (), why=found[1],
        help=("leave one of them out; `llamasim plan` shows which technique sets what",),
    )


def _unshared(scenario: Scenario, cells: dict[str, Any]) -> list[Diagnostic]:
    """Return a warning where prompts are said to begin alike, and nothing makes use of it."""
    paths = ("workload.shared_prefix", "workload.arrivals.columns.blocks")
    span = next((s for p in paths if (s := scenario.spans.get(p)) is not None), None)
    if span is None or cells["cache"] == "prefix":
        return []
    return [Diagnostic(
        "W0406", "prompts begin alike, which changes nothing: no technique keeps their beginnings",
        (Label(span, "not used"),), "warning",
        help=("use a technique that sets `schedule.cache = prefix`, or leave it out",),
    )]


def _refused(
    applied: Applied, scenario: Scenario, micro_batch: int, pipeline: str, prefill: int
) -> Diagnostic | None:
    """Return why this schedule cannot be run."""
    workload, replicas = scenario.workload, applied.mesh.size(REMAINDER)
    if workload.mode == "training" and workload.global_batch % (replicas * micro_batch):
        return does_not_divide(scenario, replicas, micro_batch)
    if pipeline == "zero_bubble" and applied.chunks > 1:
        return one_chunk(scenario, applied.chunks)
    return _pools(scenario, prefill, replicas)


def _pools(scenario: Scenario, prefill: int, replicas: int) -> Diagnostic | None:
    """Return why replicas cannot be split into those that prefill and those that decode."""
    span = scenario.spans.get("use") or scenario.spans.get("workload")
    if prefill == 0:
        return None
    if prefill >= replicas:
        return Diagnostic(
            "E0416", f"of {replicas} replicas, {prefill} cannot prefill and leave one to decode",
            (Label(span, f"{replicas} replicas"),) if span else (),
            why="each pool needs a replica of its own",
            help=("use more devices, or lower the degrees of other axes",),
        )
    return None


def one_chunk(scenario: Scenario, chunks: int) -> Diagnostic:
    """Return that a schedule takes one chunk a stage."""
    span = scenario.spans.get("use") or scenario.spans.get("workload")
    return Diagnostic(
        "E0415", f"a zero-bubble schedule takes one chunk a stage, and here are {chunks}",
        (Label(span, f"{chunks} chunks"),) if span else (),
        why="the order that it fills in is worked out for whole stages",
        help=("set `chunks: 1`, or leave the zero-bubble schedule out",),
    )


def does_not_divide(scenario: Scenario, replicas: int, micro_batch: int) -> Diagnostic:
    """Return that the global batch is no whole number of micro-batches for each replica."""
    batch = scenario.workload.global_batch
    span = scenario.spans.get("workload.global_batch") or scenario.spans.get("workload")
    unit = replicas * micro_batch
    near = max(unit, round(batch / unit) * unit)
    return Diagnostic(
        "E0413",
        f"a global batch of {batch} does not divide over {replicas} replicas x micro-batch "
        f"{micro_batch}",
        (Label(span, f"{batch} sequences"),) if span else (),
        why=f"every replica must run the same number of micro-batches of {micro_batch}",
        help=(f"set workload.global_batch to a multiple of {unit}, for example {near}",),
    )
