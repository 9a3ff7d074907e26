"""Memory of a block on one device: model state, kept activations, working set, cache."""

from __future__ import annotations

import attrs

from llamasim.plan.local import Local
from llamasim.plan.passes import Passes
from llamasim.techniques.defaults import MOMENTS


@attrs.frozen
class State:
    """Resident bytes of a block's weights and what training keeps with them."""

    weights: float
    gradients: float
    gradient_buffer: float
    optimizer: float
    gathered: float
    static: float
    host: dict[str, float]


def model_state(local: Local, optimizer: str, *, training: bool) -> State:
    """Return the model state of a block (ZeRO's P_os+g+p, arXiv:1910.02054 section 3.1)."""
    facts = local.facts
    totals = dict.fromkeys(("weights", "gradients", "optimizer"), 0.0)
    host: dict[str, float] = {}
    buffer = gathered = 0.0
    for name, weight in facts.block.weights.items():
        resident = 0.0 if weight.tied else local.elements("weight", name) * local.bits(
            "weight", name) / 8
        _put(totals, host, "weights", resident, facts.places.get(("weight", name)))
        obliged = facts.obligations.get(("weight", name), ())
        if any(o.verb == "gather" for o in obliged):
            gathered += local.whole_elements(name) * local.bits("weight", name) / 8 - resident
        if not training or weight.tied or not facts.trainable(name):
            continue
        grads = gradient_bytes(local, name)
        _put(totals, host, "gradients", grads, facts.places.get(("grad", name)))
        buffer += grads * (facts.ways("grad", name, "flat", local.mesh) - 1)
        states = optimizer_bits(local, name, optimizer) / 8 * local.elements("optimizer", name)
        _put(totals, host, "optimizer", states, facts.places.get(("optimizer", name)))
    static = sum(m.add for (_, _, _, cell), m in facts.cells.items()
                 if cell == "cost.static_bytes") / 8
    return State(totals["weights"], totals["gradients"], buffer, totals["optimizer"], gathered,
                 static, host)


def _put(
    totals: dict[str, float], host: dict[str, float], category: str, size: float, where: str | None
) -> None:
    if where in ("host", "disk"):
        host[category] = host.get(category, 0.0) + size
    else:
        totals[category] += size


def gradient_bytes(local: Local, name: str) -> float:
    """Return the resident bytes of a weight's gradient."""
    return local.elements("grad", name) * local.bits("grad", name) / 8


def optimizer_bits(local: Local, name: str, optimizer: str) -> float:
    """Return the bits that the optimizer keeps for one parameter."""
    moments = MOMENTS.get(optimizer, 2) * local.bits("optimizer", name)
    return moments + local.facts.number("optimizer", name, "numerics.master_bits", 0.0)


@attrs.frozen
class Kept:
    """Activation bytes of a block: kept to the backward pass, and live at once inside it."""

    per_token: float
    per_pair: float
    transient_per_token: float
    transient_per_pair: float


def kept_activations(passes: Passes, *, training: bool) -> Kept:
    """Return what a block's activations take; in inference nothing is kept."""
    local = passes.local
    dropped = local.facts.dropped
    names = dict.fromkeys(s for step in passes.steps for s in step.saves) if training else {}
    kept = [n for n in names if n not in dropped]
    forgotten = [n for n in names if n in dropped]
    if training and local.facts.block.layers and local.facts.block.input not in kept:
        kept.append(local.facts.block.input)
    token, pair = _sizes(local, kept)
    redo_token, redo_pair = _sizes(local, forgotten)
    live_token, live_pair = _live(passes, backward=training)
    return Kept(token, pair, redo_token + live_token, redo_pair + live_pair)


def _sizes(local: Local, names: list[str]) -> tuple[float, float]:
    token = pair = 0.0
    for name in names:
        size = local.bytes_per_token(name)
        if local.facts.block.activations[name].per_context:
            pair += size
        else:
            token += size
    return token, pair


def _live(passes: Passes, *, backward: bool) -> tuple[float, float]:
    """Return the largest set of operands and results (and their gradients) of one kernel."""
    best = (0.0, 0.0)
    for index, step in enumerate(passes.steps):
        token = pair = 0.0
        for name in dict.fromkeys((*step.inputs, *step.outputs)):
            local = passes.local
            activation = local.facts.block.activations[name]
            size = local.rows_used(index, name) * local.features_used(index, name)
            size *= local.bits("activation", name) / 8
            if activation.per_context:
                pair += size
            else:
                token += size
        best = (max(best[0], token), max(best[1], pair))
    factor = 2.0 if backward else 1.0
    return best[0] * factor, best[1] * factor


def kv_bytes(local: Local) -> tuple[float, str]:
    """Return the bytes one cached token takes in a layer, and where they lie."""
    caches = local.facts.block.caches
    size = sum(local.cache_bytes(name) for name in caches)
    places = {local.facts.places.get(("kv_cache", name), "device") for name in caches}
    return size, "host" if places & {"host", "disk"} else "device"
