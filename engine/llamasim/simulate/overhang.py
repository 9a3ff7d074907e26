"""What copies of the cache take longer than the work that they run beside, in a serving step.

A block's copies run beside its own work and are over by its end, as in `cost.segment`: what they
take beyond it is waited for, however much of them may overlap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from llamasim.cost import comm_cost
from llamasim.plan.spec import CommWork, StepShape, Work
from llamasim.simulate.costing import Costs
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepwork import parted, seconds_of

#: Works of a block that no cache changes, and those that it does.
Parted = tuple[tuple[Work, ...], tuple[Work, ...]]


@attrs.frozen(eq=False)
class Copies:
    """Blocks whose cache is copied in beside their work.

    Attributes:
        stages: of each stage, how many there are of each such block, and its works by phase.

    """

    costs: Costs
    stages: tuple[tuple[tuple[int, dict[str, Parted]], ...], ...]

    @staticmethod
    def of(work: StageWork) -> Copies | None:
        """Return the blocks of a plan with such copies; None where there are none."""
        costs, stages = work.costs, []
        for rank in work.plan.ranks:
            counts = Counter(b for c in rank.chunks for b in c.blocks)
            parts = {b: {p: parted(costs, b, p) for p in ("prefill", "decode")} for b in counts}
            stages.append(tuple(
                (counts[b], both) for b, both in parts.items()
                if any(isinstance(w, CommWork) for _, varying in both.values() for w in varying)
            ))
        return Copies(costs, tuple(stages)) if any(stages) else None

    def beyond(
        self, bare: StepShape, parts: Sequence[tuple[str, StepShape]]
    ) -> tuple[float, ...]:
        """Return the seconds on each stage in which copies outlast the work beside them.

        `bare` is the whole step; `parts` are its sequences by the phase that they are in, those
        that decide what the rest of the step does first.
        """
        return tuple(
            sum(count * self._beyond(both, bare, parts) for count, both in stage)
            for stage in self.stages
        )

    def _beyond(
        self, both: dict[str, Parted], bare: StepShape, parts: Sequence[tuple[str, StepShape]]
    ) -> float:
        fixed = both[parts[0][0]][0]
        work, copies = self.costs.work(fixed, bare).seconds, self._copies(fixed, bare)
        for phase, shape in parts:
            varying = both[phase][1]
            work += sum(seconds_of(w, shape, self.costs.machine) for w in varying)
            copies += self._copies(varying, shape)
        return max(0.0, copies - work)

    def _copies(self, works: Iterable[Work], shape: StepShape) -> float:
        return sum(
            comm_cost(w, shape, self.costs.machine).seconds
            for w in works if isinstance(w, CommWork) and w.stream == "copy"
        )
