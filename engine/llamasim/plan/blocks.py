"""One class of layers, lowered: placements, work in each phase, memory, gradient collectives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from llamasim.catalog.specs import Runtime
from llamasim.diagnostics import Diagnostic
from llamasim.language.names import NAMES
from llamasim.plan.copies import buffer_copies, gradient_copies, saved_copies
from llamasim.plan.flow import Flow, flow
from llamasim.plan.gradients import gathers_in_use, reductions
from llamasim.plan.lasting import lasting_bytes
from llamasim.plan.local import Local
from llamasim.plan.memory import (
    Kept,
    State,
    kept_activations,
    kept_names,
    kv_bytes,
    model_state,
    unpacked_bytes,
)
from llamasim.plan.opwork import block_window
from llamasim.plan.passes import Passes, unresolved_gradients
from llamasim.plan.spec import BlockPlan, CommWork, OpWork, Work
from llamasim.plan.steps import pieces, steps_of
from llamasim.scenario.spec import Scenario
from llamasim.techniques.applied import NOTHING, Applied, BlockFacts
from llamasim.techniques.mesh import REMAINDER


@attrs.frozen
class BlockLowering:
    """A lowered block with what its neighbours need to know."""

    plan: BlockPlan
    local: Local
    leaving: dict[str, str]


def lower_block(
    applied: Applied, facts: BlockFacts, scenario: Scenario, entering: dict[str, str]
) -> tuple[BlockLowering, list[Diagnostic]]:
    """Lower one class of layers, given the placement of what enters it by axis."""
    training = scenario.workload.mode == "training"
    phases = ("forward", "backward") if training else ("prefill", "decode")
    steps = steps_of(facts, phases[0])
    stages = applied.step.get(("", "layout.pipeline_axis"), NOTHING).value
    pipeline = None if stages is None else str(stages)
    # Nothing inside a layer is split along the axis of its stages unless a rule says so.
    named = {a for shards in facts.shards.values() for _, a in shards}
    axes = [a.name for a in applied.mesh.axes if a.name != REMAINDER
            and (a.name != pipeline or a.name in named) and a.size > 1]
    flows = {a: flow(facts, steps, a, entering.get(a, "")) for a in axes}
    local = Local(facts, applied.mesh, scenario.workload.dtype, flows, pipeline)
    passes = {p: Passes(local, steps_of(facts, p), p) for p in phases}
    often = applied.step.get(("", "schedule.reduce_every"), NOTHING).value
    work = {p: _pass(passes[p], scenario.runtime, each=often == 1) for p in phases}
    found = _unresolved_sums(flows.values())
    reduce: tuple[CommWork, ...] = ()
    if training:
        summed = reductions(passes["forward"])
        reduce = summed.works
        found += _unresolved_grads(passes["backward"], summed.unresolved)
    plan = _block_plan(facts, local, passes[phases[0]], work, reduce, scenario)
    leaving = {a: f.leaving for a, f in flows.items()}
    return BlockLowering(plan, local, leaving), found


def _pass(passes: Passes, runtime: Runtime, *, each: bool) -> tuple[Work, ...]:
    # Copies beside reductions are counted where each micro-batch has them.
    body = passes.backward() if passes.phase == "backward" else passes.forward()
    gathers = gathers_in_use(passes.local, passes.phase)
    before: tuple[Work, ...] = (
        *gathers, *buffer_copies(gathers, runtime.gather_copies, "forward"),
        *saved_copies(passes.local, passes.phase, kept_names(passes)),
    )
    if passes.phase != "backward":
        return (*before, *body)
    copied = each and runtime.reduce_copies > 0
    sums: tuple[CommWork, ...] = reductions(passes).works if copied else ()
    return (*before, *body, *gradient_copies(passes.local),
            *buffer_copies(sums, runtime.reduce_copies, "weight_grad"))


def only_forward(plan: BlockPlan) -> BlockPlan:
    """Return a block that is passed forward and of which no gradient is asked."""
    if "backward" not in plan.work:
        return plan
    return attrs.evolve(
        plan, work={**plan.work, "backward": ()}, reduce=(), saved_per_token=0.0,
        saved_per_pair=0.0, saved_fixed=0.0, host_saved_per_token=0.0, disk_saved_per_token=0.0,
        transient_per_token=0.0, transient_per_pair=0.0,
        forward_per_token=(plan.forward_per_token or 0.0) + plan.saved_per_token,
        forward_per_pair=(plan.forward_per_pair or 0.0) + plan.saved_per_pair,
    )


def split_backward(plan: BlockPlan) -> BlockPlan:
    """Return a block whose gradients of weights are a phase of their own, `weight`."""
    backward = plan.work.get("backward", ())
    weights = [w for w in backward if isinstance(w, OpWork) and w.part == "weight_grad"]
    rest = [w for w in backward if not (isinstance(w, OpWork) and w.part == "weight_grad")]
    return attrs.evolve(
        plan, work={**plan.work, "backward": tuple(rest), "weight": tuple(weights)}
    )


def _block_plan(
    facts: BlockFacts,
    local: Local,
    passes: Passes,
    work: dict[str, tuple[Work, ...]],
    reduce: tuple[CommWork, ...],
    scenario: Scenario,
) -> BlockPlan:
    training = scenario.workload.mode == "training"
    state = model_state(local, scenario.workload.optimizer, training=training)
    kept = kept_activations(passes, training=training, context=scenario.workload.sequence)
    kv, spans = ({}, ()) if training else kv_bytes(local)
    return BlockPlan(
        name=facts.name,
        layers=facts.layers,
        work=work,
        reduce=reduce,
        **_kept_fields(kept),
        **_state_fields(state),
        grad_in_parts=bool(pieces(passes.steps, local)),
        unpacked_bytes=unpacked_bytes(local) if training else 0.0,
        kv_per_token=kv.get("device", 0.0),
        host_kv_per_token=kv.get("host", 0.0),
        disk_kv_per_token=kv.get("disk", 0.0),
        kv_spans=spans,
        kv_cap=block_window(local),
        params=facts.block.elements,
        lasting_bytes=lasting_bytes(local, scenario.workload.optimizer) if training else 0.0,
    )


def _state_fields(state: State) -> dict[str, Any]:
    return {
        "weight_bytes": state.weights,
        "grad_bytes": state.gradients,
        "grad_buffer_bytes": state.gradient_buffer,
        "grad_work_bytes": state.gradient_work,
        "grad_life": state.lifetime,
        "optimizer_bytes": state.optimizer,
        "static_bytes": state.static,
        "variant_bytes": state.variant,
        "host_bytes": state.host,
        "disk_bytes": state.disk,
        "gathered_bytes": state.gathered,
        "held_bytes": state.held,
    }


def _kept_fields(kept: Kept) -> dict[str, Any]:
    return {
        "saved_per_token": kept.per_token,
        "saved_per_pair": kept.per_pair,
        "host_saved_per_token": kept.host_per_token,
        "disk_saved_per_token": kept.disk_per_token,
        "transient_per_token": kept.backward.token,
        "transient_per_pair": kept.backward.pair,
        "forward_per_token": kept.forward.token,
        "forward_per_pair": kept.forward.pair,
    }


def _unresolved_sums(flows: Iterable[Flow]) -> list[Diagnostic]:
    found = []
    for f in flows:
        for _, tensor in f.unresolved:
            found.append(
                Diagnostic(
                    "E0410",
                    f"`{tensor}` is a partial sum over `{f.axis}` that no rule resolves",
                    why="its producer contracts a dim that is split, and an op reads the result",
                    help=(f"add `on activation of {_pattern(tensor)} {{ reduce over {f.axis} }}`",),
                )
            )
    return found


def _pattern(tensor: str) -> str:
    """Return the pattern by which rules reach a tensor of a block."""
    own = tensor.removesuffix(".input")
    bare = any(n.text == own and n.place != "layer" for n in NAMES)
    return tensor if bare else f"*.{tensor}"


def _unresolved_grads(passes: Passes, weights: tuple[str, ...]) -> list[Diagnostic]:
    found = [
        Diagnostic(
            "E0411",
            f"the gradient of `{tensor}` is a partial sum over `{axis}` that no rule resolves",
            why="ops that read it whole split their work over the axis",
            help=(f"add `on activation_grad of {_pattern(tensor)} during backward "
                  f"{{ reduce over {axis} }}`",),
        )
        for axis, tensor in unresolved_gradients(passes)
    ]
    if weights:
        count = passes.local.mesh.size(REMAINDER)
        found.append(
            Diagnostic(
                "E0412",
                f"{count} replicas train side by side and no rule sums their gradients",
                why="each replica sees other sequences, so its gradients are a partial sum",
                help=("add a technique that reduces gradients over replicas to `use`; the shipped "
                      "ones are in the modules parallelism.data and parallelism.zero",
                      "or use as many devices as the other axes need"),
            )
        )
    return found
