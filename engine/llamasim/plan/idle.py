"""Warns of techniques in use that change nothing in the kind of job at hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language import Program
from llamasim.language.ast import Bring, Rule
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.plan.compile import build, program_of
from llamasim.plan.spec import LedgerRow, Plan
from llamasim.scenario.spec import Scenario, Use

_SERVER, _TRAINING, _INFERENCE = "a server (`workload.arrivals`)", "training", "inference"
_SEVERAL, _SCALED = "several replicas", "replicas that come and go"
_POOLS, _STAGES = "pools of replicas", "several pipeline stages"

#: Parts of a plan that only some jobs read: by class and attribute, who does. A test records what
#: each kind of job reads.
READERS: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "Schedule": {
        **dict.fromkeys(("micro_batch", "micro_batches", "reduce_every"), _TRAINING),
        "pipeline": _STAGES,
        **dict.fromkeys(("token_budget", "kv_block", "rows", "tokens_out"), _INFERENCE),
        **dict.fromkeys(("admission", "max_sequences", "cache", "prompts", "mixing", "reserve",
                         "swap_bytes", "kept_bytes", "variants"), _SERVER),
        **dict.fromkeys(("routing", "prefill_replicas", "replicas_least"), _SEVERAL),
        **dict.fromkeys(("replica_start", "open_above", "close_below"), _SCALED),
        "pool_link": _POOLS,
    },
    "BlockPlan": {
        **dict.fromkeys((
            "reduce", "grad_buffer_bytes", "saved_per_token", "saved_per_pair", "saved_fixed",
            "host_saved_per_token", "disk_saved_per_token", "forward_per_token", "forward_per_pair",
            "held_bytes", "grad_work_bytes", "grad_in_parts", "lasting_bytes"), _TRAINING),
        **dict.fromkeys(("kv_per_token", "host_kv_per_token", "disk_kv_per_token", "kv_spans",
                         "kv_cap"), _INFERENCE),
        "variant_bytes": _SERVER,
    },
    "RankClass": dict.fromkeys(("optimizer", "step_start", "step_end"), _TRAINING),
})


#: Elements that only one mode has.
_OF_MODE = {"grad": _TRAINING, "activation_grad": _TRAINING, "optimizer": _TRAINING,
            "kv_cache": _INFERENCE}


def readers(plan: Plan, scenario: Scenario) -> frozenset[str]:
    """Return which readers of `READERS` a job has."""
    training = plan.mode == "training"
    server = scenario.workload.serving
    several = server and plan.replicas > 1
    found = {
        _TRAINING: training, _INFERENCE: not training, _SERVER: server, _SEVERAL: several,
        _SCALED: several and plan.schedule.replicas_least > 0,
        _POOLS: several and plan.schedule.prefill_replicas > 0,
        _STAGES: training and plan.schedule.stages > 1,
    }
    return frozenset(name for name, there in found.items() if there)


def idle(scenario: Scenario, plan: Plan) -> list[Diagnostic]:
    """Return a warning for each technique whose rules set only what nothing in this job reads.

    Each is left out alone, and the job is the same. One that says what would hold anyway is no
    mistake: it writes down what is meant.
    """
    program, _ = program_of(scenario)
    graph, here = resolve(scenario.model), readers(plan, scenario)
    said = {u.instance: [r for r in plan.ledger if r.instance == u.instance] for u in scenario.use}
    found = (
        _idle(u, scenario, plan, program, graph, here) for u in scenario.use
        if all(_doubtful(row, here) for row in said[u.instance])
    )
    return [d for d in found if d is not None]


def _doubtful(row: LedgerRow, here: frozenset[str]) -> bool:
    """Whether what a rule did may be for nothing: not worth a second plan where it is not."""
    if row.element == "activation":
        return row.verb in ("drop", "keep") or row.cell.startswith("saved.")
    return row.element == "step" or _OF_MODE.get(row.element, row.element) not in (
        row.element, *here)


def _idle(
    use: Use, scenario: Scenario, plan: Plan, program: Program, graph: Graph, here: frozenset[str]
) -> Diagnostic | None:
    technique = program.technique(use.technique)
    rules = [m for m in technique[1].members if isinstance(m, Rule)] if technique else []
    brings = technique is not None and any(isinstance(m, Bring) for m in technique[1].members)
    if not rules and not brings:
        return None
    rest = tuple(u for u in scenario.use if u.instance != use.instance)
    without, _ = build(graph, program, attrs.evolve(scenario, use=rest))
    if without is None or _read(without, here) != _read(plan, here):
        return None
    unread = dict(_differing(plan, without))
    if not unread and not brings and all(r.element == "step" for r in rules):
        return None
    return Diagnostic(
        "W0407", f"`{use.technique}` changes nothing here", (Label(use.span, "in `use`"),),
        "warning", _why(unread, plan.mode), ("leave it out",),
    )


def _why(unread: Mapping[str, str], mode: str) -> str:
    if not unread:
        return f"nothing in {mode} reads what its rules set"
    who = dict.fromkeys(unread.values())
    return f"it sets what only {' and '.join(who)} would read: {', '.join(unread)}"


def _read(plan: Plan, here: frozenset[str]) -> Plan:
    """Return what a job reads of a plan, with usual values for all else."""
    return attrs.evolve(
        plan, claims=(), ledger=(), techniques=(), hash="",
        schedule=_plain(plan.schedule, here),
        blocks=tuple(_plain(b, here) for b in plan.blocks),
        ranks=tuple(_plain(r, here) for r in plan.ranks),
    )


def _plain(part: Any, here: frozenset[str]) -> Any:
    kind = type(part)
    unread = {n for n, who in READERS[kind.__name__].items() if who not in here}
    return attrs.evolve(part, **{
        a.name: a.default for a in attrs.fields(kind) if a.name in unread
    })


def _differing(plan: Plan, other: Plan) -> Iterator[tuple[str, str]]:
    """Yield what differs of the parts that only some jobs read, and who reads it."""
    pairs = ((plan.schedule, other.schedule, "schedule."), *(
        (a, b, "") for mine, others in ((plan.blocks, other.blocks), (plan.ranks, other.ranks))
        for a, b in zip(mine, others, strict=True)
    ))
    for a, b, prefix in pairs:
        for name, who in READERS[type(a).__name__].items():
            if getattr(a, name) != getattr(b, name):
                yield f"`{prefix}{name}`" if prefix else f"{name.replace('_', ' ')}", who
