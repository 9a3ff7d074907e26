"""Frozen records of what the catalog knows. Numbers are in bytes, seconds, FLOP/s, Hz and watts.

`sources` maps a field's name to where its figure comes from; fields of one record that share a
source may share the key `*`.

`bounds` maps each figure that was fitted to
measurements (`sustained`, `formats.fp8`, `on.hopper.attention_efficiency`) to the least and the
most that it could become; every other figure is a document's, derived or an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs


@attrs.frozen
class Device:
    """One accelerator or one processor that runs a model.

    Attributes:
        peaks: dense FLOP/s (or OP/s) by arithmetic: fp32, tf32, bf16, fp16, fp8, int8, fp4.
        memory_bytes: capacity that a program can see.
        memory_bandwidth: bytes/s of the device's own memory.
        multiprocessors: SMs, compute units, GPU cores or CPU cores.
        clock_hz: sustained clock used for launch- and concurrency-limited kernels.
        sustained: share of the listed peak that large matmuls sustain under the power limit.
        flop_energy_j: of one 16-bit matrix operation at full clock, board included; where the
            listed rate would take more than `tdp_watts`, the clock falls. 0: it never does.
        spread: standard deviation of the rate that devices of one kind sustain at their power
            limit, as a share; many that wait for each other run at the pace of the slowest.
        memory_efficiency: share of `memory_bandwidth` that a streaming kernel reaches.
        bytes_per_clock: bytes each multiprocessor keeps in flight a clock (matrix-vector kernels).
        unified: whether it shares its memory with the host.
        peer: fabric id by which devices of a node are joined when the scenario names none.
        host_link: fabric id of the link to the host's memory.
        host: id of the host that usually surrounds it, for when the scenario names none.
        family: architecture, by which fitted figures are shared between devices.
        mtbf_s: device time of a large job between failures that end it, whatever fails (device,
            host, network, software); 0: nobody has published it.

    """

    id: str
    name: str
    vendor: str
    kind: Literal["gpu", "cpu", "apu", "tpu", "asic"]
    peaks: Mapping[str, float]
    memory_bytes: float
    memory_bandwidth: float
    multiprocessors: int
    clock_hz: float
    l2_bytes: float
    tdp_watts: float
    idle_watts: float
    sustained: float
    memory_efficiency: float
    bytes_per_clock: float
    unified: bool = False
    peer: str | None = None
    host_link: str | None = None
    host: str | None = None
    family: str = ""
    flop_energy_j: float = 0.0
    spread: float = 0.0
    mtbf_s: float = 0.0
    year: int | None = None
    bounds: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""


@attrs.frozen
class Fabric:
    """A kind of link.

    Attributes:
        bandwidth: bytes/s in one direction for one device (a device's port).
        latency_s: of one hop (one ring step) at small sizes.
        base_latency_s: of starting a collective.
        efficiency: share of the bandwidth that large messages reach.
        ramp_bytes: message size around which collectives pass from the low-latency protocol, at
            half the bandwidth, to the bulk one, whose start costs the time of as many bytes.
        topology: `switch` (any pair at full rate), `mesh` (pairs share the rate), `shared`
            (all devices of a node behind one bridge), `ring`.
        reduces: whether the switch reduces in flight.

    """

    id: str
    name: str
    kind: Literal["intra-node", "inter-node", "host"]
    bandwidth: float
    latency_s: float
    base_latency_s: float
    efficiency: float
    ramp_bytes: float
    topology: Literal["switch", "mesh", "shared", "ring"] = "switch"
    reduces: bool = False
    bounds: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""


@attrs.frozen
class Host:
    """What surrounds the devices of a node."""

    id: str
    name: str
    cpu: str
    cores: int
    memory_bytes: float
    memory_bandwidth: float
    peak_fp32: float
    watts: float
    disk_read: float
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""


@attrs.frozen
class Instance:
    """A cloud machine with a price on a date. Prices are USD per hour for the whole machine.

    Attributes:
        network_bytes_per_s: of the whole machine, in one direction.
        network: fabric id of what joins such machines, where it is known.

    """

    id: str
    provider: str
    device: str
    devices: int
    vcpus: int | None
    memory_bytes: float | None
    network_bytes_per_s: float | None
    usd_per_hour: float | None
    usd_per_hour_spot: float | None
    region: str
    price_date: str
    network: str | None = None
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""


@attrs.frozen
class Model:
    """The shape of a transformer. Parameter counts are computed from it, never stored.

    Attributes:
        gated: whether the MLP has a gate (SwiGLU, GeGLU).
        positions: `rotary`, `learned` or `none`.
        bias: biases on every linear layer; `qkv_bias`: on q, k and v only.
        dropout: whether training applies dropout.
        experts: routed experts in a MoE layer (0: dense); `expert_ffn` their inner width.
        dense_layers: leading layers that stay dense in a MoE model.
        post_norms: further norms after attention and MLP (Gemma 2).

    """

    id: str
    name: str
    layers: int
    hidden: int
    ffn: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    gated: bool = True
    activation: str = "silu"
    positions: Literal["rotary", "learned", "none"] = "rotary"
    tied: bool = False
    bias: bool = False
    qkv_bias: bool = False
    dropout: bool = False
    post_norms: bool = False
    window: int | None = None
    experts: int = 0
    experts_per_token: int = 0
    expert_ffn: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_head_dim: int = 0
    value_head_dim: int = 0
    router_bias: bool = False
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""


@attrs.frozen
class Runtime:
    """How a program drives the devices: host time, launches, fusions, kernel quality.

    Attributes:
        host_s: host time per step that the devices wait for (decode step, training step).
        sequence_host_s: further host time for each sequence of an inference step (its part of the
            schedule, inputs, sampling and outputs).
        prefill_host_s: further host time of a step that only prefills (input, new graphs).
        launch_s: gap between two dependent kernels of one stream.
        graphs: whether kernels of a decode step are launched as one graph.
        graph_launch_s: gap between two kernels inside a graph.
        dispatch_s: time in which the host issues one modelled op; devices that are faster wait for
            it. 0: it never holds them up.
        kernels_per_op: kernels launched per modelled op (fusion below 1, eager above).
        matmul_efficiency: kernel quality over the device's sustained matmul rate.
        attention_efficiency: share of the sustained rate that the fused attention kernel reaches
            forward, over long sequences and heads of 128.
        memory_efficiency: over the device's own, for streaming kernels.
        gemv_concurrency: over the device's `bytes_per_clock`, for matrix-vector kernels.
        formats: share of their arithmetic rate that matmuls reach by storage format of the weight
            (`int4_group`: 0.85) or by arithmetic (`fp8`: 0.8); unpacking, casts and scales take
            the rest.
        unpack_rows: rows from which a product first writes its low-bit weights as 16-bit ones to
            memory and then runs on those; 0: its kernels unpack on the fly.
        unpack_ops: operations outside matrix units that unpack one low-bit weight in products of
            few rows; 0: they hide behind the loads.
        half_math: arithmetic of its 16-bit kernels (`fp16_acc16`), on devices that have a rate for
            it; empty where they accumulate in 32 bits.
        on: figures that differ on a family of devices, because the program has another library of
            kernels for it (`apple.launch_s`: 12e-6).
        launch_queue: kernels that its driver takes for one device before the host that issues them
            waits, where one host issues all stages of a pipeline; 0: no bound.
        product_kernels: further kernels around a product of many rows, which cast its operand and
            its result.
        pair_traffic: bytes that its separate attention kernels move for each byte of 16-bit scores
            in prompts (wider scores, casts), at the rate of streaming kernels; 0: they move the
            scores as they are, at `attention_efficiency` of it.
        overlap_tax: share of multiprocessors that a running collective takes from compute.
        gather_copies, reduce_copies: bytes that copies move for each byte of weights gathered for
            use (out of the gathered buffer) and of gradients reduced to shares (into the buffer).
        reserve_bytes: context and library memory on each device.
        fragmentation: share of allocated memory lost to the allocator.
        token_budget, max_sequences, kv_block: serving defaults.
        memory_share: share of device memory that the runtime may use.
        cache_share: share of what weights and working memory leave of it that the cache takes.

    """

    id: str
    name: str
    host_s: float
    launch_s: float
    graphs: bool
    graph_launch_s: float
    kernels_per_op: float
    matmul_efficiency: float
    attention_efficiency: float
    memory_efficiency: float
    gemv_concurrency: float
    formats: Mapping[str, float]
    overlap_tax: float
    reserve_bytes: float
    fragmentation: float
    memory_share: float
    token_budget: int
    max_sequences: int
    kv_block: int
    half_math: str = ""
    launch_queue: int = 0
    product_kernels: float = 0.0
    pair_traffic: float = 0.0
    cache_share: float = 1.0
    sequence_host_s: float = 0.0
    prefill_host_s: float = 0.0
    unpack_rows: int = 0
    unpack_ops: float = 0.0
    dispatch_s: float = 0.0
    gather_copies: float = 0.0
    reduce_copies: float = 0.0
    on: Mapping[str, float] = attrs.field(factory=dict)
    bounds: Mapping[str, tuple[float, float]] = attrs.field(factory=dict)
    sources: Mapping[str, str] = attrs.field(factory=dict)
    notes: str = ""
