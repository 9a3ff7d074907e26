"""Movements of activations as collectives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from llamasim.plan.flow import PARTIAL, REPLICATED, TOKEN_DIMS, Flow, Move
from llamasim.plan.local import Local
from llamasim.plan.opwork import attended_caches
from llamasim.plan.spec import CommKind, CommWork
from llamasim.plan.steps import Step

#: Verbs by which rules speak of a collective.
_VERB = {"all_reduce": "reduce", "reduce_scatter": "reduce", "all_gather": "gather",
         "all_to_all": "exchange"}
#: A loss over a split vocabulary reduces three numbers a token: maximum, sum, target's logit
#: (arXiv:1909.08053, section 3).
_LOSS_SCALARS = 3


def forward_moves(local: Local, index: int, side: str, phase: str) -> list[CommWork]:
    """Return the collectives before (`input`) or after (`output`) a kernel."""
    found = []
    for axis, flow in local.flows.items():
        for move in flow.moves:
            if move.step == index and move.side == side and move.kind is not None:
                found.append(message(local, axis, move.tensor, move.kind, phase, "activation"))
    return found


def exchanges(local: Local, outputs: Iterable[str], phase: str) -> list[CommWork]:
    """Return the all-to-alls that rules state on a kernel's results."""
    return [
        CommWork(
            name, "all_to_all", local.mesh.group(o.axis),
            bytes_fixed=o.amount / 8, bytes_per_token=o.amount_per_token / 8,
            hidden=local.facts.hidden.get(("activation", name, "exchange", phase), 0.0),
            reason=o.site,
        )
        for name in outputs
        for o in local.facts.obligations.get(("activation", name), ())
        if o.verb == "exchange" and phase in o.phases and local.mesh.size(o.axis) > 1
    ]


def rotations(local: Local, index: int, inputs: Iterable[str], phase: str) -> list[CommWork]:
    """Return ring passes of inputs that rules rotate instead of gathering."""
    found = []
    for axis, flow in local.flows.items():
        for name in inputs:
            obliged = local.facts.obligations.get(("activation", name), ())
            held = flow.used.get((index, name)) in TOKEN_DIMS
            if held and any(o.verb == "rotate" and o.axis == axis for o in obliged):
                found.append(message(local, axis, name, "rotate", phase, "activation"))
    return found


def loss_reductions(local: Local, index: int, source: str) -> list[CommWork]:
    """Return the small reductions of a loss whose vocabulary is split."""
    found = []
    for axis, flow in local.flows.items():
        held = flow.used.get((index, source), REPLICATED)
        if held not in (REPLICATED, PARTIAL, *TOKEN_DIMS):
            size = 4.0 * _LOSS_SCALARS * local.rows_used(index, source)
            found.append(CommWork("loss", "all_reduce", local.mesh.group(axis),
                                  bytes_per_token=size, reason="loss over a split vocabulary"))
    return found


def softmax_merges(local: Local, index: int, step: Step, phase: str) -> list[CommWork]:
    """Return the reductions that join attention over parts of a cache that is split along the
    sequence: each device has a share of every softmax, its largest score and its sum
    (arXiv:2205.14135, section 3.1; Tree attention, arXiv:2408.04093, section 5).
    """
    if phase not in ("prefill", "decode") or step.kind not in ("context", "fused_attention"):
        return []
    caches = attended_caches(local, step)
    axes = {axis for name in caches for dim, axis in local.facts.shards.get(("kv_cache", name), ())
            if dim == "seq" and local.mesh.size(axis) > 1}
    made = step.outputs[-1]
    dims = local.facts.block.activations[made].features
    scalars = 1.0 + 2.0 / max(d.granule for d in dims)
    return [
        CommWork(made, "all_reduce", local.mesh.group(axis),
                 bytes_per_token=local.features(made) * scalars * local.rows(made)
                 * local.wire_bits("activation", made) / 8,
                 hidden=local.facts.hidden.get(("activation", made, "reduce", phase), 0.0),
                 reason=f"softmax over a cache split along {axis}")
        for axis in sorted(axes)
    ]


def message(
    local: Local, axis: str, name: str, kind: CommKind, phase: str, element: str,
    *, hidden: float | None = None,
) -> CommWork:
    """Return one collective of an activation (or of its gradient) along an axis."""
    group = local.mesh.group(axis)
    bits = local.wire_bits(element, name)
    # A gather's or a reduction's message is whole along its axis, split along the others.
    size = local.features(name, without=axis) * local.rows(name, without=axis) * bits / 8
    if kind in ("all_to_all", "rotate"):
        size /= group.size
    if hidden is None:
        verb = "rotate" if kind == "rotate" else _VERB[kind]
        hidden = local.facts.hidden.get((element, name, verb, phase), 0.0)
    return CommWork(name, kind, group, bytes_per_token=size, hidden=hidden,
                    reason=f"{element} {name} over {axis}")


def backward_of(move: Move) -> CommKind | None:
    """Return the collective that a forward movement's gradient needs."""
    if move.kind is None:
        return "all_gather"  # each device kept its part; the gradient is put together again
    transposed: Mapping[str, CommKind | None] = {
        "all_gather": "reduce_scatter", "reduce_scatter": "all_gather",
        "all_reduce": None, "all_to_all": "all_to_all",
    }
    return transposed[move.kind]


def partial_gradients(flow: Flow, sharded_outputs: Mapping[int, bool]) -> dict[str, int]:
    """Return inputs that are read whole by kernels whose work is split along the axis: their
    gradients are partial sums. Maps each to the first kernel that reads it.
    """
    found: dict[str, int] = {}
    for (index, tensor), placement in flow.used.items():
        if placement == REPLICATED and sharded_outputs.get(index, False):
            found[tensor] = min(index, found.get(tensor, index))
    return found
