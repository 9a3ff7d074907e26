"""Memory of a block on one device: model state, kept activations, working set, cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import attrs

from llamasim.plan.live import Life, Size
from llamasim.plan.local import Local
from llamasim.plan.passes import Passes
from llamasim.plan.spec import GradLife, KvSpan
from llamasim.plan.steps import pieces
from llamasim.techniques.applied import Placed
from llamasim.techniques.defaults import BITS, MOMENTS
from llamasim.units.many import larger


@attrs.frozen
class State:
    """Bytes of a block's weights and of what training keeps with them.

    Attributes:
        gathered: whole weights while the block is at work; `held` those that stay whole from the
            forward to the backward pass.
        gradient_work: the largest gradient of one weight, whole.
        variant: one alternative of each of the weights that have several.
        lifetime: how long gradients are held: the longest of the block's weights.

    """

    weights: float
    gradients: float
    gradient_buffer: float
    gradient_work: float
    lifetime: GradLife
    optimizer: float
    gathered: float
    held: float
    static: float
    variant: float
    host: dict[str, float]
    disk: dict[str, float]


def model_state(local: Local, optimizer: str, *, training: bool) -> State:
    """Return the model state of a block (ZeRO's P_os+g+p, arXiv:1910.02054 section 3.1)."""
    facts = local.facts
    totals = _Totals()
    buffer = gathered = held = work = variant = 0.0
    lives: set[str] = set()
    for name, weight in facts.block.weights.items():
        resident = 0.0 if weight.tied else local.elements("weight", name) * local.bits(
            "weight", name) / 8 * local.stored("weight", name)
        away = facts.away("weight", name)
        if (several := facts.number("weight", name, "layout.variants", 1)) > 1:
            variant += resident
            resident *= several
        totals.put("weights", resident + _nearer_copies(local, name), away)
        if _stays_whole(local, name):
            held += _held_for_use(local, name, resident)
        else:
            gathered += _held_for_use(local, name, resident)
        if training and weight.tied and facts.trainable(name):
            # Its gradient joins that of the tensor that it shares.
            work = larger(work, 2 * gradient_bytes(local, name))
        if not training or weight.tied or not facts.trainable(name):
            continue
        grads = gradient_bytes(local, name)
        totals.put("gradients", grads, facts.away("grad", name))
        whole = grads * facts.ways("grad", name, "flat", local.mesh)
        buffer += whole - grads
        work = larger(work, whole)
        lives.add(facts.symbol("grad", name, "layout.lifetime", "run") or "run")
        states = optimizer_bits(local, name, optimizer) / 8 * local.elements("optimizer", name)
        states *= local.stored("optimizer", name)
        totals.put("optimizer", states, facts.away("optimizer", name))
    static = _static_bytes(local, totals)
    device = totals.device
    life = next((x for x in ("run", "step_end", "layer_end") if x in lives), "run")
    return State(device["weights"], device["gradients"], buffer, work, cast(GradLife, life),
                 device["optimizer"], gathered, held, static, variant,
                 totals.host, totals.disk)


def _nearer_copies(local: Local, name: str) -> float:
    """Return what a second partition of a weight takes: where it is gathered over fewer devices
    than its parts are spread over, these hold all of it among them (ZeRO++ calls it a hierarchical
    partition: arXiv:2306.10209, section 3.2).
    """
    facts, spread = local.facts, local.facts.ways("weight", name, "flat", local.mesh)
    if spread == 1:
        return 0.0
    over = {o.axis for o in facts.obligations.get(("weight", name), ()) if o.verb == "gather"}
    sizes = {local.mesh.size(axis) for axis in over}
    whole = local.whole_elements(name) * local.bits("weight", name) / 8
    return sum(whole / size for size in sizes if 1 < size < spread)


def _static_bytes(local: Local, totals: _Totals) -> float:
    """Return further bytes of no category; those of gradients and states join theirs."""
    facts = local.facts
    static = 0.0
    for (element, name, _, cell), merged in facts.cells.items():
        shared = name in facts.block.weights and facts.block.weights[name].tied
        if cell == "cost.static_bytes" and not shared:
            category = {"grad": "gradients", "optimizer": "optimizer"}.get(element)
            if category is None:
                static += merged.add / 8
            else:
                totals.device[category] += merged.add / 8
    return static


@attrs.define
class _Totals:
    """Bytes by category and place."""

    device: dict[str, float] = attrs.field(
        factory=lambda: dict.fromkeys(("weights", "gradients", "optimizer"), 0.0)
    )
    host: dict[str, float] = attrs.field(factory=dict)
    disk: dict[str, float] = attrs.field(factory=dict)

    def put(self, category: str, size: float, away: Placed) -> None:
        """Add a tensor, a share of which is somewhere else."""
        self.device[category] += size * (1 - away.share)
        if away.share > 0:
            there = self.host if away.where == "host" else self.disk
            there[category] = there.get(category, 0.0) + size * away.share


def _held_for_use(local: Local, name: str, resident: float) -> float:
    """Return what a weight takes on the device while it is used, beyond what stays there."""
    facts = local.facts
    whole = local.whole_elements(name) * local.bits("weight", name) / 8
    if any(o.verb == "gather" for o in facts.obligations.get(("weight", name), ())):
        return whole - resident * (1 - facts.away("weight", name).share)
    users = [op.name for op in facts.block.ops if op.weight == name and op.kind != "embedding"]
    if all(facts.never_on_device(user) for user in users):
        return 0.0
    return whole * facts.away("weight", name).share


def unpacked_bytes(local: Local) -> float:
    """Return the bytes of the largest weight of a named low-bit format as 16-bit numbers."""
    facts = local.facts
    found = 0.0
    for op in facts.block.ops:
        if op.kind != "matmul" or op.weight is None or facts.never_on_device(op.name):
            continue
        wide = BITS[facts.symbol("op", op.name, "numerics.math", local.dtype, "forward") or "bf16"]
        packed = facts.symbol("weight", op.weight, "numerics.format", None) is not None
        if packed and wide == 16:
            found = larger(found, local.whole_elements(op.weight) * wide / 8)
    return found


def _stays_whole(local: Local, name: str) -> bool:
    """Whether a gathered weight is kept whole between the forward and the backward pass."""
    found = local.facts.obligations.get(("weight", name), ())
    return any(o.verb == "gather" and o.until in ("phase_end", "step_end") for o in found)


def gradient_bytes(local: Local, name: str) -> float:
    """Return the resident bytes of a weight's gradient."""
    size = local.elements("grad", name) * local.bits("grad", name) / 8
    return size * local.stored("grad", name)


def optimizer_bits(local: Local, name: str, optimizer: str) -> float:
    """Return the bits that the optimizer keeps for one parameter."""
    moments = MOMENTS.get(optimizer, 2) * local.bits("optimizer", name)
    return moments + local.facts.number("optimizer", name, "numerics.master_bits", 0.0)


@attrs.frozen
class Kept:
    """Activation bytes of a block: kept to the backward pass, and live at once inside it.

    Attributes:
        forward, backward: the most that lives at once in a pass, beyond what the block keeps.

    """

    per_token: float
    per_pair: float
    host_per_token: float
    disk_per_token: float
    forward: Size
    backward: Size


def kept_activations(passes: Passes, *, training: bool, context: float) -> Kept:
    """Return what a block's activations take; in inference nothing is kept.

    `context` is how many keys a query may see, by which sizes of pairs are weighed.
    """
    local = passes.local
    if not training:
        live = Size(*_live(passes))
        return Kept(0.0, 0.0, 0.0, 0.0, live, live)
    kept = kept_names(passes)
    token, pair = _sizes(local, [n for n in kept if _stays(local, n)], local.kept_bytes_per_token)
    away = {where: sum(local.kept_bytes_per_token(n) * local.facts.away("activation", n).share
                       for n in kept if local.facts.away("activation", n).where == where)
            for where in ("host", "disk")}
    part = sum(local.kept_bytes_per_token(n) * (1 - local.facts.away("activation", n).share)
               for n in kept if not _stays(local, n))
    here = Size(token + part, pair)
    life = Life(passes, tuple(kept), context)
    forward = life.forward().above(here)
    backward = Size() if local.facts.frozen else life.backward().above(here)
    return Kept(here.token, pair, away["host"], away["disk"], forward, backward)


def kept_names(passes: Passes) -> list[str]:
    """Return the activations that a block keeps for its backward pass."""
    facts = passes.local.facts
    names = dict.fromkeys(s for step in passes.steps for s in step.saves)
    made = {o for step in passes.steps for o in step.outputs}
    names |= dict.fromkeys(sorted(facts.kept & made))
    kept = [n for n in names if n not in facts.dropped]
    if facts.block.layers and facts.block.input not in kept:
        kept.append(facts.block.input)
    return [] if facts.frozen else kept


def _stays(local: Local, name: str) -> bool:
    return local.facts.away("activation", name).share == 0


def _sizes(
    local: Local, names: list[str], per_token: Callable[[str], float]
) -> tuple[float, float]:
    token = pair = 0.0
    for name in names:
        size = per_token(name)
        size *= local.stored("activation", name)
        if local.facts.block.activations[name].per_context:
            pair += size
        else:
            token += size
    return token, pair


def _live(passes: Passes) -> tuple[float, float]:
    """Return the largest set of operands and results of one kernel."""
    best = (0.0, 0.0)
    cut = pieces(passes.steps, passes.local)
    for index, step in enumerate(passes.steps):
        token = pair = 0.0
        for name in dict.fromkeys((*step.inputs, *step.outputs)):
            local = passes.local
            activation = local.facts.block.activations[name]
            size = local.rows_used(index, name) * local.features_used(index, name)
            size *= local.bits("activation", name) / 8
            if name in cut:
                size /= cut[name]
            if activation.per_context:
                pair += size
            else:
                token += size
        best = (max(best[0], token), max(best[1], pair))
    return best


def kv_bytes(local: Local) -> tuple[dict[str, float], tuple[KvSpan, ...]]:
    """Return the bytes one cached token takes in a layer by place, and ranges that differ."""
    base = dict.fromkeys(("device", "host", "disk"), 0.0)
    spans: list[KvSpan] = []
    for name in local.facts.block.caches:
        here = _cache_places(local, name, None)
        base = {where: base[where] + here[where] for where in base}
        for low, high, ranged in local.facts.token_spans(name):
            there = _cache_places(local, name, ranged)
            spans.append(KvSpan(low, high, *(there[w] - here[w] for w in base)))
    return base, tuple(sorted(spans))


def _cache_places(local: Local, name: str, ranged: str | None) -> dict[str, float]:
    size = local.cache_bytes(name, ranged) * local.stored("kv_cache", name)
    facts = local.facts
    key = ranged if ranged and ("kv_cache", ranged) in facts.places else name
    away = facts.away("kv_cache", key)
    found = {"device": size * (1 - away.share), "host": 0.0, "disk": 0.0}
    found[away.where] += size * away.share
    return found
