"""One batch of equal sequences: prefill in chunks, then decode to the last token.

A replica decodes its share of the batch; replicas work side by side. With several stages the
prefill's chunks follow one another through them, while a decode step passes them in turn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import attrs
import numpy as np

from llamasim.plan.spec import Plan, StepShape
from llamasim.scenario.spec import Scenario
from llamasim.simulate.issue import Issue
from llamasim.simulate.kv import inference_levels, kv_bytes
from llamasim.simulate.levels import table
from llamasim.simulate.memory import fit
from llamasim.simulate.rows import IterationRows, TaskRows
from llamasim.simulate.spool import ordered
from llamasim.simulate.stagework import StageWork, StepTime
from llamasim.simulate.trace import TASKS, Links, Trace

PREFILL, DECODE = TASKS.index("prefill"), TASKS.index("decode")
#: Relative deviation from a straight line below which a run of decode steps counts as straight.
STRAIGHT = 1e-7


def run_batch(plan: Plan, scenario: Scenario) -> Trace:
    """Simulate prefill and decode of a batch.

    The prefill makes the first token, so the decode makes `output - 1`; all `output` of them where
    the prompt is empty.
    """
    run = _Run(plan, StageWork.of(plan, scenario), _share(plan, scenario))
    prompt, output = round(scenario.workload.prompt.mean), round(scenario.workload.output.mean)
    if prompt:
        run.prefill(prompt)
    prefill_s = run.now
    run.decode(prompt, output - 1 if prompt else output)
    longest = max(scenario.workload.sequence, prompt + output)
    largest = run.largest or StepShape.of(run.batch, 1)
    levels = [
        inference_levels(plan, rank, scenario, largest, run.batch * longest, longest)
        for rank in plan.ranks
    ]
    return Trace(
        scenario=scenario,
        plan=plan,
        makespan=run.now,
        tasks=run.tasks.build(),
        memory=table(enumerate(levels)),
        links=Links.none(),
        fits=tuple(
            fit(plan, i, v, scenario, run.batch * kv_bytes(plan, plan.ranks[i], longest, "host"))
            for i, v in enumerate(levels)
        ),
        exposed=run.exposed(),
        iterations=ordered([run.iterations], np.inf),
        prefill_s=prefill_s,
        decode_s=run.now - prefill_s,
    )


def _share(plan: Plan, scenario: Scenario) -> int:
    return math.ceil(scenario.workload.batch / max(1, plan.replicas))


def prefill_chunks(batch: int, prompt: int, budget: int) -> Iterator[StepShape]:
    """Yield the steps of a prefill: whole prompts one after another, cut at the token budget."""
    shape, room = None, budget
    for _ in range(batch):
        done = 0
        while done < prompt:
            take = min(prompt - done, room)
            part = StepShape.of(1, take, done)
            shape = part if shape is None else shape + part
            done, room = done + take, room - take
            if room == 0:
                yield shape
                shape, room = None, budget
    if shape is not None:
        yield shape


def straight_runs(
    time_at: Callable[[int], float], start: int, steps: int
) -> Iterator[tuple[int, float, float]]:
    """Cut steps `start`, `start + 1`, ... into runs whose times rise in a straight line.

    Yields the count of each run and the times of its first and last step. A step's time is affine
    in the context between the points where an op's bound changes.
    """
    pending = [(start, start + steps - 1)] if steps > 0 else []
    while pending:
        first, last = pending.pop()
        a, b = time_at(first), time_at(last)
        middle = (first + last) // 2
        if last - first > 1:
            line = a + (b - a) * (middle - first) / (last - first)
            if abs(time_at(middle) - line) > STRAIGHT * line:
                pending += [(middle + 1, last), (first, middle)]
                continue
        yield last - first + 1, a, b


@attrs.define(eq=False, repr=False)
class _Run:
    """The replica's clock and what it has recorded."""

    plan: Plan
    work: StageWork
    batch: int
    now: float = 0.0
    largest: StepShape | None = None
    tasks: TaskRows = attrs.Factory(TaskRows)
    iterations: IterationRows = attrs.Factory(IterationRows)
    _waits: dict[str, float] = attrs.Factory(dict)
    _busy: float = 0.0

    def prefill(self, prompt: int) -> None:
        """Run all prompts through the stages, chunk after chunk."""
        budget = max(1, self.plan.schedule.token_budget)
        issue = Issue.of(self.plan, self.work.costs.machine)
        free = [0.0] * len(self.plan.ranks)
        for number, shape in enumerate(prefill_chunks(self.batch, prompt, budget)):
            if self.largest is None or shape.tokens > self.largest.tokens:
                self.largest = shape
            time = self.work.step("prefill", shape)
            begin = max(free[0], issue.now)
            self._account(time, 1)
            at = begin + time.host_s
            for stage, seconds in enumerate(time.stages):
                start = max(at, free[stage], issue.now)
                free[stage] = start + seconds
                issue.given(stage, start, free[stage])
                self.tasks.add(stage, PREFILL, 0, number, start, free[stage])
                at = free[stage] + time.send_s
            self.iterations.add(begin, free[-1], 1, round(shape.tokens), 0, shape.kv_tokens)
        self.now = free[-1]

    def decode(self, context: int, tokens: int) -> None:
        """Make further tokens for every sequence, from `context` cached tokens each."""
        schedule = self.plan.schedule
        steps = math.ceil(tokens / schedule.tokens_out) if tokens > 0 else 0
        known: dict[int, StepTime] = {}

        def time_at(step: int) -> float:
            if step not in known:
                cached = context + step * schedule.tokens_out
                known[step] = self.work.step(
                    "decode", StepShape.of(self.batch, schedule.rows, cached)
                )
            return known[step].latency

        done = 0
        for count, first, last in straight_runs(time_at, 0, steps):
            begin = self.now
            self.now += count * (first + last) / 2
            ends = (known[done], known[done + count - 1])
            for time in ends:
                self._account(time, count / 2)
            self._decode_tasks(begin, ends, count, done)
            done += count
            cached = self.batch * (context + (done - 1) * schedule.tokens_out + schedule.rows)
            self.iterations.add(begin, self.now, count, 0, self.batch, cached)

    def _decode_tasks(
        self, begin: float, ends: tuple[StepTime, StepTime], count: int, number: int
    ) -> None:
        # One row a stage for the run of steps, as long as the stage was at work in it.
        at = begin + count * ends[0].host_s
        for stage in range(len(self.plan.ranks)):
            seconds = count * (ends[0].stages[stage] + ends[1].stages[stage]) / 2
            self.tasks.add(stage, DECODE, 0, number, at, at + seconds)
            at += seconds + count * (ends[0].send_s + ends[0].hop_host_s)

    def _account(self, time: StepTime, count: float) -> None:
        ranks = self.plan.ranks
        devices = sum(r.multiplicity for r in ranks)
        self._busy += count * sum(
            s * r.multiplicity / devices for s, r in zip(time.stages, ranks, strict=True)
        )
        for cause, seconds in time.waits.items():
            self._add(cause, seconds * count)
        hops = len(ranks) - 1
        self._add("host", (time.host_s + time.hop_host_s * hops) * count)
        self._add("send", time.send_s * hops * count)

    def _add(self, cause: str, seconds: float) -> None:
        if seconds > 0:
            self._waits[cause] = self._waits.get(cause, 0.0) + seconds

    def exposed(self) -> dict[str, float]:
        """Return what a device waited for; the rest of the time other stages were at work."""
        outside = self._waits.get("host", 0.0) + self._waits.get("send", 0.0)
        rest = self.now - self._busy - outside
        waits = dict(self._waits)
        if len(self.plan.ranks) > 1:
            if rest < 0:
                # Sends and host time ran while other chunks kept the stages busy.
                scale = max(0.0, (self.now - self._busy) / outside) if outside else 0.0
                waits.update({k: waits[k] * scale for k in ("host", "send") if k in waits})
            elif rest > 1e-12:
                waits["bubble"] = rest
        return dict(sorted(waits.items()))
