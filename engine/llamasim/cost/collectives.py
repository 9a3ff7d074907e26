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
from llamasim.cost.work import message_bytes
from llamasim.plan.spec import CommWork, Group, StepShape
from llamasim.units.many import each, larger, smaller

#: Share of a ring's bandwidth that each device's port reaches when the switch reduces, and how much
#: longer (in `ramp_bytes`) its start takes: every chunk waits for all devices. Fitted on 8 GiB and
#: smaller all-reduces over 5 to 8 H200 and B200 with and without it.
IN_SWITCH_SHARE = 0.82
IN_SWITCH_RAMP = 2.5
#: A device's own part is copied inside it, beside its port: its cost in bytes of the port, for
#: gathers and scatters, and for all-reduces and all-to-alls, where one copy in two is saved. Fitted
#: on 512 MiB messages over 2, 4 and 8 A100, H100 and B200.
OWN_COPY = 0.5
OWN_COPY_FUSED = 0.25
#: Share of a port's rate between devices that talk through the host's bridge, two of them and more.
#: Fitted on RTX PRO 6000 (PCIe 5), L40S (PCIe 4, two devices) and Arc Pro B60.
BRIDGE_PAIR = 0.68
BRIDGE_MANY = 0.50

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

    def moving(self, wire: float) -> float:
        """Return the seconds that `wire` bytes take through one device's port.

        Small messages use a low-latency protocol that spends half of each word on flags, so they
        take twice their bytes; large ones pay for synchronising the bulk protocol, `ramp` bytes.
        """
        extra = wire * self.ramp / (wire + self.ramp) if self.ramp > 0 else 0.0
        return (wire + extra) / self.rate


def comm_cost(comm: CommWork, shape: StepShape, machine: Machine) -> CommCost:
    """Return what a collective or transfer takes alone on its links."""
    size = message_bytes(comm, shape)
    if size <= 0:
        return NOTHING
    if comm.kind == "copy":
        seconds = copy_seconds(size, comm.group, machine)
        return CommCost(comm.runs * seconds, comm.runs * size)
    if comm.group.size <= 1:
        return NOTHING
    seconds = collective_seconds(comm.kind, size, comm.group, machine)
    wire = wire_bytes(comm.kind, size, comm.group.size)
    return CommCost(comm.runs * seconds, comm.runs * wire)


def wire_bytes(kind: str, size: float, members: int) -> float:
    """Return the bytes each device sends (the lower bound that rings meet)."""
    share = (members - 1) / members
    if kind == "all_reduce":
        return 2 * share * size
    if kind in ("all_gather", "reduce_scatter", "all_to_all"):
        return share * size
    return size * (members - 1) if kind == "rotate" else size


def copy_seconds(size: float, group: Group, machine: Machine) -> float:
    """Return the time of a copy between a device and its host's memory or disk.

    The devices of a group share the disk; what comes from it passes the link too.
    """
    disk = group.axis == "disk"
    if machine.device.unified and not disk:
        return 0.0
    link = machine.host_link
    rate = link.bandwidth * link.efficiency
    if disk:
        share = machine.host.disk_read / group.size
        rate = share if machine.device.unified else min(rate, share)
    return link.base_latency_s + link.latency_s + size / rate


def collective_seconds(kind: str, size: float, group: Group, machine: Machine) -> float:
    """Return the time of a collective over a group, by its fastest algorithm."""
    inside = _level(machine.inner or machine.host_link, group.per_node, machine)
    outside = _level(machine.outer or machine.host_link, group.nodes, machine)
    if kind in ("send", "rotate"):
        level = outside if group.nodes > 1 else inside
        hop = level.hop + level.moving(size)
        return level.base + hop * (group.size - 1 if kind == "rotate" else 1)
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
        rate *= larger(size - 1, 1) / (machine.devices_per_node - 1)
    elif fabric.topology == "shared":
        rate *= BRIDGE_PAIR if size <= 2 else BRIDGE_MANY
    return Level(
        larger(size, 1), larger(rate, 1.0), fabric.latency_s, fabric.base_latency_s,
        fabric.ramp_bytes, fabric.reduces,
    )


def _one_level(kind: str, size: float, level: Level) -> float:
    n = level.size
    own = size / n / level.rate
    if kind != "all_reduce":
        return _latency(level, n - 1) + level.moving(size * (n - 1) / n) + OWN_COPY * own
    own *= OWN_COPY_FUSED
    ring = _latency(level, 2 * (n - 1)) + level.moving(2 * size * (n - 1) / n) + own
    tree = _latency(level, 2 * each(_doublings, n)) + level.moving(2 * size) + own
    best = smaller(ring, tree)
    if level.reduces and n > 2:
        # Every device sends each of its n parts once and receives one summed part: n + 1 of n.
        wire = size * (n + 1) / n / IN_SWITCH_SHARE + IN_SWITCH_RAMP * level.ramp
        best = smaller(best, _latency(level, 4) + wire / level.rate)
    return best


def _doublings(count: float) -> float:
    return float(math.ceil(math.log2(count)))


def _latency(level: Level, hops: float) -> float:
    return level.base + hops * level.hop


def _two_level(kind: str, size: float, inside: Level, outside: Level) -> float:
    """Reduce-scatter inside, the collective on shares between nodes, all-gather inside.

    Chunks are pipelined through the levels: the slower level's bandwidth binds, and the faster
    one's latency comes on top.
    """
    share = size / inside.size
    inner = _one_level(kind, size, inside)
    outer = _one_level(kind, share, outside)
    hops = 2 * (inside.size - 1) if kind == "all_reduce" else inside.size - 1
    first, last = _latency(inside, hops), _latency(outside, 2)
    return larger(inner + last, outer + first)


def _all_to_all(size: float, group: Group, inside: Level, outside: Level) -> float:
    """Every member sends an equal part to every other; the ports work side by side."""
    part = size / group.size
    near = far = 0.0
    if inside.size > 1:
        near = _latency(inside, 1 + each(math.log2, inside.size))
        near += inside.moving(part * (inside.size - 1)) + OWN_COPY_FUSED * part / inside.rate
    if group.nodes > 1:
        away = group.size - inside.size
        far = _latency(outside, 1 + each(math.log2, group.nodes)) + outside.moving(part * away)
    return larger(near, far)
