"""Seconds of a serving step, for any mix of prefill and decode, quick to ask again and again.

Only attention depends on how much is cached, and only a few ops on the number of sequences. So the
rest is costed once on a grid of token counts and read off along straight lines; attention is costed
for the step's own pairs. Decode steps are exact at every batch, and straight between grid points
of the cached tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from llamasim.cost import Machine, comm_cost, op_cost
from llamasim.plan.spec import CommWork, StepShape, Work
from llamasim.simulate.costing import Costs, total
from llamasim.simulate.stagework import StageWork, StepTime
from llamasim.simulate.timings import Segment
from llamasim.simulate.trace import Floats

#: Grid points to a doubling: four keep the steps that matmuls take by tiles within a few percent.
TOKEN_STEPS = 4
KV_STEPS = 8


def grid(value: float, steps: int) -> tuple[float, float]:
    """Return the grid points on both sides of a value, whole numbers, `steps` a doubling."""
    if value <= 1:
        return (0.0, 1.0) if value < 1 else (1.0, 1.0)
    octave = 1 << (int(value).bit_length() - 1)
    if octave < steps:
        low = float(int(value))
        return (low, low) if low == value else (low, low + 1)
    width = octave / steps
    low = octave + int((value - octave) / width) * width
    return (low, low) if low == value else (low, low + width)


@attrs.frozen(eq=False)
class _Blocks:
    """A stage's works in one phase: those that no cache changes, and attention with its counts."""

    fixed: tuple[tuple[tuple[Work, ...], int], ...]
    attention: tuple[tuple[Work, int], ...]


@attrs.define(eq=False)
class StepCosts:
    """Step times of one plan."""

    work: StageWork
    _stages: dict[str, tuple[_Blocks, ...]] = attrs.Factory(dict)
    _fixed: dict[tuple[str, float, float], tuple[Segment, ...]] = attrs.Factory(dict)
    _read: dict[tuple[str, float, float], tuple[Segment, ...]] = attrs.Factory(dict)
    _decode: dict[tuple[int, float], StepTime] = attrs.Factory(dict)

    def decode(self, sequences: int, cached: float) -> float:
        """Return the latency of a decode step that reads `cached` tokens in all."""
        low, high = grid(cached, KV_STEPS)
        a = self.decode_at(sequences, low).latency
        if low == high:
            return a
        b = self.decode_at(sequences, high).latency
        return a + (b - a) * (cached - low) / (high - low)

    def decode_many(
        self, sequences: int, cached: float, growth: float, steps: int
    ) -> Floats:
        """Return the latencies of decode steps whose cache grows by `growth` tokens each."""
        last = cached + growth * (steps - 1)
        points = [grid(cached, KV_STEPS)[0]]
        while points[-1] < last:
            points.append(grid(points[-1] + 0.5, KV_STEPS)[1])
        values = [self.decode_at(sequences, p).latency for p in points]
        seconds: Floats = np.interp(cached + growth * np.arange(steps), points, values)
        return seconds

    def decode_at(self, sequences: int, cached: float) -> StepTime:
        """Return a decode step in full."""
        found = self._decode.get((sequences, cached))
        if found is None:
            rows = self.work.plan.schedule.rows
            shape = StepShape(sequences * rows, sequences, cached * rows, cached * rows, cached)
            found = self._step("decode", shape, self._whole("decode", shape))
            self._decode[sequences, cached] = found
        return found

    def mixed(self, shape: StepShape) -> StepTime:
        """Return the time of a step with prefill in it."""
        return self._step("prefill", shape, self._interpolated("prefill", shape))

    def _step(self, phase: str, shape: StepShape, fixed: tuple[Segment, ...]) -> StepTime:
        machine, plan = self.work.costs.machine, self.work.plan
        seconds = []
        for stage, segment in zip(self._split(phase), fixed, strict=True):
            attention = sum(_seconds(w, shape, machine) * n for w, n in stage.attention)
            seconds.append(segment.seconds + attention)
        return StepTime(
            tuple(seconds), self.work.send_s(shape), self.work.host_s,
            _mean_waits(plan.ranks[0].multiplicity, fixed),
        )

    def _interpolated(self, phase: str, shape: StepShape) -> tuple[Segment, ...]:
        key = (phase, shape.tokens, shape.sequences)
        found = self._read.get(key)
        if found is None:
            low, high = grid(shape.tokens, TOKEN_STEPS)
            few, many = grid(shape.sequences, 1)
            found = self._on_grid(phase, low, few)
            if high > low:
                across = (shape.tokens - low) / (high - low)
                found = _along(found, found, self._on_grid(phase, high, few), across)
            if many > few:
                # Sequences change the logits alone, whatever the tokens are.
                up = (shape.sequences - few) / (many - few)
                found = _along(
                    found, self._on_grid(phase, low, few), self._on_grid(phase, low, many), up
                )
            self._read[key] = found
        return found

    def _on_grid(self, phase: str, tokens: float, sequences: float) -> tuple[Segment, ...]:
        return self._whole(phase, StepShape(tokens, sequences, 0.0, 0.0, 0.0))

    def _whole(self, phase: str, shape: StepShape) -> tuple[Segment, ...]:
        key = (phase, shape.tokens, shape.sequences)
        found = self._fixed.get(key)
        if found is None:
            costs = self.work.costs
            bare = StepShape(shape.tokens, shape.sequences, 0.0, 0.0, 0.0)
            found = tuple(
                total((costs.work(works, bare), n) for works, n in stage.fixed)
                for stage in self._split(phase)
            )
            self._fixed[key] = found
        return found

    def _split(self, phase: str) -> tuple[_Blocks, ...]:
        found = self._stages.get(phase)
        if found is None:
            found = tuple(
                _blocks(self.work.costs, [b for c in rank.chunks for b in c.blocks], phase)
                for rank in self.work.plan.ranks
            )
            self._stages[phase] = found
        return found


