"""What a simulation leaves behind: columns of events, frozen once the run is over."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np
import numpy.typing as npt

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

#: Kinds of task by code (the `kind` column).
TASKS = (
    "forward", "backward", "weight", "send", "reduce", "gather", "optimizer", "prefill", "decode",
    "mixed", "host",
)
#: Memory categories.
CATEGORIES = (
    "weights", "gradients", "optimizer", "activations", "kv_cache", "transient", "buffers",
    "reserve",
)

#: What the time of a training run over its token budget goes to.
CAUSES = ("useful", "checkpoints", "lost_work", "detection", "restart", "waiting", "planned",
          "stragglers")

@attrs.frozen(eq=False)
class Tasks:
    """One row a task: which rank class, what, when, on which stream."""

    rank: Ints
    kind: Ints
    chunk: Ints
    micro_batch: Ints
    start: Floats
    end: Floats
    stream: Ints


@attrs.frozen(eq=False)
class Memory:
    """Memory over time: the bytes of a category on a rank class from `time` on."""

    rank: Ints
    category: Ints
    time: Floats
    bytes: Floats


@attrs.frozen(eq=False)
class Links:
    """Use of links: one row a transfer or collective.

    Attributes:
        flow: which of `flows`, each a name and an axis.

    """

    rank: Ints
    flow: Ints
    flows: tuple[tuple[str, str], ...]
    start: Floats
    end: Floats
    bytes: Floats

    @staticmethod
    def none() -> Links:
        """Return no use of links."""
        ints, floats = np.zeros(0, dtype=np.int32), np.zeros(0)
        return Links(ints, ints, (), floats, floats, floats)


@attrs.frozen(eq=False)
class Requests:
    """One row a request of a serving run; times in seconds, `finished` NaN-free (all finish).

    `cached` are the tokens of the prompt that were in the cache when it was first scheduled;
    `variant` of the weights which it asked for, -1 for none; `replica` that it ended on; `number`
    counts from 0 in order of arrival, requests that were turned away included.
    """

    arrived: Floats
    admitted: Floats
    first_token: Floats
    finished: Floats
    prompt: Ints
    output: Ints
    preemptions: Ints
    cached: Ints
    variant: Ints
    replica: Ints
    number: Ints


@attrs.frozen(eq=False)
class Iterations:
    """One row a serving iteration, or a run of equal decode iterations (`steps` of them).

    `running` are the sequences under way, those in prefill too; `kv_blocks` the blocks of the cache
    that they hold at the end; `server` is the number of the scheduler whose they are.
    """

    start: Floats
    end: Floats
    kv_tokens: Floats
    steps: Ints
    prefill_tokens: Ints
    decode_sequences: Ints
    waiting: Ints
    running: Ints
    kv_blocks: Ints
    server: Ints


@attrs.frozen(eq=False)
class Service:
    """What a server's run was beside its requests and iterations.

    Attributes:
        servers: schedulers, each with `blocks` blocks of the cache of `block` tokens.
        gaps: seconds of waits for a further token that no decode step alone explains, and for how
            many tokens each; less than none of a step that such a wait was part of.
        there: share of the time, over all replicas, in which they were there.
        replicas: (seconds, number) of replicas that took requests; empty where they all always did.
        swapped: blocks that went to the hosts' memory or came back.
        sent: seconds in which a cache was on its way from one replica to another.
        loads: variants of weights that were brought to a device.

    """

    servers: int
    blocks: int
    block: int
    gaps: tuple[Floats, Ints]
    there: float = 1.0
    replicas: tuple[tuple[float, int], ...] = ()
    swapped: int = 0
    sent: float = 0.0
    loads: int = 0


@attrs.frozen
class Rejection:
    """A request that no server can ever serve, and why."""

    request: int
    arrived: float
    prompt: int
    output: int
    reason: str


@attrs.frozen
class Fit:
    """Whether memory suffices on a rank class, and what is missing if not.

    Attributes:
        peak_bytes: the most that the device has given out at once.
        allocated_bytes: the most that tensors take at once.

    """

    rank: int
    peak_bytes: float
    capacity_bytes: float
    by_category: Mapping[str, float]
    host_bytes: float = 0.0
    host_capacity_bytes: float = 0.0
    allocated_bytes: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the peak is within capacity, on the device and on its host."""
        return (
            self.peak_bytes <= self.capacity_bytes and self.host_bytes <= self.host_capacity_bytes
        )


@attrs.frozen(eq=False)
class Trace:
    """A finished run.

    Attributes:
        makespan: seconds from start to the last event.
        prefill_s, decode_s: single-batch inference only: time to first token and of the decode.
        exposed: seconds a device waited for each cause, averaged over devices: `collective:<axis>`,
            `send`, `bubble`, `reduce`, `gather`, `host`, `copy`, `idle` (no request to serve). The
            rest of the makespan it computed.
        iterations: inference only; pieces in order of their start.
        rejected: serving only; requests that are in no other column.

    """

    scenario: Scenario
    plan: Plan
    makespan: float
    tasks: Tasks
    memory: Memory
    links: Links
    fits: tuple[Fit, ...]
    exposed: Mapping[str, float]
    requests: Requests | None = None
    iterations: tuple[Iterations, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    service: Service | None = None
    prefill_s: float | None = None
    decode_s: float | None = None
