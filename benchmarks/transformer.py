"""A dense transformer's inference step as a hand-built list of works, for checking `cost` alone."""

from __future__ import annotations

from llamasim.catalog.specs import Model
from llamasim.plan.spec import CommWork, Group, OpWork, Work


def inference_step(
    model: Model,
    bits: float,
    fmt: str | None,
    *,
    fused: bool = False,
    math: str = "fp16",
    kv_bits: float = 16,
    ways: int = 1,
) -> tuple[tuple[Work, ...], tuple[Work, ...]]:
    """Return the works of one layer and of the head, weights stored in `bits` bits.

    Args:
        model: a dense model.
        bits, fmt: of the weights; the cache and activations have 16 bits.
        fused: whether attention is one kernel.
        math: arithmetic of the matrix products.
        kv_bits: of the cache.
        ways: devices of a node that split heads and the MLP, with an all-reduce after each.

    """
    h, f, d = model.hidden, model.ffn // ways, model.head_dim
    heads_here, kv_here = model.heads // ways, max(1, model.kv_heads // ways)
    q, kv = heads_here * d, kv_here * d
    cache = kv * kv_bits / 8
    group = Group("tp", ways, ways)

    def total(name: str) -> list[Work]:
        return [CommWork(name, "all_reduce", group, bytes_per_token=2.0 * h)] if ways > 1 else []

    def matmul(name: str, n: int, k: int, basis: str = "tokens") -> OpWork:
        return OpWork(
            name, "matmul", n=n, k=k, read_per_token=2.0 * k, write_per_token=2.0 * n,
            read_fixed=n * k * bits / 8, math=math, format=fmt,
            basis="sequences" if basis == "sequences" else "tokens",
        )

    def plain(name: str, kind: str, read: int, write: int) -> OpWork:
        return OpWork(
            name, kind, read_per_token=2.0 * read, write_per_token=2.0 * write,
            flops_per_token=4.0 * read,
        )

    heads = {"heads": heads_here, "kv_heads": kv_here, "head_dim": d}
    if fused:
        attention: list[Work] = [OpWork(
            "attn", "fused_attention", read_per_token=2.0 * q, write_per_token=2.0 * q,
            read_per_kv_token=2 * cache, causal_skip=True, math=math, **heads,
        )]
    else:
        attention = [
            OpWork("scores", "scores", read_per_token=2.0 * q, write_per_pair=4.0 * heads_here,
                   read_per_kv_token=cache, math=math, **heads),
            OpWork("softmax", "softmax", read_per_pair=4.0 * heads_here,
                   write_per_pair=2.0 * heads_here),
            OpWork("context", "context", write_per_token=2.0 * q, read_per_pair=2.0 * heads_here,
                   read_per_kv_token=cache, math=math, **heads),
        ]
    mlp = [matmul("gate", f, h)] if model.gated else []
    layer: list[Work] = [
        plain("attn.norm", "norm", h, h), matmul("q", q, h), matmul("k", kv, h),
        matmul("v", kv, h), plain("rope", "rope", q + kv, q + kv),
        plain("append", "cache", 2 * kv, 2 * kv), *attention, matmul("o", h, q), *total("o"),
        plain("attn.add", "residual", 2 * h, h), plain("mlp.norm", "norm", h, h), *mlp,
        matmul("up", f, h), plain("act", "activation", 2 * f, f), matmul("down", h, f),
        *total("down"), plain("mlp.add", "residual", 2 * h, h),
    ]
    head = [plain("final", "norm", h, h), matmul("head", model.vocab // ways, h, "sequences")]
    return tuple(layer), tuple(head)
