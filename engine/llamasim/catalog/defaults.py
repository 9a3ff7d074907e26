"""What a record is taken to be where nobody published a figure. Every default says so in `sources`.

A default starts with `derived:` (computed from other figures of the record) or `default:` (a stated
assumption, not fitted to this record).
"""

from __future__ import annotations

from typing import Any

import attrs

#: Shares used where no measurement was fitted, as the median of public matmul and stream runs.
SUSTAINED = 0.80
MEMORY_EFFICIENCY = 0.85
BYTES_PER_CLOCK = 32.0


@attrs.define
class Draft:
    """A record being completed: attribute values, and where each comes from."""

    values: dict[str, Any]
    sources: dict[str, str]

    def fill(self, attribute: str, value: Any, why: str) -> None:
        """Set what is missing, and say why."""
        if self.values.get(attribute) is None:
            self.values[attribute] = value
            self.sources[attribute] = why


def complete_device(d: Draft) -> None:
    """Fill a device's missing figures."""
    _silicon(d)
    v = d.values
    _power(d)
    d.fill("sustained", SUSTAINED, "default, not fitted: 0.80 of the peak in large matmuls")
    d.fill("memory_efficiency", MEMORY_EFFICIENCY,
           "default, not fitted: 0.85 of the bandwidth when streaming")
    # Twice what Little's law needs to stream at full bandwidth, so that a device with few, wide
    # cores (TPU, NPU) is not held back by a figure that was meant for GPUs.
    enough = 2 * v["memory_bandwidth"] / (v["multiprocessors"] * v["clock_hz"])
    d.fill("bytes_per_clock", max(BYTES_PER_CLOCK, enough),
           "default, not fitted: 32 bytes a clock and multiprocessor, more where the memory"
           " bandwidth needs more")
    if v.get("unified"):
        d.fill("host_link", "unified", "derived: the host has the same memory")
    d.fill("host_link", "pcie4-x16", "default: PCIe 4.0 x16")


def _silicon(d: Draft) -> None:
    v = d.values
    best = max(v["peaks"].values())
    d.fill("clock_hz", 1.5e9, "default: 1.5 GHz")
    if v.get("multiprocessors") is None:
        dense = v["peaks"].get("fp16") or v["peaks"].get("bf16") or best
        count = max(1, round(dense / (4096 * v["clock_hz"])))
        d.fill("multiprocessors", count, "derived: fp16 peak at 4096 FLOP a clock each (Hopper)")
    d.fill("l2_bytes", 131072.0 * v["multiprocessors"], "derived: 128 KiB a multiprocessor")


def _power(d: Draft) -> None:
    v = d.values
    peaks = v["peaks"]
    dense = peaks.get("bf16") or peaks.get("fp16") or 2 * max(peaks.values())
    d.fill("tdp_watts", max(15.0, dense / 1.4e12),
           "derived: 1.4 TFLOP/s (16 bit) a watt, as TPU v4 and H100 SXM")
    d.fill("idle_watts", 0.10 * v["tdp_watts"], "default: 10 % of the power limit")


#: Latency of one hop and of starting a collective, and ramp, by kind of fabric.
_HOPS = {
    "intra-node": (1.0e-6, 6.0e-6, "default: 1.0 us, as the slope of small all-reduces over 2 to 8"
                   " GPUs", "default: 6 us, as a 512-byte all-reduce of 2 GPUs"),
    "inter-node": (4.0e-6, 14.0e-6, "default: 4.0 us, NCCL tuner, ring, LL128, network",
                   "default: 14 us, NCCL tuner, ring, LL128"),
    "host": (2.0e-6, 5.0e-6, "default: 2 us, PCIe round trip measured on Arc Pro B60",
             "default: 5 us, launch of a copy"),
}


def complete_fabric(d: Draft) -> None:
    """Fill a fabric's missing figures by its kind."""
    v = d.values
    latency, base, why_latency, why_base = _HOPS[v.get("kind", "intra-node")]
    d.fill("latency_s", latency, why_latency)
    d.fill("base_latency_s", base, why_base)
    d.fill("efficiency", 0.80, "default: 0.80, as ring collectives reach on NVLink and PCIe")
    d.fill("ramp_bytes", v["bandwidth"] * v["base_latency_s"],
           "derived: bandwidth x base latency, where latency and transfer take equally long")


def complete_host(d: Draft) -> None:
    """Fill a host's missing figures."""
    v = d.values
    d.fill("peak_fp32", v["cores"] * 32 * 2.5e9, "default: AVX2 (32 FLOP a clock) at 2.5 GHz")
    d.fill("watts", 4.0 * v["cores"] + v["memory_bytes"] / 2**30 * 0.3,
           "derived: 4 W a core and 0.3 W a GiB of RAM")
    d.fill("disk_read", 6.6e9, "default: one NVMe Gen4 x4 drive at 85 % of the link")


def complete_model(d: Draft) -> None:
    """Fill a model's missing dims."""
    v = d.values
    d.fill("kv_heads", v["heads"], "derived: as many as query heads")
    d.fill("head_dim", v["hidden"] // v["heads"], "derived: hidden / heads")


def complete_instance(d: Draft) -> None:
    """Prices and sizes that nobody published stay None."""
    for key in ("vcpus", "memory_bytes", "network_bytes_per_s", "usd_per_hour",
                "usd_per_hour_spot"):
        d.values.setdefault(key, None)


def complete_runtime(d: Draft) -> None:
    """A runtime's figures are all required."""
    d.values.setdefault("graphs", False)


COMPLETE = {
    "devices": complete_device,
    "fabrics": complete_fabric,
    "hosts": complete_host,
    "instances": complete_instance,
    "models": complete_model,
    "runtimes": complete_runtime,
}
