"""A run of works on one device in closed form: compute, collectives and copies on their streams.

Works start in order. A transfer's exposed share stops the compute stream; the rest runs on its own
stream beside what follows, takes `overlap_tax` of the multiprocessors from it while it runs (copies
run on copy engines and take nothing), and is over by the end of the segment.
"""

from __future__ import annotations

import attrs

from llamasim.cost.collectives import comm_cost
from llamasim.cost.machine import Machine
from llamasim.cost.ops import op_cost
from llamasim.cost.records import CommCost, OpCost, Row, SegmentCost
from llamasim.plan.spec import CommWork, OpWork, StepShape, Work

EMPTY = SegmentCost(0.0)


@attrs.define
class _Clock:
    """Where the streams of one segment stand. Lives for one call only."""

    tax: float
    now: float = 0.0
    taxed_until: float = 0.0
    compute: float = 0.0
    hidden: float = 0.0
    rows: list[Row] = attrs.Factory(list)
    #: When each stream is free: one a kind and axis, as libraries keep one a communicator.
    free: dict[tuple[str, str], float] = attrs.Factory(dict)
    exposed: dict[str, float] = attrs.Factory(dict)

    def run(self, index: int, cost: OpCost) -> None:
        """Run an op, slowed while transfers run beside it."""
        start = self.now
        end = start + cost.seconds
        beside = self.taxed_until - start
        if beside > 0 and self.tax > 0:
            done = beside * (1 - self.tax)
            if done >= cost.seconds:
                end = start + cost.seconds / (1 - self.tax)
            else:
                end += beside - done
        self.now = end
        self.compute += end - start
        moved = cost.read_bytes + cost.write_bytes
        self.rows.append(
            Row(index, start, end - start, 0.0, "compute", cost.flops, moved, cost.bound)
        )

    def move(self, index: int, work: CommWork, cost: CommCost) -> None:
        """Run a transfer: its exposed share first, the rest beside what follows."""
        key = (work.stream, work.group.axis)
        start = max(self.now, self.free.get(key, 0.0))
        blocked = cost.seconds * (1 - work.hidden)
        waited = start + blocked - self.now if blocked > 0 else 0.0
        end = start + cost.seconds
        if waited > 0:
            self._wait(work, waited)
        self.free[key] = end
        self.hidden += end - (start + blocked)
        if work.stream != "copy" and work.hidden > 0:
            self.taxed_until = max(self.taxed_until, end)
        self.rows.append(
            Row(index, start, cost.seconds, waited, work.stream, 0.0, cost.wire_bytes,
                "communication")
        )

    def _wait(self, work: CommWork, seconds: float) -> None:
        self.now += seconds
        cause = "copy" if work.stream == "copy" else work.group.axis
        self.exposed[cause] = self.exposed.get(cause, 0.0) + seconds

    def finish(self, works: tuple[Work, ...]) -> None:
        """Wait for streams that are still busy; the wait is the latest transfer's."""
        last = max(self.free.values(), default=0.0)
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
    if len(machine.memo) > 4096:
        machine.memo.clear()
    machine.memo[key] = (works, cost)
    return cost


def _segment(works: tuple[Work, ...], shape: StepShape, machine: Machine) -> SegmentCost:
    clock = _Clock(min(0.9, machine.runtime.overlap_tax))
    for index, work in enumerate(works):
        if isinstance(work, OpWork):
            clock.run(index, op_cost(work, shape, machine))
        else:
            clock.move(index, work, comm_cost(work, shape, machine))
    clock.finish(works)
    return SegmentCost(
        clock.now, clock.compute, clock.exposed, max(0.0, clock.hidden), tuple(clock.rows)
    )
