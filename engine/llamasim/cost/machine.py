"""The machine as the formulas see it, and its two processors: the device and the host."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import attrs

from llamasim.catalog.specs import Device, Fabric, Host, Runtime

if TYPE_CHECKING:
    from llamasim.scenario.spec import Scenario

#: Share of a host's fp32 peak that matrix products reach, and of its memory bandwidth (STREAM
#: triad on two-channel and server DDR lies at 0.75 to 0.85 of the nominal figure).
HOST_SUSTAINED = 0.5
HOST_MEMORY_EFFICIENCY = 0.75
#: Clock of a host core where the catalog does not say: only launch-bound shapes see it.
_HOST_CLOCK = 2.5e9

#: Elements that rows of an operand must be a multiple of for the loads of a GPU's matrix units
#: (NVIDIA, Matrix Multiplication Background, section on tensor core requirements).
ALIGNED = 8

#: Where a device has no rate for an arithmetic, what it computes in instead, nearest first.
_INSTEAD: Mapping[str, tuple[str, ...]] = {
    "fp4": ("fp8", "bf16", "fp16", "fp32"),
    "int4": ("int8", "bf16", "fp16", "fp32"),
    "fp8": ("bf16", "fp16", "fp32"),
    "int8": ("bf16", "fp16", "fp32"),
    "fp16": ("bf16", "fp32"),
    "bf16": ("fp16", "fp32"),
    "tf32": ("fp32", "bf16", "fp16"),
    "fp32": ("tf32", "bf16", "fp16"),
}


@attrs.frozen
class Processor:
    """What computes: a device, or the host's cores.

    Attributes:
        sustained: share of the peak that large matmuls sustain.
        memory_efficiency: share of the bandwidth that a streaming kernel reaches.
        vector_peak: FLOP/s of pointwise kernels, outside the matrix units.
        aligned: elements that rows of an operand must be a multiple of for the loads that feed
            matrix units; compilers of other devices lay operands out for theirs, with padding.

    """

    peaks: Mapping[str, float] = attrs.field(hash=False)
    bandwidth: float
    multiprocessors: int
    clock_hz: float
    sustained: float
    memory_efficiency: float
    bytes_per_clock: float
    matrix_units: bool
    aligned: int = 1

    def peak(self, math: str) -> float:
        """Return the FLOP/s for an arithmetic, or for what stands in for it."""
        found = self.peaks.get(math)
        if found:
            return found
        for other in _INSTEAD.get(math, ("fp32", "bf16", "fp16")):
            found = self.peaks.get(other)
            if found:
                return found
        return max(self.peaks.values())

    @property
    def vector_peak(self) -> float:
        """FLOP/s of pointwise kernels."""
        return self.peaks.get("fp32") or self.peak("fp32") / 8


@attrs.frozen
class Machine:
    """Devices, their host, their links and the program that drives them.

    Attributes:
        runtime: with the figures that it has on this family of devices.
        inner: links the devices of a node; None on a single device.
        outer: links the nodes; bandwidth is one device's share.
        host_link: between a device and its host's memory.

    """

    device: Device
    host: Host
    runtime: Runtime
    inner: Fabric | None
    outer: Fabric | None
    host_link: Fabric
    devices_per_node: int = 1
    processor: Processor = attrs.field(init=False, eq=False, repr=False)
    host_processor: Processor = attrs.field(init=False, eq=False, repr=False)
    #: Costs already computed; never part of what the machine is.
    memo: dict[Any, Any] = attrs.field(init=False, eq=False, repr=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "runtime", _on(self.runtime, self.device.family))
        object.__setattr__(self, "processor", _of_device(self.device))
        object.__setattr__(self, "host_processor", _of_host(self.host))

    @staticmethod
    def of(scenario: Scenario) -> Machine:
        """Return the machine that a scenario runs on."""
        c = scenario.cluster
        device = c.device
        if scenario.workload.mode == "training":
            pace = 1 - device.spread * slowest_of(c.devices)
            device = attrs.evolve(device, sustained=device.sustained * pace)
        return Machine(
            device, c.host, scenario.runtime, c.inner, c.outer, c.host_link, c.devices_per_node
        )

    def at(self, place: str) -> Processor:
        """Return what computes at a place (`device` or `host`)."""
        return self.host_processor if place == "host" else self.processor


def _on(runtime: Runtime, family: str) -> Runtime:
    """Return a runtime with the figures that it has on a family of devices."""
    here: dict[str, Any] = {}
    for key, value in runtime.on.items():
        where, _, attribute = key.rpartition(".")
        if where == family:
            here[attribute] = value
    return attrs.evolve(runtime, **here) if here else runtime


def slowest_of(count: int) -> float:
    """Return by how many standard deviations the slowest of many is expected to lie below the mean.

    Blom's approximation for normal deviates (Statistical Estimates and Transformed Beta-Variables,
    1958): the mean of the largest is the quantile of (n - 0.375) / (n + 0.25).
    """
    if count <= 1:
        return 0.0
    return NormalDist().inv_cdf((count - 0.375) / (count + 0.25))


def clock_share(device: Device) -> float:
    """Return the share of its clock that the power limit leaves a device in large products.

    Power of switching goes with the clock times the square of a voltage that rises with it, so
    between the linear and the cubic law a clock goes about with the root of the power.
    """
    dense = max(device.peaks.get(m, 0.0) for m in ("bf16", "fp16", "fp16_acc16"))
    wanted = device.flop_energy_j * dense
    return min(1.0, math.sqrt(device.tdp_watts / wanted)) if wanted > 0 else 1.0


def _of_device(d: Device) -> Processor:
    return Processor(
        d.peaks, d.memory_bandwidth, d.multiprocessors, d.clock_hz,
        d.sustained * clock_share(d),
        d.memory_efficiency, d.bytes_per_clock, d.kind != "cpu",
        ALIGNED if d.kind == "gpu" else 1,
    )


def _of_host(h: Host) -> Processor:
    # A core keeps enough bytes in flight that the memory's bandwidth binds, not its clock.
    return Processor(
        {"fp32": h.peak_fp32}, h.memory_bandwidth, h.cores, _HOST_CLOCK,
        HOST_SUSTAINED, HOST_MEMORY_EFFICIENCY, 64.0, False,
    )
