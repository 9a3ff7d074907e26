"""Durations of the tasks of a training step: what the pipeline simulation needs, and no more.

Seconds only: neither ops nor bytes of activations occur here, so a pipeline can be put together by
hand, and the fast path reads the same record as the simulation.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from llamasim.simulate.orders import closing

#: Blocks whose whole gradients wait for their reduction at the same time.
IN_FLIGHT = 2


@attrs.frozen
class Segment:
    """Work on the compute stream.

    Attributes:
        seconds: how long it takes when nothing else uses its links.
        waits: seconds of it in which the device waits, by cause (`collective:tp`, `copy`).
        inner, outer: share of it in which its own collectives use the links inside the node and
            between nodes beside compute.

    """

    seconds: float = 0.0
    waits: Mapping[str, float] = attrs.field(factory=dict)
    inner: float = 0.0
    outer: float = 0.0
    plain: bool = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "plain", self.inner <= 0 and self.outer <= 0)


@attrs.frozen
class Flow:
    """A transfer or collective beside the compute stream.

    Attributes:
        hidden: share of it that may run beside compute; compute waits for the rest.
        outer: whether it leaves the node.

    """

    name: str
    axis: str
    seconds: float
    hidden: float = 1.0
    bytes: float = 0.0
    outer: bool = True


@attrs.frozen
class Part:
    """A block's share of its chunk's backward pass, and the reductions of its gradients.

    Attributes:
        buffered: whether its gradients are held whole only until they are reduced. Then compute
            waits rather than have more than `IN_FLIGHT` such blocks on the device, as PyTorch FSDP
            does with its reduce-scatters.

    """

    share: float
    reduce: tuple[Flow, ...] = ()
    buffered: bool = False


@attrs.frozen
class ChunkTimes:
    """One chunk on one stage: `parts` in the order of the backward pass (of gradients of weights
    where they are apart), shares adding to 1.
    """

    forward: Segment
    backward: Segment
    parts: tuple[Part, ...] = ()
    weight: Segment = Segment()

    def of(self, kind: int) -> Segment:
        """Return a kind of task: forward, backward, or gradients of weights where they are apart.
        """
        return (self.forward, self.backward, self.weight)[kind]

    @property
    def reduces(self) -> bool:
        """Whether its gradients are reduced at all."""
        return any(p.reduce for p in self.parts)


@attrs.frozen
class StageTimes:
    """One stage: its chunks, the collectives around the step and the update."""

    chunks: tuple[ChunkTimes, ...]
    start: tuple[Flow, ...] = ()
    optimizer: Segment = Segment()
    end: tuple[Flow, ...] = ()


@attrs.frozen
class Timings:
    """A whole step.

    Attributes:
        send: a micro-batch's boundary activation (or its gradient) to the next stage.
        host_s: host time before the step's first kernel.
        tax: share of a device's multiprocessors that a reduction beside compute takes from it.
        chunks: chunks of every stage.

    """

    stages: tuple[StageTimes, ...]
    send: Flow | None = None
    host_s: float = 0.0
    tax: float = 0.0
    pipeline: str = "one_forward_one_backward"
    micro_batches: int = 1
    reduce_every: int = 0
    chunks: int = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "chunks", max(len(s.chunks) for s in self.stages))

    @property
    def closing(self) -> int:
        """The kind of task that completes a micro-batch on a stage."""
        return closing(self.pipeline)

    def closes_round(self, micro_batch: int) -> bool:
        """Whether gradients are reduced after this micro-batch's backward pass."""
        if micro_batch == self.micro_batches - 1:
            return True
        return self.reduce_every > 0 and (micro_batch + 1) % self.reduce_every == 0
