"""Kernels as work templates: shapes, traffic, arithmetic and caps on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import attrs

from llamasim.plan.local import Local
from llamasim.plan.spec import KvSpan, OpWork, Part
from llamasim.plan.steps import Step, step_pieces
from llamasim.units.many import larger

_ATTENTION = ("scores", "context", "fused_attention")
#: Ops whose gradient needs none of their operands.
_LINEAR = ("residual", "dropout")
#: Rough arithmetic per element of pointwise kernels; they are bound by memory everywhere.
_POINTWISE_FLOPS = {"matmul": 0.0, "softmax": 5.0, "norm": 4.0, "rope": 3.0, "activation": 5.0,
                    "loss": 6.0}


def op_work(
    local: Local,
    index: int,
    step: Step,
    phase: str,
    part: Part,
    *,
    rows_by_sequence: bool = False,
) -> OpWork:
    """Return the work of one kernel in one phase, forward or as a part of the backward pass."""
    if step.kind in ("matmul", "router") and step.op.weight:
        work = _matmul(local, index, step, part)
    elif step.kind in _ATTENTION:
        work = _attention(local, index, step, part, phase)
    else:
        work = _pointwise(local, index, step, part)
    if rows_by_sequence:
        work = attrs.evolve(work, basis="sequences")
    return _with_cells(local, step, work, phase)


def _matmul(local: Local, index: int, step: Step, part: Part) -> OpWork:
    op = step.op
    weight = op.weight or ""
    facts = local.facts
    k = local.weight_dim(weight, "dim_in")
    n = local.weight_dim(weight, "dim_out", "vocab")
    copies = _global_dim(local, weight, "copies")
    batch = local.weight_dim(weight, "experts") * copies
    routed = facts.block.weights[weight].routed
    routes = routed * _global_dim(local, weight, "experts") * copies
    rows = local.rows_used(index, op.inputs[0]) * routes
    x = 0.0 if op.inputs[0] in step.quiet else rows * k * local.bits(
        "activation", op.inputs[0]) / 8
    y = 0.0 if op.output in step.quiet else rows * n * local.bits("activation", op.output) / 8
    stored = local.whole_elements(weight) * local.bits("weight", weight) / 8
    if part == "weight_grad":
        grad = local.whole_elements(weight) * local.bits("grad", weight) / 8
        read, write, fixed_in, fixed_out = x + y, 0.0, grad, grad
    elif part == "data_grad":
        read, write, fixed_in, fixed_out = y, x, stored, 0.0
        n, k = k, n
    else:
        read, write, fixed_in, fixed_out = x, y, stored, 0.0
    return OpWork(
        step.name, "matmul", part, rows_share=rows, n=n, k=k, batch=batch, routed=routed,
        read_per_token=read, write_per_token=write, read_fixed=fixed_in, write_fixed=fixed_out,
        format=facts.symbol("weight", weight, "numerics.format", None),
        variants=int(facts.number("weight", weight, "layout.variants", 1)),
    )


def _global_dim(local: Local, weight: str, name: str) -> int:
    return next((d.size for d in local.facts.block.weights[weight].dims if d.name == name), 1)


def _attention(local: Local, index: int, step: Step, part: Part, phase: str) -> OpWork:
    cached = phase in ("prefill", "decode")
    block = local.facts.block
    head_dim = block.activations[step.inputs[0]].features[0].granule
    if step.kind == "context":
        head_dim = block.activations[step.outputs[0]].features[0].granule
    heads = _heads(local, index, step)
    moved_in = sum(_moved(local, index, n) for n in step.inputs
                   if not _per_context(local, n) and n not in step.quiet)
    moved_out = sum(local.bytes_per_token(n) for n in step.outputs
                    if not _per_context(local, n) and n not in step.quiet)
    pair_in = sum(_pair_bytes(local, n) for n in step.inputs if _per_context(local, n))
    pair_out = sum(_pair_bytes(local, n) for n in step.outputs if _per_context(local, n))
    backward = part == "data_grad"
    if backward:
        # Reads inputs, outputs and the outputs' gradients; writes the inputs' gradients.
        moved_in, moved_out = moved_in + 2 * moved_out, moved_in
        pair_in, pair_out = pair_in + pair_out, pair_in
        if step.kind == "context":
            # One of its two products reads the probabilities, the other writes their gradient.
            pair_in, pair_out = pair_in / 2, pair_out / 2
    caches = attended_caches(local, step) if cached else []
    kv = sum(local.cache_bytes(c) for c in caches)
    return OpWork(
        step.name, step.kind, part, rows_share=local.rows_used(index, step.inputs[0]),
        heads=heads, kv_heads=_kv_heads(local, step, heads), head_dim=head_dim,
        causal_skip=step.kind == "fused_attention", window=attended(local, phase),
        read_per_token=moved_in, write_per_token=moved_out,
        read_per_pair=pair_in, write_per_pair=pair_out, read_per_kv_token=kv,
        kv_spans=read_spans(local, caches),
        # Two products in the backward pass of each plain one; the fused kernel's are its own.
        runs=2.0 if backward and step.kind != "fused_attention" else 1.0,
        flops_scale=local.rows_used(index, step.inputs[0]),  # queries that this device handles
        format=_cache_format(local, step) if cached else None,
    )


def block_window(local: Local) -> int | None:
    """Return the most cached tokens that a block keeps of a sequence while it decodes, if bounded.
    """
    return _least(local, ("kv.tokens",), "decode")


def attended(local: Local, phase: str) -> int | None:
    """Return the most cached tokens that a query of a block reads in a phase, if bounded."""
    return _least(local, ("kv.tokens", "kv.attended"), phase)


def _least(local: Local, cells: tuple[str, ...], phase: str) -> int | None:
    caps = [
        merged.cap for (element, _, during, cell), merged in local.facts.cells.items()
        if element == "kv_cache" and cell in cells and during == phase and merged.cap is not None
    ]
    return int(min(caps)) if caps else None


def _heads(local: Local, index: int, step: Step) -> int:
    name = step.inputs[0]
    dim = local.facts.block.activations[name].features[0]
    return larger(round(local.features_used(index, name) / dim.granule), 1)


def _kv_heads(local: Local, step: Step, heads: int) -> int:
    for name in step.inputs[1:]:
        dims = local.facts.block.activations[name].features
        if dims and dims[0].name == "heads" and not _per_context(local, name):
            return larger(round(local.features(name) / dims[0].granule), 1)
    return heads


def attended_caches(local: Local, step: Step) -> list[str]:
    """Return the parts of the cache that a kernel reads: keys for scores, values for context."""
    names = list(local.facts.block.caches)
    if step.kind == "fused_attention" or len(names) == 1:
        return names if step.kind != "context" or len(names) > 1 else []
    return names[:1] if step.kind == "scores" else names[1:]


def read_spans(local: Local, caches: Iterable[str]) -> tuple[KvSpan, ...]:
    """Return the ranges of cached tokens that a kernel reads at another width than the rest."""
    return tuple(
        KvSpan(low, high, local.cache_bytes(name, ranged) - local.cache_bytes(name))
        for name in caches for low, high, ranged in local.facts.token_spans(name)
    )


def _cache_format(local: Local, step: Step) -> str | None:
    for name in attended_caches(local, step):
        found = local.facts.symbol("kv_cache", name, "numerics.format", None)
        if found:
            return found
    return None


def _per_context(local: Local, name: str) -> bool:
    return local.facts.block.activations[name].per_context


def _pair_bytes(local: Local, name: str) -> float:
    return local.features(name) * local.rows(name) * local.bits("activation", name) / 8


def _moved(local: Local, index: int, name: str) -> float:
    size = local.features_used(index, name) * local.rows_used(index, name)
    return size * local.bits("activation", name) / 8


def _pointwise(local: Local, index: int, step: Step, part: Part) -> OpWork:
    block = local.facts.block
    flat_in = [n for n in step.inputs if not _per_context(local, n)]
    flat_out = [n for n in step.outputs if not _per_context(local, n)]
    read = sum(_moved(local, index, n) for n in flat_in if n not in step.quiet)
    write = sum(local.bytes_per_token(n) for n in flat_out if n not in step.quiet)
    pair_in = sum(_pair_bytes(local, n) for n in step.inputs if _per_context(local, n))
    pair_out = sum(_pair_bytes(local, n) for n in step.outputs if _per_context(local, n))
    masks = [s for s in step.saves if s.endswith("_mask") and s in block.activations]
    for mask in masks:
        if _per_context(local, mask):
            pair_out += _pair_bytes(local, mask)
        else:
            write += local.bytes_per_token(mask)
    elements = sum(local.features_used(index, n) * local.rows_used(index, n) for n in flat_in)
    if step.kind == "embedding":
        read = write
    if part in ("data_grad", "weight_grad"):
        if step.kind in _LINEAR:
            # The gradient passes through a sum as it is (two that meet are added); a mask is read.
            read, write = (2 * write, write) if step.kind == "residual" else (write, read)
            pair_in, pair_out = pair_out, pair_in
        else:
            read, write = read + write, read
            pair_in, pair_out = pair_in + pair_out, pair_in
    return OpWork(
        step.name, step.kind, part, rows_share=local.rows_used(index, step.inputs[0]),
        heads=_heads(local, index, step) if pair_in else 0,
        flops_per_token=elements * _POINTWISE_FLOPS.get(step.kind, 1.0),
        read_per_token=read, write_per_token=write,
        read_per_pair=pair_in, write_per_pair=pair_out,
    )


def _with_cells(local: Local, step: Step, work: OpWork, phase: str) -> OpWork:
    """Apply what techniques wrote to the kernel's cells (to any of its fused ops)."""
    facts = local.facts
    adds = work.part != "weight_grad"  # what is added to a backward op is added once
    launch_scale = mean_over(step, lambda n: facts.merged("op", n, "cost.launch", phase).scale)
    fixed = per_token = extra_read = extra_write = launch_add = 0.0
    cap = memory_cap = 1.0
    for op in step.ops:
        flops = facts.merged("op", op.name, "cost.flops", phase)
        launch_add += facts.merged("op", op.name, "cost.launch", phase).add
        if adds:
            fixed, per_token = fixed + flops.add, per_token + flops.add_per_token
            extra_read += facts.merged("op", op.name, "cost.read", phase).add / 8
            extra_write += facts.merged("op", op.name, "cost.write", phase).add / 8
        cap = min(cap, facts.number("op", op.name, "cost.efficiency", 1.0, phase))
        memory_cap = min(memory_cap, facts.number("op", op.name, "cost.hbm_efficiency", 1.0, phase))
    rows = mean_over(step, lambda n: facts.number("op", n, "op.rows", 1.0, phase))
    math = facts.symbol("op", step.ops[-1].name, "numerics.math", local.dtype, phase)
    work = _fewer_rows(work, rows)
    place = _place(local, step, phase)
    # One host does the work of all its devices that are at this layer.
    sharing = local.on_one_host if place == "host" else 1

    def scaled(cell: str) -> float:
        return sharing * mean_over(step, lambda n: facts.merged("op", n, cell, phase).scale)

    scale, reads, writes = (scaled(c) for c in ("cost.flops", "cost.read", "cost.write"))
    return attrs.evolve(
        work,
        flops_scale=work.flops_scale * scale, flops_fixed=work.flops_fixed + fixed,
        flops_per_token=work.flops_per_token + per_token,
        read_scale=reads, write_scale=writes,
        read_fixed=work.read_fixed + extra_read, write_fixed=work.write_fixed + extra_write,
        launch_scale=launch_scale, launch_add_s=launch_add,
        max_efficiency=cap, max_memory_efficiency=memory_cap,
        runs=work.runs * step_runs(local, step, phase),
        math=str(math), place=place, pieces=step_pieces(step, facts),
        kernels=work.kernels * step.kernels,
    )


