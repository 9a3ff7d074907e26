"""What a plan holds, computes and moves on one device, before any time is simulated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs

from llamasim.cost.work import amount, message_bytes
from llamasim.plan.spec import CommWork, OpWork, Plan, RankClass, StepShape, Work
from llamasim.scenario.spec import Scenario
from llamasim.simulate.kv import inference_levels
from llamasim.simulate.memory import fit
from llamasim.simulate.trace import Fit
from llamasim.study.bound import memory_bound

#: Categories of memory that techniques are about; the others follow from them.
CATEGORIES = ("weights", "gradients", "optimizer", "activations", "kv_cache")


@attrs.frozen
class Moved:
    """Collectives of one kind along one axis.

    Attributes:
        when: `step` in training; `prefill` or `decode` in inference.
        size: devices of the group; `count` how many a device takes part in.
        bytes: sum of their messages, as a collectives library counts them.

    """

    when: str
    kind: str
    axis: str
    size: int
    count: float
    bytes: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What is compared between plans."""
        return self.when, self.kind, self.axis


@attrs.frozen
class Measure:
    """The fullest device of a plan.

    Attributes:
        stage: its pipeline stage, of `stages`.
        memory: bytes by category at its peak; of the cache, for the batch (serving: one request).
        total: peak of all categories.
        work: FLOP and bytes by name (`model`, `recompute`, `traffic`; in inference by phase).

    """

    stage: int
    stages: int
    fits: bool
    total: float
    memory: Mapping[str, float]
    work: Mapping[str, float]
    moves: tuple[Moved, ...]


def measure(plan: Plan, scenario: Scenario, like: Measure | None = None) -> Measure:
    """Return what the fullest device of a plan holds, computes and moves.

    `like` is a plan to compare with: with as many stages, the device is of the same stage.
    """
    training = plan.mode == "training"
    fits = memory_bound(plan, scenario) if training else _inference_fits(plan, scenario)
    worst = max(fits, key=lambda f: f.peak_bytes)
    if like is not None and like.stages == len(fits):
        worst = fits[like.stage]
    rank = plan.ranks[worst.rank]
    passes = tuple(_passes(plan, rank, scenario))
    memory = {k: worst.by_category.get(k, 0.0) for k in CATEGORIES}
    return Measure(
        worst.rank, len(plan.ranks), all(f.fits for f in fits), worst.peak_bytes,
        {k: v for k, v in memory.items() if v}, _work(plan, passes), _moves(passes),
    )


def _inference_fits(plan: Plan, scenario: Scenario) -> tuple[Fit, ...]:
    """Return memory with the cache of one batch; while serving, of one longest request."""
    work = scenario.workload
    share = 1 if work.serving else -(-work.batch // max(1, plan.replicas))
    longest = max(work.sequence, round(work.prompt.mean + work.output.mean))
    largest = StepShape.of(1, min(max(1, round(work.prompt.mean)) * share,
                                  max(1, plan.schedule.token_budget)))
    return tuple(
        fit(plan, k, inference_levels(plan, rank, scenario, largest, share * longest, longest),
            scenario)
        for k, rank in enumerate(plan.ranks)
    )


#: Work, what it is counted under, how often a device runs it, and with which shape.
_Pass = tuple[str, Work, float, StepShape]


def _passes(plan: Plan, rank: RankClass, scenario: Scenario) -> Iterator[_Pass]:
    """Yield all work of a device in a training step, or in a prefill and a step of decoding."""
    blocks = Counter(i for c in rank.chunks for i in c.blocks)
    if plan.mode != "training":
        work = scenario.workload
        shapes = {"prefill": plan.step_shape,
                  "decode": StepShape.of(work.batch, plan.schedule.rows, work.prompt.mean)}
        for phase, shape in shapes.items():
            for index, count in blocks.items():
                for w in plan.blocks[index].work.get(phase, ()):
                    yield phase, w, float(count), shape
            yield from _sends(plan, rank, phase, 1.0, shape)
        return
    every, batches = plan.schedule.reduce_every, plan.schedule.micro_batches
    rounds = -(-batches // every) if every else 1
    shape = plan.step_shape
    for index, count in blocks.items():
        for works in plan.blocks[index].work.values():
            for w in works:
                yield "step", w, float(count * batches), shape
        for comm in plan.blocks[index].reduce:
            yield "step", comm, float(count * rounds), shape
    for w in (*rank.step_start, *rank.optimizer, *rank.step_end):
        yield "step", w, 1.0, shape
    yield from _sends(plan, rank, "step", float(batches), shape)


def _sends(
    plan: Plan, rank: RankClass, when: str, times: float, shape: StepShape
) -> Iterator[_Pass]:
    """Yield a stage's sends: results to the next stage, gradients to the one before."""
    if plan.pipeline_send is None:
        return
    last = plan.schedule.stages * plan.schedule.chunks - 1
    forward = sum(c.order < last for c in rank.chunks)
    backward = sum(c.order > 0 for c in rank.chunks) if plan.mode == "training" else 0
    yield when, plan.pipeline_send, times * (forward + backward), shape


def _work(plan: Plan, passes: tuple[_Pass, ...]) -> dict[str, float]:
    found: dict[str, float] = {}
    for when, work, count, shape in passes:
        if not isinstance(work, OpWork):
            continue
        done = amount(work, shape)
        kind = "recompute" if work.part == "recompute" else "model"
        lead = "" if plan.mode == "training" else f"{when} "
        name = kind if plan.mode == "training" else f"{when} work"
        found[name] = found.get(name, 0.0) + count * (done.product_flops + done.plain_flops)
        name = f"{lead}traffic"
        found[name] = found.get(name, 0.0) + count * (done.read + done.write)
    return found


def moved_bytes(work: CommWork, shape: StepShape) -> float:
    """Return the bytes of a collective's or copy's messages in one pass."""
    return work.runs * message_bytes(work, shape)


def _moves(passes: tuple[_Pass, ...]) -> tuple[Moved, ...]:
    found: dict[tuple[str, str, str], Moved] = {}
    for when, work, count, shape in passes:
        if not isinstance(work, CommWork) or not count:
            continue
        size = count * moved_bytes(work, shape)
        key = (when, work.kind, work.group.axis)
        before = found.get(key)
        found[key] = Moved(
            *key, work.group.size, count * work.runs + (before.count if before else 0.0),
            size + (before.bytes if before else 0.0))
    return tuple(found[k] for k in sorted(found))
