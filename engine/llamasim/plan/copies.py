"""Transfers between a device and the memory or the disk of its host.

What lies elsewhere and is used on the device is copied for its use: weights before each kernel
that applies them, cached tokens before the kernel that attends to them, kept activations out after
the forward pass and back before the backward pass.
"""

from __future__ import annotations

from collections.abc import Iterable

from llamasim.plan.local import Local
from llamasim.plan.opwork import attended_caches
from llamasim.plan.spec import CommWork, KvSpan, OpWork, Part
from llamasim.plan.steps import Step
from llamasim.techniques.applied import BlockFacts
from llamasim.techniques.mesh import Group


def group_of(local: Local, where: str) -> Group:
    """Return the link to a place: devices of a node that are at one layer share its disk."""
    members = local.on_one_host if where == "disk" else 1
    return Group(where, members, members)


def hidden_share(facts: BlockFacts, element: str, name: str, phase: str) -> float:
    """Return the share of an element's copies that may run beside compute in a phase."""
    return facts.hidden.get((element, name, "copy", phase), 0.0)


def activation_copies(local: Local, names: Iterable[str], *, to_host: bool) -> list[CommWork]:
    """Return the copies of a kernel's inputs when the work passes between device and host."""
    way = "to the host" if to_host else "from the host"
    return [
        CommWork(n, "copy", group_of(local, "host"), bytes_per_token=local.bytes_per_token(n),
                 stream="copy", reason=f"{n} {way}")
        for n in names if not local.facts.block.activations[n].per_context
    ]


def copies_for_use(local: Local, step: Step, phase: str) -> list[CommWork]:
    """Return the copies of what a kernel on the device uses and lies elsewhere."""
    facts = local.facts
    if facts.on_host(step.op.name, phase):
        return []
    found = [
        _weight(local, op.weight, phase) for op in step.ops
        # A lookup reads single rows, on the host.
        if op.weight and op.kind != "embedding" and facts.away("weight", op.weight).share > 0
    ]
    if phase in ("prefill", "decode") and step.kind in ("scores", "context", "fused_attention"):
        for name in attended_caches(local, step):
            found += _cache(local, name, phase)
    return found


def _weight(local: Local, weight: str, phase: str) -> CommWork:
    away = local.facts.away("weight", weight)
    # Each device brings its own part of a split weight; gathers do the rest.
    size = local.elements("weight", weight) * local.bits("weight", weight) / 8 * away.share
    size *= local.over_link("weight", weight)
    return CommWork(
        weight, "copy", group_of(local, away.where), bytes_fixed=size,
        routed=local.facts.block.weights[weight].routed, stream="copy",
        hidden=hidden_share(local.facts, "weight", weight, phase),
        reason=f"weight {weight} from the {away.where}",
    )


def _cache(local: Local, name: str, phase: str) -> list[CommWork]:
    """Return the copies of cached tokens, and of ranges of them that lie elsewhere."""
    facts = local.facts
    base = facts.away("kv_cache", name)
    link = local.over_link("kv_cache", name)
    size = local.cache_bytes(name) * link
    parts: dict[str, tuple[float, list[KvSpan]]] = {}
    if base.share > 0:
        parts[base.where] = (size * base.share, [])
    for low, high, ranged in facts.token_spans(name):
        placed = facts.away("kv_cache", ranged if ("kv_cache", ranged) in facts.places else name)
        there = local.cache_bytes(name, ranged) * link
        for where in sorted({base.where, placed.where} - {"device"}):
            now = there * placed.share if placed.where == where else 0.0
            was = size * base.share if base.where == where else 0.0
            parts.setdefault(where, (0.0, []))[1].append(KvSpan(low, high, now - was))
    hidden = hidden_share(facts, "kv_cache", name, phase)
    return [
        CommWork(f"{name} cache", "copy", group_of(local, where), bytes_per_kv_token=per_token,
                 kv_spans=tuple(spans), hidden=hidden, stream="copy",
                 reason=f"cached {name} from the {where}")
        for where, (per_token, spans) in sorted(parts.items())
    ]


def saved_copies(local: Local, phase: str, kept: Iterable[str]) -> list[CommWork]:
    """Return the copies of kept activations that lie elsewhere between the two passes.

    They stand before the block's work: in a steady state a block's copies run beside its
    neighbour's work.
    """
    if phase not in ("forward", "backward"):
        return []
    joined: dict[tuple[str, float], float] = {}
    for name in kept:
        away = local.facts.away("activation", name)
        if away.share > 0:
            key = (away.where, hidden_share(local.facts, "activation", name, phase))
            size = local.kept_bytes_per_token(name) * away.share
            size *= local.over_link("activation", name)
            joined[key] = joined.get(key, 0.0) + size
    way = "to" if phase == "forward" else "from"
    return [
        CommWork("activations", "copy", group_of(local, where), bytes_per_token=size,
                 hidden=hidden, stream="copy", reason=f"kept activations {way} the {where}")
        for (where, hidden), size in sorted(joined.items())
    ]


def gradient_copies(local: Local) -> list[CommWork]:
    """Return the copies of gradients that lie elsewhere, after each backward pass."""
    facts = local.facts
    sums: dict[tuple[str, float], float] = {}
    for name, weight in facts.block.weights.items():
        away = facts.away("grad", name)
        if weight.tied or away.share == 0 or not facts.trainable(name):
            continue
        size = local.elements("grad", name) * local.bits("grad", name) / 8 * away.share
        size *= local.over_link("grad", name)
        key = (away.where, hidden_share(facts, "grad", name, "backward"))
        sums[key] = sums.get(key, 0.0) + size
    return [
        CommWork("gradients", "copy", group_of(local, where), bytes_fixed=size, hidden=hidden,
                 stream="copy", reason=f"gradients lie on the {where}")
        for (where, hidden), size in sorted(sums.items())
    ]


def buffer_copies(moved: Iterable[CommWork], copies: float, part: Part) -> list[OpWork]:
    """Return the copies on the device between tensors and the buffers that collectives work on:
    `copies` bytes for each byte of a message, read and written in equal parts.
    """
    size = copies * sum(c.bytes_fixed for c in moved)
    if size <= 0:
        return []
    return [OpWork("buffers", "copied", part, basis="fixed", read_fixed=size / 2,
                   write_fixed=size / 2)]
