"""Seconds of a serving step, for any mix of prefill and decode, quick to ask again and again.

Only attention depends on how much is cached, and only a few ops on the number of sequences. So the
rest is costed once on a grid of token counts and read off along straight lines. The attention of
decoding sequences is costed at grid points of the cached tokens and straight between them, so that
a run of decode steps is an arithmetic series a line; that of prefills is costed for their own
pairs, and both are added where they share a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

from llamasim.plan.spec import CommWork, StepShape
from llamasim.simulate.costing import total
from llamasim.simulate.grid import (
    KV_STEPS,
    Corner,
    above,
    cached_below,
    corners_around,
    steps_until,
)
from llamasim.simulate.overhang import Copies
from llamasim.simulate.stagework import StageWork
from llamasim.simulate.stepwork import Blocks, blocks_of, seconds_of
from llamasim.simulate.timings import Segment

#: Most answers that are remembered at a time, so that memory stays bounded however long the run.
REMEMBERED = 1 << 16

#: (request's new tokens, its tokens that are cached already).
Chunk = tuple[int, int]
Stages = tuple[float, ...]
#: The phase of a further model's passes for sequences that decode beside prompts. Its pass over
#: prompts goes with the model's own; a draft's passes that propose do not (arXiv:2211.17192,
#: algorithm 1).
BESIDE = "beside"


@attrs.frozen(eq=False)
class Reading:
    """Where the fixed part of a step lies between grid points; the shares may be negative.

    `whole` is its latency, the host's time and sends between stages included; `copies_s` what a
    stage waits on average for copies that no grid point knows of.
    """

    stages: Stages
    send_s: float
    host_s: float
    whole: float
    corners: tuple[tuple[Corner, float], ...]
    copies_s: float = 0.0


class _Lines:
    """Decode steps of a batch: straight pieces by the grid point below them, the last one at hand.

    Attributes:
        low, high: cached tokens between which the last piece asked for lies.
        base, slope: seconds at `low`, and for each token more.

    """

    __slots__ = ("base", "high", "known", "low", "slope")

    def __init__(self) -> None:
        self.low = self.high = -1.0
        self.base = self.slope = 0.0
        self.known: dict[float, tuple[float, float, float]] = {}


@attrs.define(eq=False, repr=False)
class StepCosts:
    """Step times of one plan.

    Attributes:
        hops: boundaries between its stages.
        rows: tokens that a decode step processes for each sequence.
        waits_matter: whether anything in a step waits for a transfer.
        accompanied: whether a further model runs in the steps.
        copies: of the cache, beside the work of a step, where there are some.

    """

    work: StageWork
    hops: int = 0
    rows: float = 1.0
    waits_matter: bool = True
    accompanied: bool = False
    copies: Copies | None = None
    _stages: dict[str, tuple[Blocks, ...]] = attrs.Factory(dict)
    _corners: dict[Corner, tuple[Segment, ...]] = attrs.Factory(dict)
    _read: dict[tuple[str, float, float, int], Reading] = attrs.Factory(dict)
    _varied: dict[tuple[str, float, float, int], Stages] = attrs.Factory(dict)
    _lines: dict[int | tuple[int, int, int], _Lines] = attrs.Factory(dict)
    _others: dict[int, _Lines] = attrs.Factory(dict)
    _cached: dict[tuple[int, float], Stages] = attrs.Factory(dict)
    _pairs: dict[tuple[Chunk, ...], Stages] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.hops = len(self.work.plan.ranks) - 1
        self.rows = self.work.plan.schedule.rows
        blocks = self.work.plan.blocks
        self.accompanied = any(b.owner != "model" and b.work.get("decode") for b in blocks)
        works = [w for b in blocks for p in ("prefill", "decode") for w in b.work.get(p, ())]
        self.copies = Copies.of(self.work)
        self.waits_matter = self.hops > 0 or any(isinstance(w, CommWork) for w in works)

    # --- decode steps ------------------------------------------------------------------------

    def decode(self, sequences: int, cached: float, busy: int = 1) -> float:
        """Return the seconds of a decode step that reads `cached` tokens in all.

        Where `busy` batches go through the stages of a replica, each waits for the slowest stage
        to have served the others.
        """
        return self.decode_run(sequences, busy, cached, 0.0, 1)[1]

    def decode_run(
        self, sequences: int, busy: int, cached: float, growth: float, steps: int,
        until: float = math.inf, variants: int = 1,
    ) -> tuple[int, float]:
        """Return how many decode steps end with the first that ends at `until` or later, and when.

        `steps` at most; their cached tokens grow by `growth` each, from `cached`.
        """
        key = sequences if busy == variants == 1 else (sequences, busy, variants)
        lines = self._lines.get(key)
        if lines is None:
            lines = self._lines[key] = _Lines()
        left, seconds = steps, 0.0
        while True:
            if not lines.low <= cached < lines.high:
                self._turn(lines, sequences, busy, cached, variants)
            first = lines.base + lines.slope * (cached - lines.low)
            if left == 1:
                return steps, seconds + first
            rise, count = lines.slope * growth, left
            if cached + growth * (left - 1) > lines.high:
                count = int((lines.high - cached) / growth) + 1
            more = count * (first + rise * (count - 1) * 0.5)
            if seconds + more >= until:
                count = steps_until(until - seconds, first, rise, count)
                return (steps - left + count,
                        seconds + count * (first + rise * (count - 1) * 0.5))
            seconds += more
            left -= count
            if left <= 0:
                return steps, seconds
            cached += count * growth

    def _turn(
        self, lines: _Lines, sequences: int, busy: int, cached: float, variants: int
    ) -> None:
        """Put the piece at hand on which a number of cached tokens lies."""
        low = cached_below(cached)
        known = lines.known.get(low)
        if known is None:
            high = above(low, KV_STEPS)
            a, b = (self._decode_at(sequences, busy, x, variants) for x in (low, high))
            known = lines.known[low] = high, a, (b - a) / (high - low)
        lines.low = low
        lines.high, lines.base, lines.slope = known

    def _decode_at(self, sequences: int, busy: int, cached: float, variants: int) -> float:
        fixed = self.fixed("decode", sequences * self.rows, float(sequences), variants)
        attention = self._attention(sequences, cached)
        waits = self.copying(sequences, cached)
        stages = [f + a + w for f, a, w in zip(fixed.stages, attention, waits, strict=True)]
        return self._latency(stages, fixed, busy)

    def copying(
        self, decoding: int, cached: float, chunks: tuple[Chunk, ...] = ()
    ) -> Stages:
        """Return what each stage waits for copies of the cache that its work does not hide."""
        if self.copies is None:
            return (0.0,) * (self.hops + 1)
        parts = [("prefill", self._shape_of(chunks))] if chunks else []
        if decoding:
            rows = self.rows
            parts.append(("decode", StepShape(
                decoding * rows, decoding, cached * rows, cached * rows, cached)))
        tokens, sequences = (sum(s.tokens for _, s in parts), sum(s.sequences for _, s in parts))
        return self.copies.beyond(StepShape(tokens, sequences, 0.0, 0.0, 0.0), parts)

    def _latency(self, stages: list[float], fixed: Reading, busy: int) -> float:
        latency = fixed.host_s + sum(stages) + fixed.send_s * self.hops
        return max(latency, busy * max(stages)) if busy > 1 else latency

    def _attention(self, sequences: int, cached: float) -> Stages:
        """Return what a decode step's attention takes on each stage, at a grid point."""
        found = self._cached.get((sequences, cached))
        if found is None:
            rows = self.rows
            shape = StepShape(sequences * rows, sequences, cached * rows, cached * rows, cached)
            found = self._cached[sequences, cached] = self._varying("decode", shape)
        return found

    # --- steps with prefills in them ---------------------------------------------------------

    def mixed(
        self, decoding: int, cached: float, chunks: tuple[Chunk, ...], busy: int = 1,
        variants: int = 1,
    ) -> tuple[float, Reading]:
        """Return the seconds of a step with prefills in it, and where it lies on the grid."""
        new = 0.0
        for count, _ in chunks:
            new += count
        if decoding and self.accompanied:
            reading = self._accompanied(decoding, new, len(chunks), variants)
        else:
            reading = self.fixed(
                "prefill", decoding * self.rows + new, decoding + len(chunks), variants)
        pairs = self._pairs.get(chunks)
        if pairs is None:
            pairs = self._prefills(chunks)
        if not self.hops and self.copies is None:
            seconds = reading.whole + pairs[0]
            if decoding:
                lines = self._others.get(decoding)
                if lines is None:
                    lines = self._others[decoding] = _Lines()
                if not lines.low <= cached < lines.high:
                    self._turn_others(lines, decoding, cached)
                seconds += lines.base + lines.slope * (cached - lines.low)
            return seconds, reading
        if decoding:
            pairs = self._beside(pairs, decoding, cached)
        waits = self.copying(decoding, cached, chunks)
        stages = [f + p + w for f, p, w in zip(reading.stages, pairs, waits, strict=True)]
        reading = attrs.evolve(reading, copies_s=sum(waits) / len(waits))
        return self._latency(stages, reading, busy), reading

    def _accompanied(self, decoding: int, new: float, prompts: int, variants: int) -> Reading:
        """Return the fixed part of a step in which a further model decodes beside prompts."""
        rows = decoding * self.rows
        both = self.fixed("prefill", rows + new, decoding + prompts, variants)
        more = self.fixed(BESIDE, rows, float(decoding))
        stages = tuple([a + b for a, b in zip(both.stages, more.stages, strict=True)])
        return Reading(
            stages, both.send_s, both.host_s, both.whole + sum(more.stages),
            both.corners + more.corners)

    def _turn_others(self, lines: _Lines, decoding: int, cached: float) -> None:
        """Put the piece of decoding sequences' attention at hand, on the only stage."""
        low = cached_below(cached)
        high = above(low, KV_STEPS)
        a, b = self._attention(decoding, low)[0], self._attention(decoding, high)[0]
        lines.low, lines.high, lines.base, lines.slope = low, high, a, (b - a) / (high - low)

    def _beside(self, pairs: Stages, decoding: int, cached: float) -> Stages:
        """Add the attention of decoding sequences to that of prefills."""
        low = cached_below(cached)
        high = above(low, KV_STEPS)
        share = (cached - low) / (high - low)
        a, b = self._attention(decoding, low), self._attention(decoding, high)
        return tuple([p + x + (y - x) * share for p, x, y in zip(pairs, a, b, strict=True)])

    def _prefills(self, chunks: tuple[Chunk, ...]) -> Stages:
        shape = self._shape_of(chunks)
        if len(self._pairs) >= REMEMBERED:
            self._pairs.clear()
        found = self._pairs[chunks] = self._varying("prefill", shape)
        return found

    def _shape_of(self, chunks: tuple[Chunk, ...]) -> StepShape:
        shape = StepShape(0.0, 0.0, 0.0, 0.0, 0.0)
        for count, done in chunks:
            shape += StepShape.of(1, count, done)
        return shape

    def _varying(self, phase: str, shape: StepShape) -> Stages:
        machine = self.work.costs.machine
        return tuple(
            sum(seconds_of(w, shape, machine) * n for w, n in stage.attention)
            for stage in self._split(phase)
        )

    # --- what no cache changes ---------------------------------------------------------------

    def fixed(self, phase: str, tokens: float, sequences: float, variants: int = 1) -> Reading:
        """Return the part of a step that no cache changes: exact in decode steps, else read off."""
        key = (phase, tokens, sequences, variants)
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            corner = (phase, tokens, sequences)
            corners = corners_around(*corner) if phase == "prefill" else {corner: 1.0}
            stages = tuple(
                max(0.0, sum(
                    (self._corner(c)[i].seconds + self._of_variants(c, variants)[i]) * share
                    for c, share in corners.items()
                ))
                for i in range(self.hops + 1)
            )
            send = self.work.send_s(StepShape(tokens, sequences, 0.0, 0.0, 0.0))
            send += self.work.hop_s if phase == "decode" else 0.0
            host = self.work.host(sequences)
            whole = host + sum(stages) + send * self.hops
            found = Reading(stages, send, host, whole, tuple(corners.items()))
            self._read[key] = found
        return found

    def _of_variants(self, corner: Corner, variants: int) -> Stages:
        """Return what products with variants of weights take on each stage, at a grid point."""
        phase, tokens, sequences = corner
        key = (phase, tokens, sequences, variants)
        found = self._varied.get(key)
        if found is None:
            machine = self.work.costs.machine
            shape = StepShape(tokens, sequences, 0.0, 0.0, 0.0, variants)
            found = self._varied[key] = tuple(
                sum(seconds_of(w, shape, machine) * n for w, n in stage.varied)
                for stage in self._split(phase)
            )
        return found

    def waits(self, weights: Mapping[Corner, float]) -> dict[str, float]:
        """Return the seconds that a device waits by cause in so many steps at grid points."""
        waits: dict[str, float] = {}
        for corner, weight in weights.items():
            segments = self._corner(corner)
            for segment in segments:
                for cause, seconds in segment.waits.items():
                    waits[cause] = waits.get(cause, 0.0) + seconds * weight / len(segments)
        return {k: max(0.0, v) for k, v in waits.items()}

    def shares(self, weights: Mapping[Corner, float]) -> list[float]:
        """Return the part of the work that each stage does in so many steps at grid points."""
        sums = [0.0] * (self.hops + 1)
        for corner, weight in weights.items():
            for stage, segment in enumerate(self._corner(corner)):
                sums[stage] += max(0.0, segment.seconds * weight)
        whole = sum(sums)
        return [s / whole if whole > 0 else 1 / len(sums) for s in sums]

    def _corner(self, corner: Corner) -> tuple[Segment, ...]:
        found = self._corners.get(corner)
        if found is None:
            phase, tokens, sequences = corner
            bare = StepShape(tokens, sequences, 0.0, 0.0, 0.0)
            costs = self.work.costs
            found = tuple(
                total((costs.work(works, bare), n) for works, n in stage.fixed)
                for stage in self._split(phase)
            )
            self._corners[corner] = found
        return found

    def _split(self, phase: str) -> tuple[Blocks, ...]:
        found = self._stages.get(phase)
        if found is None:
            plan, costs = self.work.plan, self.work.costs
            passed = [b.owner != "model" or phase != BESIDE for b in plan.blocks]
            found = tuple(
                blocks_of(costs, [b for c in rank.chunks for b in c.blocks if passed[b]],
                          "decode" if phase == BESIDE else phase)
                for rank in plan.ranks
            )
            self._stages[phase] = found
        return found