def mean_over(step: Step, factor: Callable[[str], float]) -> float:
    """Return a kernel's factor: the mean of its ops', of the products alone where it has any."""
    products = [op for op in step.ops if op.kind in _ATTENTION]
    factors = [factor(op.name) for op in products or step.ops]
    return factors[0] if len(set(factors)) == 1 else sum(factors) / len(factors)


def _fewer_rows(work: OpWork, share: float) -> OpWork:
    """Return a kernel that handles a share of the step's rows; its weights are read all the same.
    """
    if share == 1.0:
        return work
    return attrs.evolve(
        work,
        rows_share=work.rows_share * share,
        flops_scale=work.flops_scale * (share if work.kind in _ATTENTION else 1.0),
        flops_per_token=work.flops_per_token * share,
        read_per_token=work.read_per_token * share, write_per_token=work.write_per_token * share,
        read_per_pair=work.read_per_pair * share, write_per_pair=work.write_per_pair * share,
    )


def step_runs(local: Local, step: Step, phase: str) -> float:
    """Return how often a kernel runs in a step."""
    return mean_over(step, lambda n: local.facts.number("op", n, "op.runs", 1.0, phase))


def _place(local: Local, step: Step, phase: str) -> Literal["device", "host"]:
    return "host" if local.facts.on_host(step.op.name, phase) else "device"
