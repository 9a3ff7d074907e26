"""Ops and tensors of one transformer layer: attention, MLP, experts, norms and residuals."""

from __future__ import annotations

import attrs

from llamasim.catalog.specs import Model
from llamasim.model.graph import Activation, Block, BlockKind, Cache, Dim, Op, OpKind, Weight


@attrs.define
class BlockBuilder:
    """Collects a block's parts while it is being described; `freeze` ends it."""

    model: Model
    weights: dict[str, Weight] = attrs.field(factory=dict)
    activations: dict[str, Activation] = attrs.field(factory=dict)
    caches: dict[str, Cache] = attrs.field(factory=dict)
    ops: list[Op] = attrs.field(factory=list)

    def add(
        self,
        name: str,
        kind: OpKind,
        inputs: tuple[str, ...],
        features: tuple[Dim, ...],
        *,
        weight: Weight | None = None,
        saves: tuple[str, ...] = (),
        phases: tuple[str, ...] = (),
        bits: int | None = None,
        per_context: bool = False,
    ) -> str:
        """Add an op and the activation that it makes; return the activation's name."""
        if weight:
            self.weights[weight.name] = weight
        self.activations[name] = Activation(name, features, bits, per_context)
        self.ops.append(
            Op(name, kind, inputs, name, weight.name if weight else None, saves, phases)
        )
        return name

    def linear(self, name: str, source: str, dims: tuple[Dim, Dim], features: tuple[Dim, ...],
               *, bias: bool = False) -> str:
        """Add a linear layer; its bias is a weight of its own, added inside the same kernel."""
        self.add(name, "matmul", (source,), features, weight=Weight(name, dims), saves=(source,))
        if bias:
            out = dims[1]
            self.weights[f"{name}.bias"] = Weight(
                f"{name}.bias", (Dim("dim_out", out.size, out.granule),)
            )
        return name

    def norm(self, name: str, source: str) -> str:
        """Add a norm over the hidden dim (two parameters an element for LayerNorm)."""
        m = self.model
        weight = Weight(name, (Dim("dim_out", m.hidden),))
        if m.norm == "layernorm":
            self.weights[f"{name}.bias"] = Weight(f"{name}.bias", (Dim("dim_out", m.hidden),))
        return self.add(name, "norm", (source,), (hidden(m),), weight=weight, saves=(source,))

    def dropout(self, name: str, source: str, *, per_context: bool = False) -> str:
        """Add dropout with its one-byte mask, kept for the backward pass."""
        origin = self.activations[source]
        mask = f"{name}_mask"
        self.activations[mask] = Activation(mask, origin.features, 8, per_context)
        return self.add(name, "dropout", (source,), origin.features, saves=(mask,),
                        phases=("forward", "backward"), per_context=per_context)

    def freeze(self, kind: BlockKind, layers: tuple[int, ...], output: str) -> Block:
        """Return the block; its input is the activation `entry`."""
        self.activations.setdefault("entry", Activation("entry", (hidden(self.model),)))
        return Block(
            kind=kind,
            layers=layers,
            weights=self.weights,
            activations=self.activations,
            caches=self.caches,
            ops=tuple(self.ops),
            input="entry",
            output=output,
        )


def hidden(m: Model) -> Dim:
    """Return the residual stream's dim."""
    return Dim("hidden", m.hidden)


def layer(m: Model, kind: BlockKind, layers: tuple[int, ...]) -> Block:
    """Return one transformer layer: pre-norm attention and MLP around a residual stream."""
    b = BlockBuilder(m)
    x = attention(b, b.norm("norm1", "entry"))
    if m.dropout:
        x = b.dropout("dropout1", x)
    if m.post_norms:
        x = b.norm("post_norm1", x)
    residual = b.add("residual1", "residual", (x, "entry"), (hidden(m),))
    source = b.norm("norm2", residual)
    x = experts(b, source) if kind == "moe" else mlp(b, "mlp", source, m.ffn)
    if m.dropout:
        x = b.dropout("dropout2", x)
    if m.post_norms:
        x = b.norm("post_norm2", x)
    return b.freeze(kind, layers, b.add("residual2", "residual", (x, residual), (hidden(m),)))


def attention(b: BlockBuilder, source: str) -> str:
    """Add q, k, v, rotary positions, the attention core and the output projection."""
    m = b.model
    q, k, v = _latent(b, source) if m.kv_lora_rank else _projections(b, source)
    heads = Dim("heads", m.heads)
    scores = b.add("attn.scores", "scores", (q, k), (heads,), saves=(q, k), per_context=True)
    probs = b.add("attn.softmax", "softmax", (scores,), (heads,), saves=("attn.softmax",),
                  per_context=True)
    if m.dropout:
        probs = b.dropout("attn.dropout", probs, per_context=True)
    value_dim = m.value_head_dim or m.head_dim
    width = (Dim("heads", m.heads * value_dim, value_dim),)
    context = b.add("attn.context", "context", (probs, v), width, saves=(probs, v))
    dims = (Dim("dim_in", m.heads * value_dim, value_dim), Dim("dim_out", m.hidden))
    return b.linear("attn.out", context, dims, (hidden(m),), bias=m.bias)


