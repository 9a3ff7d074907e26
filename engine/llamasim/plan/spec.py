"""What a run consists of, after all techniques: per-device work, collectives, memory, schedule.

Everything here is local to one device (after sharding). Work is a template: its size follows from a
`StepShape`, so the same plan costs any batch of a serving run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from llamasim.techniques.mesh import Axis, Group
from llamasim.techniques.records import ClaimFact, LedgerRow

__all__ = [
    "Axis", "BlockPlan", "Chunk", "ClaimFact", "CommWork", "Group", "LedgerRow", "OpWork", "Plan",
    "RankClass", "Schedule", "StepShape", "Work",
]

Part = Literal["forward", "data_grad", "weight_grad", "recompute", "optimizer"]
Stream = Literal["compute", "comm", "p2p", "copy"]
Phase = Literal["forward", "backward", "optimizer", "prefill", "decode"]
CommKind = Literal[
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send", "rotate", "copy"
]


@attrs.frozen
class StepShape:
    """What a device's step processes (one micro-batch, one prefill, one decode iteration).

    Attributes:
        tokens: rows that enter the layers.
        sequences: sequences they belong to (rows of the logits in inference).
        pairs: query-key pairs with the causal mask applied.
        full_pairs: query-key pairs without it (materialised attention computes all).
        kv_tokens: cached tokens that are read, summed over sequences.
        variants: alternatives of weights that the sequences use among them.

    """

    tokens: float
    sequences: float
    pairs: float
    full_pairs: float
    kv_tokens: float
    variants: float = 1.0

    @staticmethod
    def of(sequences: float, new_tokens: float, context: float = 0.0) -> StepShape:
        """Return the shape of equal sequences that each add `new_tokens` to `context`."""
        full = new_tokens * (context + new_tokens)
        pairs = new_tokens * context + new_tokens * (new_tokens + 1) / 2
        total = context + new_tokens
        return StepShape(
            sequences * new_tokens, sequences, sequences * pairs, sequences * full,
            sequences * total,
        )

    def __add__(self, other: StepShape) -> StepShape:
        """Return the shape of a mixed batch."""
        return StepShape(
            self.tokens + other.tokens,
            self.sequences + other.sequences,
            self.pairs + other.pairs,
            self.full_pairs + other.full_pairs,
            self.kv_tokens + other.kv_tokens,
            max(self.variants, other.variants),
        )


@attrs.frozen(order=True)
class KvSpan:
    """A range of a sequence's cached tokens that takes other room than the rest.

    Attributes:
        low, high: positions from the start, or from the newest token back where negative.
        device, host, disk: bytes a token more (or less) than elsewhere, where they lie.

    """

    low: float
    high: float
    device: float = 0.0
    host: float = 0.0
    disk: float = 0.0

    def tokens(self, length: float) -> float:
        """Return how many of a sequence's `length` cached tokens are in the range."""
        low, high = (self.low, self.high) if self.low >= 0 else (-self.high, -self.low)
        return max(0.0, min(length, high) - low)


@attrs.frozen
class OpWork:
    """One op on one device, as a template over `StepShape`.

    The work is `runs * (flops_scale * (flops of the kind) + flops_fixed + flops_per_token *
    tokens)`:
    a `matmul` multiplies [rows x k] by [k x n] `batch` times (rows split evenly over the batch);
    `scores` and `context` do `2 * heads * head_dim` FLOP a pair; `fused_attention` both (and, in
    `data_grad`, five products instead of two: 2.5 times the forward work).

    Attributes:
        name: op's name in its block (`attn.q`); block and layer are known from where it stands.
        kind: an `OpKind`, or `fused_attention` / `fused` for fused groups, or `optimizer`.
        basis: rows are counted by `tokens`, by `sequences` (logits in inference), or are fixed.
        rows_share: rows on this device per row of the step (row sharding, `op.rows`).
        n, k, batch: matmul shape; 0 for other kinds.
        heads, kv_heads, head_dim: local attention shape; 0 elsewhere.
        causal_skip: whether the kernel skips masked pairs (else it computes `full_pairs`).
        window: most cached tokens a query sees, or None.
        read_per_token, write_per_token: activation traffic in bytes per token of the step.
        read_per_pair, write_per_pair: traffic of materialised scores, bytes per full pair.
        read_per_kv_token: cache traffic in bytes per cached token; `kv_spans` what it differs by
            in some ranges of a sequence.
        read_fixed, write_fixed: weights read, gradients written, in bytes.
        beside_per_token: bytes that kernels of their own move beside a product, per token of the
            step: casts of its operands, the sum that is a bias's gradient.
        math: arithmetic (`bf16`); `format`: storage format of its weight or cache, if named.
        max_efficiency, max_memory_efficiency: caps written by techniques.
        launch_scale, launch_add_s: on the runtime's launch time of this op.
        routed: share of its weight that one token uses (experts); of `read_fixed`, a step of T
            tokens reads 1 - (1 - routed)^T.
        variants: alternatives of its weight that the device holds; a step reads as many of them as
            its sequences use.
        kernels: kernels this op launches (before the runtime's `kernels_per_op`).
        pieces: parts, one after another, that its rows are cut into.
        place: where it runs.

    """

    name: str
    kind: str
    part: Part = "forward"
    basis: Literal["tokens", "sequences", "fixed"] = "tokens"
    rows_share: float = 1.0
    n: int = 0
    k: int = 0
    batch: int = 1
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    causal_skip: bool = False
    window: int | None = None
    flops_per_token: float = 0.0
    flops_fixed: float = 0.0
    flops_scale: float = 1.0
    read_per_token: float = 0.0
    write_per_token: float = 0.0
    read_per_pair: float = 0.0
    write_per_pair: float = 0.0
    read_per_kv_token: float = 0.0
    read_fixed: float = 0.0
    write_fixed: float = 0.0
    read_scale: float = 1.0
    write_scale: float = 1.0
    runs: float = 1.0
    beside_per_token: float = 0.0
    math: str = "bf16"
    format: str | None = None
    max_efficiency: float = 1.0
    max_memory_efficiency: float = 1.0
    launch_scale: float = 1.0
    launch_add_s: float = 0.0
    routed: float = 1.0
    variants: int = 1
    kernels: float = 1.0
    pieces: int = 1
    kv_spans: tuple[KvSpan, ...] = ()
    place: Literal["device", "host"] = "device"


