"""What a training job suffers and how it recovers, as the engine sees it."""

from __future__ import annotations

import attrs


@attrs.frozen
class Checkpointing:
    """How the state of a training job is saved.

    Attributes:
        interval_s: training time between two checkpoints; None: the best there is.
        asynchronous: whether training goes on once the state is in the hosts' memory.
        storage: bytes/s that the cluster's storage takes and gives in all; None: no limit of its
            own.
        node_storage: bytes/s between one node and the storage; None: no limit of its own.
        pause_s: for which all devices stand still at each checkpoint, beside moving bytes; copying
            a few hundred MB and what goes with it takes "several seconds" (arXiv:2402.15627,
            section 4.4).

    """

    interval_s: float | None = None
    asynchronous: bool = False
    storage: float | None = None
    node_storage: float | None = None
    pause_s: float = 3.0


@attrs.frozen
class Stragglers:
    """Devices that are slower than healthy ones, whose own differences belong to the step.

    Attributes:
        share: of devices that are slow; which ones is drawn at each start of the job.
        slowdown: further time that a slow device takes to compute the same.
        jitter: standard deviation of each device's time for a step, over its mean.

    """

    share: float = 0.0
    slowdown: float = 0.0
    jitter: float = 0.0


@attrs.frozen
class Reliability:
    """Failures of a training job, and what is done about them.

    Attributes:
        device_mtbf_s, node_mtbf_s: mean time of one device, of one node, between failures that end
            the job; None: it has none.
        shape: of the Weibull distribution of the times between failures; 1 is exponential.
        repair_share: share of failures that take a node out of service; 78 % of those of Llama 3
            405B were of hardware (arXiv:2407.21783, section 3.3.4).
        planned_s: time between planned interruptions; None: there are none.
        detection_s: from a failure to the decision to start again; a silent rank is given up after
            300 s by NVIDIA's Resiliency Extension as its documentation sets it up.
        restart_s: from there until the job would train, without loading its state; 5 minutes are
            what arXiv:2410.21680 reckons with.
        spares: nodes that stand by; None: there is always another one.
        repair_s: mean time until a failed node can be used again; a day is an assumption.
        trials: how often the job is drawn.

    """

    device_mtbf_s: float | None
    node_mtbf_s: float | None = None
    shape: float = 1.0
    repair_share: float = 0.78
    planned_s: float | None = None
    detection_s: float = 300.0
    restart_s: float = 300.0
    spares: int | None = None
    repair_s: float = 86400.0
    trials: int = 400
    checkpoint: Checkpointing = Checkpointing()
    stragglers: Stragglers = Stragglers()
