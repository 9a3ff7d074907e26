"""A run of works on one device in closed form: compute, collectives and copies on their streams.

Works start in order. A transfer's exposed share stops the compute stream; the rest runs on its own
stream beside what follows (a sum of products beside the product that makes it, cut into tiles: what
follows needs it whole), takes `overlap_tax` of the multiprocessors from it while it runs (copies
run on copy engines and take nothing), and is over by the end of the segment.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import attrs

from llamasim.cost.collectives import comm_cost
from llamasim.cost.machine import Machine
from llamasim.cost.ops import op_cost
from llamasim.cost.records import CommCost, OpCost, Row, SegmentCost
from llamasim.plan.spec import CommWork, OpWork, StepShape, Work
from llamasim.units.many import apart, is_many, larger, smaller

#: Collectives that add up what products leave.
SUMS = ("all_reduce", "reduce_scatter")

EMPTY = SegmentCost(0.0)
#: Below any time, so that a share of no time is nothing.
_LEAST = 1e-30
#: Costs that are remembered.
MOST_KNOWN = 4096


@attrs.frozen
class Passing:
    """Seconds of works run in order, and the shares of them in which their collectives use the
    links inside the node and between nodes.
    """

    seconds: float
    inner: float
    outer: float


@attrs.define
class _Clock:
    """Where the streams of one segment stand. Lives for one call only."""

    tax: float
    now: float = 0.0
    taxed_until: float = 0.0
    taxed: bool = False
    compute: float = 0.0
    hidden: float = 0.0
    #: Seconds of the last product, and of those that make gradients of weights after it.
    making: float = 0.0
    rows: list[Row] = attrs.Factory(list)
    #: When each stream is free: one a kind and axis, as libraries keep one a communicator.
    free: dict[tuple[str, str], float] = attrs.Factory(dict)
    exposed: dict[str, float] = attrs.Factory(dict)

    def run(self, index: int, cost: OpCost, part: str = "forward") -> None:
        """Run an op, slowed while transfers run beside it."""
        self.making = cost.seconds + (self.making if part == "weight_grad" else 0.0)
        start = self.now
        end = start + cost.seconds
        if self.taxed and self.tax > 0:
            # Slowed for as long as it lasts, or until the transfers are over.
            beside = larger(self.taxed_until - start, 0.0)
            end = start + smaller(cost.seconds / (1 - self.tax), cost.seconds + beside * self.tax)
        self.now = end
        self.compute += end - start
        moved = cost.read_bytes + cost.write_bytes
        self.rows.append(
            Row(index, start, end - start, 0.0, "compute", cost.flops, moved, cost.bound)
        )

    def move(self, index: int, work: CommWork, cost: CommCost) -> None:
        """Run a transfer: its exposed share first, the rest beside what follows."""
        key = (work.stream, work.group.axis)
        if work.kind in SUMS and work.hidden > 0:
            self._sum(index, work, cost, key)
            return
        start = larger(self.now, self.free.get(key, 0.0))
        blocked = cost.seconds * (1 - work.hidden)
        waited = start + blocked - self.now if work.hidden < 1 and cost.seconds > 0 else 0.0
        end = start + cost.seconds
        if is_many(waited) or waited > 0:
            self._wait(work, waited)
        self.free[key] = end
        self.hidden += end - (start + blocked)
        if work.stream != "copy" and work.hidden > 0:
            self.taxed_until = larger(self.taxed_until, end)
            self.taxed = True
        self.rows.append(
            Row(index, start, cost.seconds, waited, work.stream, 0.0, cost.wire_bytes,
                "communication")
        )

    def _sum(self, index: int, work: CommWork, cost: CommCost, key: tuple[str, str]) -> None:
        """Run a sum beside the product that makes it; its last tiles come after the product."""
        begin = larger(self.now - self.making, self.free.get(key, 0.0))
        end = larger(begin + cost.seconds, self.now + cost.seconds * (1 - work.hidden))
        beside = cost.seconds - (end - self.now)
        end += larger(beside, 0.0) * self.tax
        waited, self.making = end - self.now, 0.0
        self.hidden += larger(beside, 0.0)
        self._wait(work, waited)
        self.free[key] = end
        self.rows.append(
            Row(index, end - cost.seconds, cost.seconds, waited, work.stream, 0.0,
                cost.wire_bytes, "communication")
        )

    def _wait(self, work: CommWork, seconds: float) -> None:
        self.now += seconds
        cause = "copy" if work.stream == "copy" else work.group.axis
        self.exposed[cause] = self.exposed.get(cause, 0.0) + seconds

    def finish(self, works: tuple[Work, ...]) -> None:
        """Wait for streams that are still busy; the wait is the latest transfer's."""
        last = reduce(larger, self.free.values(), 0.0)
        if is_many(last) or is_many(self.now):
            self.now = larger(self.now, last)
            return
        if last <= self.now:
            return
        for place in range(len(self.rows) - 1, -1, -1):
            row = self.rows[place]
            work = works[row.index]
            if isinstance(work, CommWork) and row.start + row.seconds == last:
                waited = last - self.now
                self.hidden -= waited
                self._wait(work, waited)
                self.rows[place] = attrs.evolve(row, waited=row.waited + waited)
                return


