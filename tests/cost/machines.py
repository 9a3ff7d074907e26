"""Machines with round figures, so that expectations can be worked out by hand."""

from __future__ import annotations

import attrs

from llamasim.catalog.specs import Device, Fabric, Host, Runtime
from llamasim.cost import Machine

DEVICE = Device(
    id="round", name="Round", vendor="none", kind="gpu",
    peaks={"fp32": 10e12, "bf16": 100e12, "fp8": 200e12},
    memory_bytes=80e9, memory_bandwidth=1e12, multiprocessors=100, clock_hz=1e9, l2_bytes=40e6,
    tdp_watts=400.0, idle_watts=50.0, sustained=1.0, memory_efficiency=1.0, bytes_per_clock=32.0,
    family="round",
)
HOST = Host(
    id="h", name="H", cpu="c", cores=10, memory_bytes=1e12, memory_bandwidth=100e9,
    peak_fp32=1e12, watts=100.0, disk_read=1e9,
)
RUNTIME = Runtime(
    id="r", name="R", host_s=0.0, launch_s=0.0, graphs=False, graph_launch_s=0.0,
    kernels_per_op=1.0, matmul_efficiency=1.0, attention_efficiency=1.0, memory_efficiency=1.0,
    gemv_concurrency=1.0, formats={}, overlap_tax=0.0, reserve_bytes=0.0, fragmentation=0.0,
    memory_share=1.0, token_budget=2048, max_sequences=64, kv_block=16,
)
INNER = Fabric("in", "In", "intra-node", 100e9, 0.0, 0.0, 1.0, 0.0)
OUTER = Fabric("out", "Out", "inter-node", 10e9, 0.0, 0.0, 1.0, 0.0)
LINK = Fabric("pcie", "PCIe", "host", 20e9, 0.0, 0.0, 1.0, 0.0, "shared")


def machine(
    *,
    device: Device = DEVICE,
    runtime: Runtime = RUNTIME,
    inner: Fabric | None = INNER,
    outer: Fabric | None = OUTER,
    per_node: int = 8,
    **figures: object,
) -> Machine:
    """Return the round machine, some figures of its runtime changed."""
    changed = attrs.evolve(runtime, **figures)
    return Machine(device, HOST, changed, inner, outer, LINK, per_node)
