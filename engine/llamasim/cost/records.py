"""What the formulas return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

#: What an op's time is bound by: arithmetic, memory traffic, or launching its kernels.
Bound = Literal["compute", "memory", "launch", "communication", "none"]


@attrs.frozen
class OpCost:
    """Time and traffic of one op on one device.

    Attributes:
        seconds: with its launches.
        flops: floating-point (or integer) operations that the kernel executes.
        bound: the largest part of its time.

    """

    seconds: float
    flops: float
    read_bytes: float
    write_bytes: float
    bound: Bound


@attrs.frozen
class CommCost:
    """Time of one transfer alone on its links, and the bytes that each device sends."""

    seconds: float
    wire_bytes: float


@attrs.frozen
class Row:
    """One work of a segment in time.

    Attributes:
        index: its place among the works.
        start: seconds after the segment's start.
        seconds: how long it takes, slowed by transfers beside it.
        waited: seconds in which the compute stream stood still for it (0 for ops).
        stream: `compute`, `comm`, `p2p` or `copy`.

    """

    index: int
    start: float
    seconds: float
    waited: float
    stream: str
    flops: float
    bytes: float
    bound: Bound


@attrs.frozen
class SegmentCost:
    """Works of one device, run in order.

    `seconds` is the sum of the compute rows' `seconds` and of all rows' `waited`.

    Attributes:
        seconds: from the first work's start to the end of the last on any stream.
        compute_s: in which the compute stream ran (slowed where transfers ran beside it).
        exposed_comm_s: in which it stood still, by axis (`copy` for transfers to the host).
        hidden_comm_s: transfers that ran beside compute.
        rows: one a work, in order.

    """

    seconds: float
    compute_s: float = 0.0
    exposed_comm_s: Mapping[str, float] = attrs.field(factory=dict)
    hidden_comm_s: float = 0.0
    rows: tuple[Row, ...] = ()