def segment_cost(works: tuple[Work, ...], shape: StepShape, machine: Machine) -> SegmentCost:
    """Return the time of works run in order, and a row for each."""
    if not works:
        return EMPTY
    key = (id(works), shape)
    found = machine.memo.get(key)
    if found is not None and found[0] is works:
        cost: SegmentCost = found[1]
        return cost
    cost = _segment(works, shape, machine)
    if len(machine.memo) > MOST_KNOWN:
        machine.memo.clear()
    machine.memo[key] = (works, cost)
    return cost


def _segment(works: tuple[Work, ...], shape: StepShape, machine: Machine) -> SegmentCost:
    clock = _Clock(min(0.9, machine.runtime.overlap_tax))
    for index, work in enumerate(works):
        if isinstance(work, OpWork):
            clock.run(index, op_cost(work, shape, machine), work.part)
        else:
            clock.move(index, work, comm_cost(work, shape, machine))
    clock.finish(works)
    cost = SegmentCost(
        clock.now, clock.compute, clock.exposed, max(0.0, clock.hidden), tuple(clock.rows)
    )
    return _paced(cost, host_seconds(works, machine))


def passing(
    works: tuple[Work, ...], shape: StepShape, machine: Machine, count: int
) -> Passing:
    """Return what works take for each of `count` configurations: `segment_cost`, seconds alone.

    Amounts of the works and of the shape are those of all (`units.many`), or the same for all.
    """
    clock = _Clock(min(0.9, machine.runtime.overlap_tax))
    links = [0.0, 0.0]
    for index, work in enumerate(works):
        if isinstance(work, OpWork):
            seconds = _known(_op_seconds, count, work, shape, machine)
            clock.run(index, OpCost(seconds, 0.0, 0.0, 0.0, "none"), work.part)
        else:
            seconds = _known(_comm_seconds, count, work, shape, machine)
            clock.move(index, work, CommCost(seconds, 0.0))
            if work.stream != "copy":
                leaves = apart(lambda g: float(g.nodes > 1), count, work.group)
                links = [links[0] + seconds * (1 - leaves), links[1] + seconds * leaves]
    clock.finish(works)
    total = larger(clock.now, host_seconds(works, machine))
    inner, outer = (smaller(s / larger(total, _LEAST), 1.0) for s in links)
    return Passing(total, inner, outer)


def _known(
    function: Callable[..., float], count: int, work: Work, shape: StepShape, machine: Machine
) -> float:
    """Return a work's seconds; families that differ elsewhere share most of their works."""
    key = (count, work, shape)
    found: float | None = machine.memo.get(key)
    if found is None:
        found = apart(function, count, work, shape, machine)
        if len(machine.memo) > MOST_KNOWN:
            machine.memo.clear()
        machine.memo[key] = found
    return found


def _op_seconds(op: OpWork, shape: StepShape, machine: Machine) -> float:
    return op_cost(op, shape, machine).seconds


def _comm_seconds(comm: CommWork, shape: StepShape, machine: Machine) -> float:
    return comm_cost(comm, shape, machine).seconds


def host_seconds(works: tuple[Work, ...], machine: Machine) -> float:
    """Return how long the host takes to issue works: it runs ahead of the device, so this bounds
    the time of all of them from below.
    """
    each = machine.runtime.dispatch_s
    if each <= 0:
        return 0.0
    ops = sum(w.kernels * w.runs * w.pieces * w.launch_scale for w in works
              if isinstance(w, OpWork))
    calls = sum(w.runs for w in works if isinstance(w, CommWork))
    return (ops + calls) * each


def _paced(cost: SegmentCost, host: float) -> SegmentCost:
    """Return a segment whose ops wait for the host, each in proportion to its time, where issuing
    all works takes longer than running them.
    """
    lacking = host - cost.seconds
    if lacking <= 0 or cost.compute_s <= 0:
        return cost
    more, shift, rows = lacking / cost.compute_s, 0.0, []
    for row in cost.rows:
        start, extra = row.start + shift, 0.0
        if row.stream == "compute":
            extra = row.seconds * more
        bound = "launch" if extra > row.seconds else row.bound
        rows.append(attrs.evolve(row, start=start, seconds=row.seconds + extra, bound=bound))
        shift += extra
    return attrs.evolve(cost, seconds=host, compute_s=cost.compute_s + lacking, rows=tuple(rows))