def _projections(b: BlockBuilder, source: str) -> tuple[str, str, str]:
    m = b.model
    names = []
    for part, heads in (("q", m.heads), ("k", m.kv_heads), ("v", m.kv_heads)):
        size = heads * m.head_dim
        dims = (Dim("dim_in", m.hidden), Dim("dim_out", size, m.head_dim))
        features = (Dim("heads", size, m.head_dim),)
        names.append(b.linear(f"attn.{part}", source, dims, features, bias=m.bias or m.qkv_bias))
        if part != "q":
            b.caches[f"attn.{part}"] = Cache(f"attn.{part}", features)
    q, k, v = names
    if m.positions == "rotary":
        q = b.add("attn.rope_q", "rope", (q,), b.activations[q].features)
        k = b.add("attn.rope_k", "rope", (k,), b.activations[k].features)
    b.add("attn.cache", "cache", (k, v), b.activations[k].features, phases=("prefill", "decode"))
    return q, k, v


def _latent(b: BlockBuilder, source: str) -> tuple[str, str, str]:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1).

    The cache holds the compressed keys and values and one rotary key for all heads.
    """
    m = b.model
    rank, rope = m.kv_lora_rank, m.rope_head_dim
    inner = source
    if m.q_lora_rank:
        low = (Dim("rank", m.q_lora_rank),)
        inner = b.linear("attn.q_a", source, (Dim("dim_in", m.hidden), Dim("dim_out", low[0].size)),
                         low)
        weight = Weight("attn.q_norm", (Dim("dim_out", m.q_lora_rank),))
        inner = b.add("attn.q_norm", "norm", (inner,), low, weight=weight, saves=(inner,))
    width = m.heads * m.head_dim
    heads = (Dim("heads", width, m.head_dim),)
    source_dim = b.activations[inner].features[0].size
    q = b.linear("attn.q", inner, (Dim("dim_in", source_dim), Dim("dim_out", width, m.head_dim)),
                 heads)
    low_kv = (Dim("rank", rank + rope),)
    latent = b.linear("attn.kv_a", source,
                      (Dim("dim_in", m.hidden), Dim("dim_out", rank + rope)), low_kv)
    b.caches["attn.kv_a"] = Cache("attn.kv_a", low_kv)
    weight = Weight("attn.kv_norm", (Dim("dim_out", rank),))
    normed = b.add("attn.kv_norm", "norm", (latent,), (Dim("rank", rank),), weight=weight,
                   saves=(latent,))
    return (q, *_expanded(b, normed, rank))


def _expanded(b: BlockBuilder, normed: str, rank: int) -> tuple[str, str]:
    m = b.model
    names = []
    for part, dim in (("k", m.head_dim - m.rope_head_dim), ("v", m.value_head_dim)):
        size = m.heads * dim
        names.append(
            b.linear(f"attn.{part}", normed, (Dim("dim_in", rank), Dim("dim_out", size, dim)),
                     (Dim("heads", size, dim),))
        )
    b.add("attn.cache", "cache", (normed,), b.activations[normed].features,
          phases=("prefill", "decode"))
    return names[0], names[1]


def mlp(b: BlockBuilder, prefix: str, source: str, width: int) -> str:
    """Add a dense MLP: gate and up, or up alone, then the activation, then down."""
    m = b.model
    inner = (Dim("ffn", width),)
    dims = (Dim("dim_in", m.hidden), Dim("dim_out", width))
    up = b.linear(f"{prefix}.up", source, dims, inner, bias=m.bias)
    operands: tuple[str, ...] = (up,)
    if m.gated:
        operands = (b.linear(f"{prefix}.gate", source, dims, inner, bias=m.bias), up)
    act = b.add(f"{prefix}.act", "activation", operands, inner, saves=operands)
    out = (Dim("dim_in", width), Dim("dim_out", m.hidden))
    return b.linear(f"{prefix}.down", act, out, (hidden(m),), bias=m.bias)


def experts(b: BlockBuilder, source: str) -> str:
    """Add a router and routed experts, each token through `experts_per_token` of them.

    The load is taken as even: each expert gets its share of the rows.
    """
    m = b.model
    share = m.experts_per_token / m.experts
    count = Dim("experts", m.experts)
    router = Weight("mlp.router", (Dim("dim_in", m.hidden), Dim("dim_out", m.experts)))
    b.add("mlp.router", "router", (source,), (count,), weight=router, saves=(source,), bits=32)
    if m.router_bias:
        b.weights["mlp.router.bias"] = Weight("mlp.router.bias", (Dim("dim_out", m.experts),))
    width = m.expert_ffn
    inner = (Dim("routes", m.experts_per_token), Dim("ffn", width))
    wide = (count, Dim("dim_in", m.hidden), Dim("dim_out", width))
    names = []
    for part in ("gate", "up") if m.gated else ("up",):
        name = f"mlp.{part}"
        names.append(b.add(name, "matmul", (source,), inner, weight=Weight(name, wide, share),
                           saves=(source,)))
    act = b.add("mlp.act", "activation", tuple(names), inner, saves=tuple(names))
    narrow = (count, Dim("dim_in", width), Dim("dim_out", m.hidden))
    out = b.add("mlp.down", "matmul", (act,), (hidden(m),),
                weight=Weight("mlp.down", narrow, share), saves=(act,))
    if not m.shared_experts:
        return out
    shared = mlp(b, "mlp.shared", source, width * m.shared_experts)
    return b.add("mlp.merge", "residual", (out, shared), (hidden(m),))
