"""Memory of a category on one device, stage by stage, down to the largest tensors."""

from __future__ import annotations

from collections import Counter

import attrs

from llamasim.plan.spec import BlockPlan
from llamasim.simulate import run
from llamasim.simulate.memory import chunk_bytes
from llamasim.simulate.trace import Fit
from llamasim.simulate.within import transient_of
from llamasim.study.explain import sizes
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.tree import Node

#: Tensors of a block that are listed; the others are summed.
LARGEST = 4
_ELEMENTS = {"weights": "weight", "gradients": "grad", "optimizer": "optimizer"}


def memory_node(case: Case, category: str, stage: int | None) -> tuple[Node, str]:
    """Return the peak of a category of memory: of one stage, or of all with the fullest in full."""
    fits = run(case.plan, case.scenario).fits
    values = [_value(f, category) for f in fits]
    chosen = values.index(max(values)) if stage is None else stage
    detail = _stage(case, fits[chosen], category)
    if len(fits) == 1 or stage is not None:
        return attrs.evolve(detail, name=f"memory.{category}"), f"device of stage {chosen}"
    stages = tuple(
        detail if k == chosen else Node(f"stage {k}", v, "B") for k, v in enumerate(values)
    )
    note = f"at its peak; the largest of {len(fits)} pipeline stages is stage {chosen}"
    root = Node(f"memory.{category}", values[chosen], "B", note=note, inputs=stages)
    return root, f"device of stage {chosen}"


def _value(fit: Fit, category: str) -> float:
    return fit.peak_bytes if category == "total" else fit.by_category.get(category, 0.0)


def _stage(case: Case, fit: Fit, category: str) -> Node:
    name, value = f"stage {fit.rank}", _value(fit, category)
    if category == "total":
        parts = tuple(
            Node(k.replace("_", " "), v, "B", note=f"`memory.{k}`")
            for k, v in sorted(fit.by_category.items(), key=lambda p: -p[1]) if v
        )
        note = f"a device has {fit.capacity_bytes / 2**30:,.2f} GiB for the run"
        return Node(name, value, "B", formula=_sum(parts), note=note, inputs=parts)
    if category in _ELEMENTS:
        return _resident(case, fit.rank, category, value)
    if category == "activations":
        return _activations(case, fit.rank, value)
    if category == "kv_cache":
        return _cache(case, fit.rank, value)
    if category == "reserve":
        return _reserve(case, fit, value)
    return _transient(case, fit.rank, category, value)


def _sum(parts: tuple[Node, ...]) -> str:
    return " + ".join(f"{{{p.name}}}" for p in parts) if parts else ""


def _blocks(case: Case, rank: int) -> list[tuple[BlockPlan, int, int]]:
    """Return the blocks of a stage: plan, index and how many of them it holds."""
    counts = Counter(i for c in case.plan.ranks[rank].chunks for i in c.blocks)
    return [(case.plan.blocks[i], i, n) for i, n in sorted(counts.items())]


def _resident(case: Case, rank: int, category: str, value: float) -> Node:
    parts = []
    for plan, index, count in _blocks(case, rank):
        each = {"weights": plan.weight_bytes + plan.static_bytes, "gradients": plan.grad_bytes,
                "optimizer": plan.optimizer_bytes}[category]
        if each:
            parts.append(_times(plan.name, each, count,
                                _tensors(case, index, _ELEMENTS[category], each)))
    static = case.plan.ranks[rank].static_bytes
    if category == "weights" and static:
        parts.append(Node("static", static, "B", note="`cost.static_bytes` of the step"))
    rest = value - sum(float(p.value or 0.0) for p in parts)
    if abs(rest) > 0.5:
        note = ("whole gradients before they are reduced" if category == "gradients"
                else "what lies in the memory that host and device share")
        parts.append(Node("further", rest, "B", note=note))
    return Node(f"stage {rank}", value, "B", formula=_sum(tuple(parts)), inputs=tuple(parts))


def _times(name: str, each: float, count: int, inputs: tuple[Node, ...]) -> Node:
    one = Node(f"one {name}", each, "B", formula=_sum(inputs), inputs=inputs)
    if count == 1:
        return attrs.evolve(one, name=name)
    return Node(name, each * count, "B", formula=f"{count} x {{one {name}}}", inputs=(one,))


