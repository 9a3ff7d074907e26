"""A scenario as the engine sees it: every name resolved to a catalog record, every field frozen.

Spans of the YAML fields stay beside it in `spans`, keyed by dotted path (`workload.sequence`), so
that any later stage can point at the user's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from llamasim.catalog.recordings import Recording
from llamasim.catalog.specs import Device, Fabric, Host, Model, Runtime
from llamasim.diagnostics import Span
from llamasim.scenario.reliability import Reliability
from llamasim.units import Quantity

#: What a parameter of a technique may be given as.
Value = bool | str | Quantity


@attrs.frozen
class Cluster:
    """The machines: `nodes` x `devices_per_node` equal devices.

    Attributes:
        inner: links the devices of a node; None on a single device.
        outer: links the nodes; bandwidth is one device's share of its node's ports.
        host_link: between one device and its host's memory.
        usd_per_hour: of one node; None when no price is known.

    """

    device: Device
    nodes: int
    devices_per_node: int
    inner: Fabric | None
    outer: Fabric | None
    host: Host
    host_link: Fabric
    usd_per_hour: float | None = None
    price_source: str = ""

    @property
    def devices(self) -> int:
        """All devices."""
        return self.nodes * self.devices_per_node


@attrs.frozen
class Length:
    """How many tokens a request has: a fixed number, drawn, or as recorded for it.

    Attributes:
        mean: of what is drawn or recorded.
        digest: of the recorded lengths (`empirical` draws from them, `recorded` repeats them).
        known: these lengths, in order of arrival.

    """

    distribution: Literal["fixed", "uniform", "lognormal", "empirical", "recorded"]
    mean: float
    cv: float = 0.0
    digest: str = ""
    known: Any = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Arrivals:
    """How requests arrive.

    Attributes:
        process: `closed` keeps `concurrency` requests in flight; `poisson` and `gamma` draw gaps;
            `stepped` and `diurnal` draw them at a rate that changes; `batch` brings all requests
            at time zero; `replay` repeats a recording.
        rate: requests per second for the open processes; the mean where it changes.
        cv: coefficient of variation of the gaps.
        rates: (seconds, requests per second) from each time on.
        period_s, swing: the rate is `rate (1 - swing cos(2 pi t / period))`.
        speed: how much faster than recorded requests come.
        digest: of the recording.
        recording: what is repeated.

    """

    process: Literal["closed", "poisson", "gamma", "batch", "stepped", "diurnal", "replay"]
    requests: int
    rate: float = 0.0
    cv: float = 1.0
    concurrency: int = 1
    rates: tuple[tuple[float, float], ...] = ()
    period_s: float = 86400.0
    swing: float = 0.5
    speed: float = 1.0
    digest: str = ""
    recording: Recording | None = attrs.field(default=None, eq=False, repr=False)


@attrs.frozen
class Workload:
    """The job.

    Attributes:
        mode: `training` (fine-tuning too) or `inference`.
        dtype: arithmetic and storage of what no technique changes.
        sequence: tokens per sequence in training; longest context that memory is kept for in
            inference (prompt + output unless given).
        global_batch: sequences per optimizer step over all devices.
        micro_batch: sequences per forward pass on one device.
        optimizer: `adamw`, `sgd`, `momentum`, `adafactor`.
        token_budget: tokens the whole training run processes, for days and dollars.
        batch: sequences that decode together, without `arrivals`.
        prompt, output: lengths of inference requests.
        arrivals: present for serving.
        longest: most tokens of a request that a server takes; None: any.
        shared_prefix: first tokens of each prompt that are one of `prefixes` texts.
        variants: of the model, of which each request asks for one; how often each is asked for
            falls with its place by a power of `variant_skew` (Zipf; 0: all as often).

    """

    mode: Literal["training", "inference"]
    dtype: str
    sequence: int
    global_batch: int = 1
    micro_batch: int = 1
    optimizer: str = "adamw"
    token_budget: float | None = None
    batch: int = 1
    prompt: Length = Length("fixed", 512)
    output: Length = Length("fixed", 128)
    arrivals: Arrivals | None = None
    shared_prefix: int = 0
    prefixes: int = 1
    variants: int = 1
    variant_skew: float = 0.0
    longest: int | None = None
    slo_ttft_s: float | None = None
    slo_tpot_s: float | None = None
    slo_latency_s: float | None = None

    @property
    def serving(self) -> bool:
        """Whether requests arrive over time."""
        return self.arrivals is not None


@attrs.frozen
class Use:
    """One technique in `use:`.

    Attributes:
        instance: name of this use, unique in the scenario (the technique's unless `as` is given).
        technique: full dotted name, `family.module.technique`.
        args: parameters as given.
        scope: a glob that narrows all its rules, or None.

    """

    instance: str
    technique: str
    args: Mapping[str, Value]
    span: Span = attrs.field(eq=False, repr=False)
    arg_spans: Mapping[str, Span] = attrs.field(factory=dict, eq=False, repr=False)
    scope: str | None = None


@attrs.frozen
class Choice:
    """One knob of `choices:`: alternatives that `optimize` tries.

    Attributes:
        label: how the knob is called in tables.
        options: alternative sets of uses; each is (label, uses to add or override).

    """

    label: str
    options: tuple[tuple[str, tuple[Use, ...]], ...]


@attrs.frozen
class Objective:
    """What `optimize` ranks by: a summary field, and its direction."""

    metric: str = "tokens_per_s"
    maximize: bool = True


@attrs.frozen
class Scenario:
    """Everything a run depends on."""

    name: str
    edition: int
    model: Model
    cluster: Cluster
    runtime: Runtime
    workload: Workload
    mesh_order: tuple[str, ...]
    use: tuple[Use, ...]
    prefer: Mapping[str, str]
    choices: tuple[Choice, ...] = ()
    objective: Objective = Objective()
    reliability: Reliability | None = None
    seed: int = 0
    rule_paths: tuple[str, ...] = attrs.field(default=(), eq=False)
    spans: Mapping[str, Span] = attrs.field(factory=dict, eq=False, repr=False)
    #: Path of a field that was not given -> what was taken and why (`cluster.inner`).
    inferred: Mapping[str, str] = attrs.field(factory=dict, eq=False, repr=False)
