"""Small plans and machines put together by hand, with round figures."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from llamasim.catalog.specs import Device, Fabric, Host, Model, Runtime
from llamasim.plan.spec import (
    BlockPlan,
    Chunk,
    CommWork,
    Group,
    OpWork,
    Plan,
    RankClass,
    Schedule,
    StepShape,
)
from llamasim.scenario.spec import Arrivals, Cluster, Length, Scenario, Workload
from llamasim.simulate.timings import ChunkTimes, Flow, Part, Segment, StageTimes, Timings
from llamasim.simulate.trace import Iterations, Trace

GB = 1e9

DEVICE = Device(
    id="test", name="test", vendor="test", kind="gpu", peaks={"bf16": 100e12, "fp32": 50e12},
    memory_bytes=80 * GB, memory_bandwidth=1e12, multiprocessors=100, clock_hz=1e9, l2_bytes=4e7,
    tdp_watts=400, idle_watts=50, sustained=1.0, memory_efficiency=1.0, bytes_per_clock=1e4,
)
FABRIC = Fabric(
    id="test", name="test", kind="inter-node", bandwidth=50 * GB, latency_s=1e-6,
    base_latency_s=1e-6, efficiency=1.0, ramp_bytes=1.0,
)
HOST = Host("test", "test", "test", 64, 512 * GB, 200 * GB, 1e12, 300, 5 * GB)
RUNTIME = Runtime(
    id="test", name="test", host_s=0.0, launch_s=0.0, graphs=True, graph_launch_s=0.0,
    kernels_per_op=1.0, matmul_efficiency=1.0, attention_efficiency=1.0, memory_efficiency=1.0,
    gemv_concurrency=1.0, formats={}, overlap_tax=0.0, reserve_bytes=0.0, fragmentation=0.0,
    memory_share=1.0, token_budget=2048, max_sequences=256, kv_block=16,
)
MODEL = Model("test", "test", 4, 1024, 4096, 8, 8, 128, 32000, 8192)


def scenario(
    *, memory: float = 80 * GB, seed: int = 0, runtime: dict[str, Any] | None = None,
    devices: int = 1, **workload: Any,
) -> Scenario:
    """Return a scenario on round machines."""
    device = attrs.evolve(DEVICE, memory_bytes=memory)
    values: dict[str, Any] = {"mode": "inference", "dtype": "bf16", "sequence": 2048, **workload}
    return Scenario(
        name="test", edition=2026, model=MODEL,
        cluster=Cluster(device, devices, 1, None, FABRIC, HOST, FABRIC),
        runtime=attrs.evolve(RUNTIME, **(runtime or {})), workload=Workload(**values),
        mesh_order=(), use=(), prefer={}, seed=seed,
    )


def serving(process: str = "poisson", requests: int = 50, **given: Any) -> Scenario:
    """Return a serving scenario; `prompt`, `output` are lengths, the rest arrivals and more."""
    keys = ("rate", "cv", "concurrency", "rates")
    arrivals = Arrivals(process, requests, **{k: given.pop(k) for k in keys if k in given})
    lengths = {
        k: Length("lognormal", given.pop(k), 0.5) if isinstance(given.get(k), float)
        else Length("fixed", given.pop(k))
        for k in ("prompt", "output") if k in given
    }
    return scenario(arrivals=arrivals, **lengths, **given)


def layer(name: str, *, training: bool = True, size: float = 1.0, **more: Any) -> BlockPlan:
    """Return a layer of two ops: a matmul of `size` x 1024 x 1024, and attention."""
    n = int(1024 * size)

    def matmul(part: str, runs: float = 1.0) -> OpWork:
        return OpWork(
            f"mlp.{part}", "matmul", part=part, n=n, k=1024,
            read_per_token=2048, write_per_token=2.0 * n, read_fixed=2048.0 * n, runs=runs,
        )

    attention = OpWork(
        "attn.core", "fused_attention", heads=8, kv_heads=8, head_dim=128, causal_skip=True,
        read_per_token=2048, write_per_token=2048, read_per_kv_token=4096,
    )
    work: dict[str, tuple[Any, ...]] = (
        {"forward": (matmul("forward"),),
         "backward": (matmul("data_grad"), matmul("weight_grad"))}
        if training
        else {p: (matmul("forward"), attention) for p in ("prefill", "decode")}
    )
    weights = 2048.0 * n
    given: dict[str, Any] = {
        "layers": (0,), "weight_bytes": weights, "kv_per_token": 0.0 if training else 4096.0,
        "grad_bytes": weights if training else 0.0, "saved_per_token": 2048.0 if training else 0.0,
        "transient_per_token": 4096.0, "optimizer_bytes": 4 * weights if training else 0.0, **more,
    }
    return BlockPlan(name=name, work=work, **given)


def plan(
    *, mode: str = "training", stages: int = 1, chunks: int = 1, layers: int = 1,
    schedule: dict[str, Any] | None = None, micro_tokens: int = 4096, replicas: int = 1,
    send: CommWork | None = None, **more: Any,
) -> Plan:
    """Return `layers` equal layers on each of `chunks` chunks of each of `stages` stages."""
    block = layer("dense", training=mode == "training", **more)
    ranks = tuple(
        RankClass(s, 1, tuple(Chunk(s + c * stages, (0,) * layers) for c in range(chunks)))
        for s in range(stages)
    )
    if send is None and stages > 1:
        send = CommWork("boundary", "send", Group("pp", stages, 1), 2048.0, stream="p2p",
                        hidden=1.0)
    return Plan(
        mode=mode, axes=(), blocks=(block,), ranks=ranks,
        schedule=Schedule(stages=stages, chunks=chunks, **(schedule or {})), pipeline_send=send,
        replicas=replicas, step_shape=StepShape.of(1, micro_tokens), model_flops_per_token=1.0,
        attention_flops_per_pair=1.0, params=1, active_params=1,
    )


def pipeline(
    stages: int, chunks: int, micro_batches: int, *, forward: float = 1.0, backward: float = 2.0,
    schedule: str = "interleaved", send: float = 0.0, hidden: float = 1.0, reduce: float = 0.0,
    reduce_hidden: float = 1.0, **more: Any,
) -> Timings:
    """Return equal stages with the given seconds for each chunk's passes."""
    flows = (Flow("gradients", "dp", reduce, reduce_hidden),) if reduce else ()
    chunk = ChunkTimes(Segment(forward), Segment(backward), (Part(1.0, flows),))
    return Timings(
        (StageTimes((chunk,) * chunks),) * stages,
        Flow("boundary", "pp", send, hidden) if stages > 1 else None,
        pipeline=schedule, micro_batches=micro_batches, **more,
    )


def iterations(trace: Trace) -> Iterations:
    """Return a run's iterations in one piece."""
    names = [f.name for f in attrs.fields(Iterations)]
    none = np.zeros(0, dtype=np.int32)
    return Iterations(*(
        np.concatenate([none, *(getattr(p, n) for p in trace.iterations)]) for n in names
    ))
