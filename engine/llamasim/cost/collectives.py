"""Seconds of collectives and transfers, and the bytes that each device sends.

Ring, tree, in-switch and two-level algorithms; a library takes the fastest, and so do we
(Thakur, Rabenseifner and Gropp, Optimization of Collective Communication Operations in MPICH,
2005; the in-switch reduction is NVIDIA's NVLink SHARP).
"""

from __future__ import annotations

import math

import attrs

from llamasim.catalog.specs import Fabric
from llamasim.cost.machine import Machine
from llamasim.cost.records import CommCost
from llamasim.cost.work import basis
from llamasim.plan.spec import CommWork, Group, StepShape

#: Share of the bandwidth that the low-latency protocol reaches: half of each word is a flag.
LOW_LATENCY_SHARE = 0.5
#: Share of a ring's bandwidth that reduction in the switch reaches.
IN_SWITCH_SHARE = 0.83

NOTHING = CommCost(0.0, 0.0)


@attrs.frozen
class Level:
    """Devices joined by one fabric: how many, and what each gets of it."""

    size: int
    rate: float
    hop: float
    base: float
    ramp: float
    reduces: bool

    def moving(self, size: float) -> float:
        """Return the seconds that `size` bytes take through one device's port.

        The low-latency protocol starts at once at half the bandwidth; the bulk protocol pays for
        its synchronisation (`ramp` bytes' time) and then runs at full bandwidth.
        """
        return min(size / LOW_LATENCY_SHARE, size + self.ramp) / self.rate


def comm_cost(comm: CommWork, shape: StepShape, machine: Machine) -> CommCost:
    """Return what a collective or transfer takes alone on its links."""
    size = comm.bytes_per_token * basis(comm.basis, shape) + comm.bytes_fixed
    if size <= 0:
        return NOTHING
    if comm.kind == "copy":
        return CommCost(copy_seconds(size, machine), size)
    if comm.group.size <= 1:
        return NOTHING
    seconds = collective_seconds(comm.kind, size, comm.group, machine)
    return CommCost(seconds, wire_bytes(comm.kind, size, comm.group.size))


def wire_bytes(kind: str, size: float, members: int) -> float:
    """Return the bytes each device sends (the lower bound that rings meet)."""
    share = (members - 1) / members
    if kind == "all_reduce":
        return 2 * share * size
    if kind in ("all_gather", "reduce_scatter", "all_to_all"):
        return share * size
    return size


def copy_seconds(size: float, machine: Machine) -> float:
    """Return the time of a copy between a device and its host's memory."""
    if machine.device.unified:
        return 0.0
    link = machine.host_link
    return link.base_latency_s + link.latency_s + size / (link.bandwidth * link.efficiency)


def collective_seconds(kind: str, size: float, group: Group, machine: Machine) -> float:
    """Return the time of a collective over a group, by its fastest algorithm."""
    inside = _level(machine.inner or machine.host_link, group.per_node, machine)
    outside = _level(machine.outer or machine.host_link, group.nodes, machine)
    if kind in ("send", "rotate"):
        level = outside if group.nodes > 1 else inside
        return level.base + level.hop + level.moving(size)
    if kind == "all_to_all":
        return _all_to_all(size, group, inside, outside)
    if group.nodes == 1:
        return _one_level(kind, size, inside)
    if group.per_node == 1:
        return _one_level(kind, size, outside)
    return _two_level(kind, size, inside, outside)


def _level(fabric: Fabric, size: int, machine: Machine) -> Level:
    rate = fabric.bandwidth * fabric.efficiency
    if fabric.topology == "mesh" and machine.devices_per_node > 2:
        # Each pair has its own link: a group uses only the links among its members.
        rate *= max(1, size - 1) / (machine.devices_per_node - 1)
    elif fabric.topology == "shared":
        rate *= 2 / max(2, size)
    return Level(
        max(1, size), max(rate, 1.0), fabric.latency_s, fabric.base_latency_s, fabric.ramp_bytes,
        fabric.reduces,
    )


def _one_level(kind: str, size: float, level: Level) -> float:
    n = level.size
    if kind != "all_reduce":
        return level.base + (n - 1) * level.hop + level.moving(size * (n - 1) / n)
    ring = level.base + 2 * (n - 1) * level.hop + level.moving(2 * size * (n - 1) / n)
    tree = level.base + 2 * math.ceil(math.log2(n)) * level.hop + level.moving(2 * size)
    best = min(ring, tree)
    if level.reduces and n > 2:
        # Every device sends its share once and receives the sum: n + 1 shares of n.
        wire = size * (n + 1) / n
        best = min(best, level.base + 4 * level.hop + (wire / IN_SWITCH_SHARE + level.ramp)
                   / level.rate)
    return best


def _two_level(kind: str, size: float, inside: Level, outside: Level) -> float:
    """Reduce-scatter inside, the collective on shares between nodes, all-gather inside.

    Chunks are pipelined through the levels: the slower level's bandwidth binds, latencies add.
    """
    share = size / inside.size
    if kind == "all_reduce":
        inner = 2 * _one_level("all_gather", size, inside)
        outer = _one_level("all_reduce", share, outside)
    else:
        inner = _one_level("all_gather", size, inside)
        outer = _one_level("all_gather", share, outside)
    return max(inner, outer) + _latency(inside, inside.size)


def _latency(level: Level, members: int) -> float:
    return level.base + (members - 1) * level.hop


def _all_to_all(size: float, group: Group, inside: Level, outside: Level) -> float:
    """Every member sends an equal part to every other; ports work side by side."""
    part = size / group.size
    near = far = 0.0
    if inside.size > 1:
        near = _latency(inside, inside.size) + inside.moving(part * (inside.size - 1))
    if group.nodes > 1:
        away = group.size - inside.size
        far = outside.base + outside.hop * math.log2(away + 1) + outside.moving(part * away)
    return max(near, far)