@attrs.frozen
class CommWork:
    """One collective, transfer or copy, as a template over `StepShape`.

    Attributes:
        name: what is moved (`attn.out`), `kind` how.
        bytes_per_token, bytes_fixed: size of the whole (unsharded over the group) message on one
            device, as NCCL counts it: the full tensor for all_reduce, all_gather (result) and
            reduce_scatter (input); the local send buffer for all_to_all, send, rotate and copy.
        bytes_per_kv_token: of a copy, for each cached token; `kv_spans` as in `OpWork`.
        routed: of a copy, as in `OpWork`: experts that no token of the step uses are not moved.
        basis: what `bytes_per_token` is multiplied by.
        runs: how often it happens in the pass.
        hidden: share of it that may run beside compute (0: compute waits for all of it).
        stream: `comm` for collectives, `p2p` for pipeline sends, `copy` for host copies.
        reason: the rule or derivation that asked for it, for `explain`.

    """

    name: str
    kind: CommKind
    group: Group
    bytes_per_token: float = 0.0
    bytes_fixed: float = 0.0
    bytes_per_kv_token: float = 0.0
    kv_spans: tuple[KvSpan, ...] = ()
    routed: float = 1.0
    basis: Literal["tokens", "sequences"] = "tokens"
    runs: float = 1.0
    hidden: float = 0.0
    stream: Stream = "comm"
    reason: str = ""


Work = OpWork | CommWork


GradLife = Literal["run", "step_end", "layer_end"]