def _tensors(case: Case, index: int, element: str, total: float) -> tuple[Node, ...]:
    """Return the largest tensors of a block, and the rest of them in one.

    Of a further model that runs beside, the block alone is known.
    """
    if index >= len(case.applied.blocks):
        return ()
    facts = case.applied.blocks[index]
    layer = facts.layers[0] if facts.layers else None
    found = []
    for name in facts.block.weights:
        place = Place(index, layer, name)
        here = 1 - facts.away(element, name).share
        size = here * float(sizes.bytes_node(case, place, element).value or 0.0)
        found.append(Node(name, size, "B", note=f"`{element}.bytes@{place.full}`"))
    found.sort(key=lambda n: -float(n.value or 0.0))
    rest = total - sum(float(n.value or 0.0) for n in found[:LARGEST])
    listed = tuple(n for n in found[:LARGEST] if n.value)
    if abs(rest) > 0.5:
        listed = (*listed, Node("others", rest, "B"))
    return listed


def _activations(case: Case, rank: int, value: float) -> Node:
    shape = case.plan.step_shape
    parts = []
    for plan, _, count in _blocks(case, rank):
        each = plan.saved_per_token * shape.tokens + plan.saved_per_pair * shape.full_pairs
        each += plan.saved_fixed
        if each:
            parts.append(_times(plan.name, each, count, ()))
    one = sum(float(p.value or 0.0) for p in parts)
    if not one:
        return Node(f"stage {rank}", value, "B", note="nothing is kept")
    batch = Node("micro-batch", one, "B", formula=_sum(tuple(parts)), inputs=tuple(parts),
                 note="kept from the forward to the backward pass")
    held = Node("in flight", value / one,
                note=f"micro-batches whose backward pass is due, of all chunks together "
                     f"({case.plan.schedule.pipeline})")
    return Node(f"stage {rank}", value, "B", formula="{in flight} x {micro-batch}",
                inputs=(held, batch))


def _cache(case: Case, rank: int, value: float) -> Node:
    parts = tuple(
        _times(plan.name, plan.kv_per_token, count, _parts_of_cache(case, plan, index))
        for plan, index, count in _blocks(case, rank) if plan.kv_per_token
    )
    each = sum(float(p.value or 0.0) for p in parts)
    if not each:
        return Node(f"stage {rank}", value, "B", note="there is no cache")
    token = Node("token", each, "B", formula=_sum(parts), inputs=parts,
                 note="of one cached token")
    held = Node("cached", value / each, "tok", note="tokens that the cache is made for, in whole "
                f"blocks of {case.plan.schedule.kv_block}")
    return Node(f"stage {rank}", value, "B", formula="{cached} x {token}", inputs=(held, token))


def _parts_of_cache(case: Case, plan: BlockPlan, index: int) -> tuple[Node, ...]:
    """Return the parts of a block's cache, where all of them are on the device."""
    if index >= len(case.applied.blocks):
        return ()
    facts = case.applied.blocks[index]
    layer = facts.layers[0] if facts.layers else None
    places = [Place(index, layer, name) for name in facts.block.caches]
    sizes_ = [
        (1 - facts.away("kv_cache", p.name).share)
        * float(sizes.bytes_node(case, p, "kv_cache").value or 0.0) for p in places
    ]
    if abs(sum(sizes_) - plan.kv_per_token) > 1e-6 * plan.kv_per_token:
        return ()
    return tuple(
        Node(p.name, size, "B", note=f"`kv_cache.bytes@{p.full}`")
        for p, size in zip(places, sizes_, strict=True)
    )


def _reserve(case: Case, fit: Fit, value: float) -> Node:
    runtime = case.scenario.runtime
    own = Node("runtime", runtime.reserve_bytes, "B", note=f"what {runtime.id} keeps for itself")
    lost = Node("lost", value - runtime.reserve_bytes, "B", note=(
        f"{runtime.fragmentation:.0%} of activations, working set and buffers, which the "
        "allocator cannot use"))
    return Node(f"stage {fit.rank}", value, "B", formula="{runtime} + {lost}", inputs=(own, lost))


def _transient(case: Case, rank: int, category: str, value: float) -> Node:
    shape = case.plan.step_shape
    if category == "transient":
        rows = [(p.name, transient_of(p, shape)) for p, _, _ in _blocks(case, rank)]
        note = "the largest set of operands and results (and their gradients) at once"
    else:
        chunks = case.plan.ranks[rank].chunks
        rows = [(f"chunk {c.order}", chunk_bytes(case.plan, c, shape).gathered) for c in chunks]
        note = "weights gathered for use, of the block at work and the next ones"
    parts = tuple(Node(name, size, "B") for name, size in rows if size)
    return Node(f"stage {rank}", value, "B", note=note, inputs=parts)
