"""Power of a device at some utilisation."""

from __future__ import annotations

from llamasim.cost.machine import Machine


def power_watts(machine: Machine, utilisation: float) -> float:
    """Return the power of one device, without its host.

    Linear between idle and the board's limit (Fan, Weber and Barroso, Power Provisioning for a
    Warehouse-sized Computer, ISCA 2007, equation 1 for CPU servers; an assumption for GPUs).

    Args:
        machine: whose device it is.
        utilisation: share of the time in which its multiprocessors or memory are busy, 0 to 1.

    """
    device = machine.device
    share = min(1.0, max(0.0, utilisation))
    return device.idle_watts + max(0.0, device.tdp_watts - device.idle_watts) * share