@attrs.frozen
class BlockPlan:
    """One class of layers (or embed, or head) on one device.

    Attributes:
        name: class name (`embed`, `dense`, `dense.1`, `head`); `layers` the indices it stands for.
        work: by phase, in order of execution. Training: forward, backward. Inference: prefill,
            decode.
        reduce: gradient collectives of this block, run when its gradients are complete.
        weight_bytes, grad_bytes, optimizer_bytes: resident on the device; `host_bytes` on the host
            by category; `static_bytes` further memory on the device.
        grad_buffer_bytes: full-size gradients, held from the block's first backward pass of an
            accumulation round to its reduction, where they are sharded at rest.
        saved_per_token, saved_per_pair, saved_fixed: activations kept from forward to backward.
        host_saved_per_token, disk_saved_per_token: those that are kept elsewhere meanwhile.
        transient_per_token, transient_per_pair: largest working set inside the block at once,
            beyond what is kept; in training that of the backward pass.
        forward_per_token, forward_per_pair: that of the forward pass; None is the same.
        gathered_bytes: weights gathered for use, beyond the resident shard; `held_bytes` those
            that stay whole from the forward to the backward pass.
        grad_work_bytes: the largest gradient of one weight, whole, before it is added to others;
            `grad_in_parts` whether already one micro-batch makes it in parts.
        unpacked_bytes: the largest weight that is stored in fewer bits than its product computes
            in, as wide as the arithmetic: what a runtime takes that unpacks weights to memory.
        grad_life: how long the block's gradients are held (the cell `layout.lifetime`).
        variant_bytes: of its weights that have several alternatives, one of each, on the device.
        kv_per_token, host_kv_per_token, disk_kv_per_token: cache bytes per cached token by where
            they lie; `kv_spans` what they differ by in some ranges of a sequence.
        kv_cap: most tokens of a sequence that the cache keeps, or None.
        params: global parameter count of one such block.
        lasting_bytes: what a checkpoint holds of one such block: over all devices, each element
            counted once.
        owner: the model that it belongs to.

    """

    name: str
    layers: tuple[int, ...]
    work: Mapping[str, tuple[Work, ...]]
    reduce: tuple[CommWork, ...] = ()
    weight_bytes: float = 0.0
    grad_bytes: float = 0.0
    grad_buffer_bytes: float = 0.0
    optimizer_bytes: float = 0.0
    static_bytes: float = 0.0
    host_bytes: Mapping[str, float] = attrs.field(factory=dict)
    disk_bytes: Mapping[str, float] = attrs.field(factory=dict)
    saved_per_token: float = 0.0
    saved_per_pair: float = 0.0
    saved_fixed: float = 0.0
    host_saved_per_token: float = 0.0
    disk_saved_per_token: float = 0.0
    transient_per_token: float = 0.0
    transient_per_pair: float = 0.0
    forward_per_token: float | None = None
    forward_per_pair: float | None = None
    gathered_bytes: float = 0.0
    held_bytes: float = 0.0
    grad_work_bytes: float = 0.0
    grad_in_parts: bool = False
    unpacked_bytes: float = 0.0
    grad_life: GradLife = "run"
    variant_bytes: float = 0.0
    kv_per_token: float = 0.0
    host_kv_per_token: float = 0.0
    disk_kv_per_token: float = 0.0
    kv_spans: tuple[KvSpan, ...] = ()
    kv_cap: float | None = None
    params: int = 0
    lasting_bytes: float = 0.0
    owner: str = "model"


@attrs.frozen
class Chunk:
    """A run of layers on one stage: indices into `Plan.blocks`, one per layer in order."""

    order: int
    blocks: tuple[int, ...]


@attrs.frozen
class RankClass:
    """Devices that do the same work: one pipeline stage, folded over all other axes.

    Attributes:
        stage: pipeline stage; `multiplicity` devices in the class.
        chunks: in the order in which a micro-batch passes them.
        static_bytes: on each device, of no block in particular.
        step_start: collectives before the first micro-batch (gather of updated weights).
        optimizer: work of the update, after all reductions.
        step_end: collectives after the update.

    """

    stage: int
    multiplicity: int
    chunks: tuple[Chunk, ...]
    static_bytes: float = 0.0
    optimizer: tuple[Work, ...] = ()
    step_start: tuple[CommWork, ...] = ()
    step_end: tuple[CommWork, ...] = ()


@attrs.frozen
class Schedule:
    """The schedule cells, filled in."""

    pipeline: str = "one_forward_one_backward"
    stages: int = 1
    chunks: int = 1
    micro_batch: int = 1
    micro_batches: int = 1
    reduce_every: int = 0
    prefetch: int = 1
    admission: str = "iteration"
    token_budget: int = 2048
    max_sequences: int = 256
    kv_block: int = 16
    cache: str = "paged"
    prefill_replicas: int = 0
    prompts: str = "cut"
    mixing: str = "together"
    reserve: str = "grown"
    swap_bytes: float = 0.0
    kept_bytes: float = 0.0
    variants: int = 1
    routing: str = "round_robin"
    replicas_least: int = 0
    replica_start: float = 0.0
    open_above: float = 0.0
    close_below: float = 0.0
    pool_link: str = "nearest"
    rows: float = 1.0
    tokens_out: float = 1.0
    host_scale: float = 1.0
    host_add_s: float = 0.0


@attrs.frozen
class Plan:
    """Everything a simulation needs; `hash` identifies its content.

    Attributes:
        mode: `training` or `inference`.
        axes: of the mesh, those of more than one device.
        blocks: classes of layers; `ranks` the rank classes in stage order.
        pipeline_send: transfer of one micro-batch's boundary activation to the next stage (the
            same size comes back as its gradient), None with one stage.
        model_flops_per_token: useful FLOP per token without attention: 6N training, 2N inference.
        attention_flops_per_pair: useful FLOP per causal query-key pair and step (all layers).
        replicas: data-parallel copies that serve or train side by side.

    """

    mode: Literal["training", "inference"]
    axes: tuple[Axis, ...]
    blocks: tuple[BlockPlan, ...]
    ranks: tuple[RankClass, ...]
    schedule: Schedule
    pipeline_send: CommWork | None
    replicas: int
    step_shape: StepShape
    model_flops_per_token: float
    attention_flops_per_pair: float
    params: int
    active_params: int
    claims: tuple[ClaimFact, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    techniques: tuple[str, ...] = ()
    hash: str = ""
