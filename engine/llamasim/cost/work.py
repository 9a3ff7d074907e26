"""How much an op computes and moves in a step of some shape (semantics of `OpWork`)."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from llamasim.plan.spec import CommWork, KvSpan, OpWork, StepShape

ATTENTION = ("fused_attention", "scores", "context")
#: The fused backward pass does five products where the forward pass does two (Dao,
#: arXiv:2205.14135, algorithm 4: S again, dV, dP, dQ, dK).
FUSED_BACKWARD = 2.5


@attrs.frozen
class Amount:
    """Operations and bytes of one op in one step.

    Attributes:
        rows: of the op's basis (tokens, sequences, or one).
        product_flops: in matrix units; `plain_flops` outside them.
        weight_share: share of `read_fixed` that is touched (experts that some token chose).

    """

    rows: float
    product_flops: float
    plain_flops: float
    read: float
    write: float


def amount(op: OpWork, shape: StepShape) -> Amount:
    """Return the work of an op in a step."""
    count = basis(op.basis, shape)
    rows = op.rows_share * count
    product, plain = _flops(op, shape, rows)
    given = op.flops_fixed + op.flops_per_token * count
    if op.kind == "matmul" and not op.n:
        product += given  # products without a weight of their own, as large as they say
    else:
        plain += given
    scale = op.runs
    touched = _touched(op.routed, count)
    if op.variants > 1:
        touched *= min(shape.variants, op.variants)
    kv = kv_tokens(op, shape)
    pairs = shape.full_pairs
    read = (
        op.read_per_token * count + op.read_per_pair * pairs
        + cache_bytes(op.read_per_kv_token, op.kv_spans, shape, kv)
        + op.read_fixed * touched * op.pieces
    )
    write = op.write_per_token * count + op.write_per_pair * pairs + op.write_fixed * touched
    return Amount(
        rows, scale * op.flops_scale * product, scale * plain,
        scale * op.read_scale * read, scale * op.write_scale * write,
    )


def message_bytes(comm: CommWork, shape: StepShape) -> float:
    """Return the bytes of one message of a collective, or of one copy, in a step."""
    count = basis(comm.basis, shape)
    size = comm.bytes_per_token * count + comm.bytes_fixed * _touched(comm.routed, count)
    if comm.bytes_per_kv_token or comm.kv_spans:
        size += cache_bytes(comm.bytes_per_kv_token, comm.kv_spans, shape, shape.kv_tokens)
    return size


def _touched(routed: float, tokens: float) -> float:
    # Each of T tokens leaves an expert's weights untouched with probability 1 - routed.
    return 1.0 if routed >= 1.0 else 1.0 - (1.0 - routed) ** max(0.0, tokens)


def basis(kind: str, shape: StepShape) -> float:
    """Return the rows of a basis in a step."""
    if kind == "tokens":
        return shape.tokens
    return shape.sequences if kind == "sequences" else 1.0


def _flops(op: OpWork, shape: StepShape, rows: float) -> tuple[float, float]:
    if op.n and op.k:
        return 2.0 * rows * op.n * op.k, 0.0
    if op.kind not in ATTENTION:
        return 0.0, 0.0
    pairs = visible_pairs(op.window, shape) if op.causal_skip else shape.full_pairs
    one = 2.0 * op.heads * op.head_dim * pairs
    if op.kind != "fused_attention":
        return one, 0.0
    return 2.0 * one * (FUSED_BACKWARD if op.part == "data_grad" else 1.0), 0.0


def visible_pairs(window: int | None, shape: StepShape) -> float:
    """Return causal query-key pairs, each query seeing at most `window` tokens.

    Exact for equal sequences; a mixed batch is taken as equal ones of its mean lengths.
    """
    if window is None or shape.sequences <= 0:
        return shape.pairs
    total = shape.kv_tokens / shape.sequences
    if total <= window:
        return shape.pairs
    new = shape.tokens / shape.sequences
    start = max(0.0, total - new)
    if start >= window:
        return min(shape.pairs, shape.tokens * window)
    below = (window * window - start * start) / 2
    return min(shape.pairs, shape.sequences * (below + (total - window) * window))


def cache_bytes(
    per_token: float, spans: Sequence[KvSpan], shape: StepShape, tokens: float
) -> float:
    """Return the bytes of cached tokens, some ranges of a sequence wider or narrower than others.

    Exact for equal sequences; a mixed batch is taken as equal ones of its mean length.
    """
    size = per_token * tokens
    if spans and shape.sequences > 0:
        length = tokens / shape.sequences
        size += shape.sequences * sum(s.device * s.tokens(length) for s in spans)
    return max(0.0, size)


def kv_tokens(op: OpWork, shape: StepShape) -> float:
    """Return the cached tokens that an op reads."""
    if op.window is None or shape.sequences <= 0:
        return shape.kv_tokens
    new = shape.tokens / shape.sequences
    # The first of several new queries sees `window` tokens back from itself.
    return min(shape.kv_tokens, shape.sequences * (op.window + max(0.0, new - 1)))
