"""How far a host runs ahead of the devices that it issues kernels to.

A driver takes a bounded number of kernels for each device; a host that has more of them waits until
enough are done. One host that issues the stages of a prompt's chunks in turn can only keep several
chunks on their way where a stage's kernels of a chunk fit into that bound.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from llamasim.cost import Machine
from llamasim.plan.spec import OpWork, Plan, RankClass


@attrs.define(eq=False, repr=False)
class Issue:
    """The clock of a host that issues chunks of prompts to stages in turn.

    Attributes:
        chunks: how many chunks' kernels the driver takes for each stage; 0 where it takes all.
        now: when the host has issued all that it was given.

    """

    chunks: tuple[float, ...]
    now: float = 0.0
    _runs: tuple[list[tuple[float, float]], ...] = ()

    @staticmethod
    def of(plan: Plan, machine: Machine) -> Issue:
        """Return the host's clock at the beginning of a prefill."""
        queue = machine.runtime.launch_queue
        kernels = (kernels_of(plan, rank, machine) for rank in plan.ranks)
        chunks = tuple(queue / max(1.0, k) for k in kernels)
        return Issue(chunks, 0.0, tuple([] for _ in chunks))

    def given(self, stage: int, start: float, end: float) -> None:
        """Issue a chunk to a stage that runs it from `start` to `end`.

        The host goes on when all kernels of the stage but those that the driver takes are done.
        """
        room = self.chunks[stage]
        if room <= 0:
            return
        runs = self._runs[stage]
        runs.append((start, end))
        done = len(runs) - room
        if done > 0:
            number = int(done)
            begun, over = runs[number]
            self.now = max(self.now, begun + (done - number) * (over - begun))


def kernels_of(plan: Plan, rank: RankClass, machine: Machine) -> float:
    """Return the kernels that a chunk of a prompt launches on a stage: those of its ops, those
    that cast what its products take and make, and those that unpack their weights.
    """
    runtime = machine.runtime
    total = 0.0
    for op in _ops(plan, rank):
        each = op.kernels * runtime.kernels_per_op
        if op.kind in PRODUCTS:
            each += runtime.product_kernels
            each += runtime.unpack_rows > 0 and op.format is not None and op.n > 0
        total += each * op.runs * op.pieces
    return total


#: Ops that multiply matrices.
PRODUCTS = ("matmul", "scores", "context", "fused_attention")


def _ops(plan: Plan, rank: RankClass) -> Iterator[OpWork]:
    for chunk in rank.chunks:
        for index in chunk.blocks:
            for work in plan.blocks[index].work.get("prefill", ()):
                if isinstance(work, OpWork):
                    yield work