def _blocks(costs: Costs, indices: list[int], phase: str) -> _Blocks:
    fixed: list[tuple[tuple[Work, ...], int]] = []
    attention: dict[Work, int] = {}
    for index in dict.fromkeys(indices):
        count = indices.count(index)
        rest: list[Work] = []
        for work in costs.plan.blocks[index].work.get(phase, ()):
            if _varies(costs, work):
                attention[work] = attention.get(work, 0) + count
            else:
                rest.append(work)
        fixed.append((tuple(rest), count))
    return _Blocks(tuple(fixed), tuple(attention.items()))


def _varies(costs: Costs, work: Work) -> bool:
    # Asked of the formulas themselves, at a cache so long that it must show.
    few, many = StepShape(1, 1, 1, 1, 1), StepShape(1, 1, 1e12, 1e12, 1e12)
    if isinstance(work, CommWork):
        return bool(work.bytes_per_kv_token or work.kv_spans)
    machine = costs.machine
    return op_cost(work, few, machine).seconds != op_cost(work, many, machine).seconds


def _seconds(work: Work, shape: StepShape, machine: Machine) -> float:
    """Return what the compute stream spends on a work whose amount follows the cache."""
    if isinstance(work, CommWork):
        return comm_cost(work, shape, machine).seconds * (1 - work.hidden)
    return op_cost(work, shape, machine).seconds


def _along(
    base: tuple[Segment, ...], low: tuple[Segment, ...], high: tuple[Segment, ...], share: float
) -> tuple[Segment, ...]:
    """Return `base` moved by a share of the way from `low` to `high`."""
    result = []
    for s, a, b in zip(base, low, high, strict=True):
        seconds = max(0.0, s.seconds + (b.seconds - a.seconds) * share)
        waits = {
            k: max(0.0, s.waits.get(k, 0.0) + (b.waits.get(k, 0.0) - a.waits.get(k, 0.0)) * share)
            for k in {*s.waits, *a.waits, *b.waits}
        }
        result.append(Segment(seconds, waits))
    return tuple(result)


def _mean_waits(devices: int, segments: tuple[Segment, ...]) -> Mapping[str, float]:
    # Stages have equally many devices.
    waits: dict[str, float] = {}
    for segment in segments:
        for cause, seconds in segment.waits.items():
            waits[cause] = waits.get(cause, 0.0) + seconds / len(segments)
    return waits
