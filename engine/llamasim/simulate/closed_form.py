"""Step time and peak memory of thousands of configurations in closed form.

Families of configurations (`plan.families`) are costed together, put together by the form of their
plans, and then timed by layout: stages, chunks and order of tasks. Nothing here knows what a
technique does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import attrs
import numpy as np

from llamasim.cost.machine import Machine
from llamasim.diagnostics import Diagnostic
from llamasim.language import Program
from llamasim.model.graph import Graph
from llamasim.plan.families import Family, Refused, families
from llamasim.plan.schedule import does_not_divide, one_chunk
from llamasim.scenario.spec import Scenario, Use
from llamasim.simulate.closed import COLUMNS_OF, Runs, StepBatch, settled, steps
from llamasim.simulate.family import (
    Beside,
    Members,
    buffered,
    chosen_of,
    members_of,
    together,
    update_of,
)
from llamasim.simulate.family_memory import Given, Layout, Table, peaks, situations
from llamasim.simulate.orders import SPLIT
from llamasim.simulate.trace import CATEGORIES
from llamasim.techniques.apply import unfilled
from llamasim.techniques.records import ClaimFact
from llamasim.techniques.stages import assign
from llamasim.units.many import Floats, Places

Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: How much longer than the simulation the recurrence may find a step without shared links to be: it
#: takes waits of equal stages one by one, where the simulation lets some of them pass together.
SLACK = 0.005


@attrs.frozen(eq=False)
class Said:
    """What the rules say of configurations: why they are refused (then errors are among the
    diagnostics), or what they claim.
    """

    diagnostics: tuple[Diagnostic, ...]
    claims: tuple[ClaimFact, ...] = ()
    techniques: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Results:
    """One value for each configuration, in their order.

    Attributes:
        said: what the rules say.
        seconds: of a step; not a number where it is refused or does not fit.
        peak, allocated, host: bytes of the device with the least room, and of its node's host;
            not a number where it is refused.
        stage: of that device; `categories` what it holds.
        fits: whether every device and host has room.

    """

    said: list[Said]
    seconds: Floats
    peak: Floats
    allocated: Floats
    host: Floats
    stage: Places
    categories: dict[str, Floats]
    fits: Flags

    @staticmethod
    def empty(count: int) -> Results:
        """Return results of configurations that nothing is known of."""
        nothing = Said(())
        unknown = [np.full(count, np.nan) for _ in range(4)]
        return Results(
            [nothing] * count, unknown[0], unknown[1], unknown[2], unknown[3],
            np.zeros(count, dtype=np.int64),
            {name: np.zeros(count) for name in CATEGORIES}, np.zeros(count, dtype=np.bool_),
        )


def evaluate(
    graph: Graph, program: Program, scenario: Scenario, uses: Sequence[tuple[Use, ...]],
    batches: Sequence[int] | None = None, *, least: bool = False,
) -> Results:
    """Return step time and memory of many configurations of a training scenario.

    With several global batches, each set of techniques is tried with each of them; the
    configurations of the first set come first. With `least`, what a simulation can only exceed
    (but for `SLACK`): every flow has its links for itself, and gradients do not wait.

    Args:
        graph: the model.
        program: checked rules of every technique in `uses`.
        scenario: what the configurations share.
        uses: sets of techniques.
        batches: global batches; the scenario's where none are given.

    """
    machine = Machine.of(scenario)
    sizes = np.array(batches or (scenario.workload.global_batch,))
    results = Results.empty(len(uses) * len(sizes))
    forms: dict[object, list[Members]] = {}
    for family in families(graph, program, scenario, uses):
        _say(results, family, len(sizes))
        if isinstance(family, Family):
            for members in members_of(family, scenario, machine):
                forms.setdefault(members.form, []).append(members)
    layouts: dict[object, list[Laid]] = {}
    for parts in forms.values():
        for laid in _laid_out(_with_batches(together(parts), sizes), scenario, machine, results):
            layouts.setdefault(laid.alike, []).append(laid)
    for alike in layouts.values():
        _time(alike, scenario, results, least=least)
    return results


def _with_batches(members: Members, sizes: Places) -> Members:
    """Return each configuration with each global batch."""
    count = len(sizes)
    found = chosen_of(members, np.repeat(np.arange(members.count), count))
    numbers = found.numbers * count + np.tile(np.arange(count), members.count)
    batches = np.tile(sizes, members.count).astype(np.float64)
    counts = {**found.counts, "global_batch": batches}
    return attrs.evolve(found, numbers=numbers, counts=counts)


def _say(results: Results, family: Family | Refused, batches: int) -> None:
    said = Said(family.diagnostics) if isinstance(family, Refused) else (
        Said(family.warnings, family.claims, family.techniques))
    for number in family.members:
        results.said[number * batches : (number + 1) * batches] = [said] * batches


@lru_cache(maxsize=4096)
def layout_of(
    class_of: tuple[int, ...], blocks: int, stages: int, chunks: int, first: int, last: int
) -> Layout | None:
    """Return where the blocks are; None where a stage would have fewer than no layers."""
    found = assign(len(class_of), stages, chunks, first, last)
    if found is None:
        return None
    slots: list[list[int]] = [[] for _ in range(stages * chunks)]
    for layer, slot in enumerate(found.slot_of):
        slots[slot].append(class_of[layer])
    slots[0].insert(0, 0)
    slots[-1].append(blocks - 1)
    return tuple(
        tuple(tuple(slots[s]) for s in range(stage, len(slots), stages)) for stage in range(stages)
    )


#: Numbers that say how a step is laid out; configurations that share them are timed together.
_LAYOUT = ("stages", "chunks", "first", "last", "prefetch", "reduce_every")


def _laid_out(
    members: Members, scenario: Scenario, machine: Machine, results: Results
) -> Iterator[Laid]:
    """Note the memory of configurations of one form, and yield those that fit, by layout."""
    counts = members.counts
    unit = counts["replicas"] * counts["micro_batch"]
    micro = counts["global_batch"] / unit
    rows = np.column_stack([*(counts[name] for name in _LAYOUT), micro])
    found, place = np.unique(rows, axis=0, return_inverse=True)
    keys: dict[object, dict[Key, list[int]]] = {}
    left = np.zeros(len(found))
    for index, row in enumerate(found.tolist()):
        laid, left[index] = _key(members, row, results, members.numbers[place == index], scenario)
        if laid is not None:
            keys.setdefault(laid.holds, {}).setdefault(laid, []).append(index)
    for alike in keys.values():
        chosen = np.flatnonzero(np.isin(place, [k for parts in alike.values() for k in parts]))
        here = chosen_of(members, chosen)
        fits = _memory(here, next(iter(alike)), scenario, results)
        for key, parts in alike.items():
            kept = np.flatnonzero(fits & np.isin(place[chosen], parts))
            if len(kept):
                those = chosen_of(here, kept)
                batch = _batch(those, key, left[place[chosen[kept]]], scenario, machine)
                yield Laid(those, key, batch)


@attrs.frozen
class Key:
    """What steps that are timed together share; `table` says what their stages hold."""

    pipeline: str
    layout: Layout
    prefetch: int
    reduce_every: int
    micro_batches: int
    more: int
    table: Table = attrs.field(eq=False, repr=False)

    @property
    def holds(self) -> object:
        """What steps share that hold the same in memory."""
        return self.pipeline, self.layout, self.prefetch, id(self.table)


@attrs.frozen(eq=False)
class Laid:
    """Configurations of one form and one layout that fit in memory, and their steps."""

    members: Members
    key: Key
    batch: StepBatch

    @property
    def alike(self) -> object:
        """What steps that are timed together have in common."""
        k = self.key
        return (k.pipeline, k.layout, k.micro_batches, k.more, k.reduce_every, self.batch.buffered)


def _key(
    members: Members, row: Sequence[float], results: Results, numbers: Places, scenario: Scenario
) -> tuple[Key | None, int]:
    """Return how steps are laid out and how many groups of micro-batches are left out of them, or
    note why they cannot run.
    """
    stages, chunks, first, last, prefetch, every = (int(v) for v in row[:-1])
    micro, pipeline = row[-1], members.pipeline
    layout = layout_of(members.class_of, len(members.blocks), stages, chunks, first, last)
    refused = None
    if layout is None:
        refused = unfilled(len(members.class_of), stages)
    elif micro < 1 or micro != int(micro):
        replicas, size = (members.counts[n][members.numbers == numbers[0]][0]
                          for n in ("replicas", "micro_batch"))
        refused = does_not_divide(scenario, int(replicas), int(size))
    elif pipeline in SPLIT and chunks > 1:
        refused = one_chunk(scenario, chunks)
    if refused is not None or layout is None:
        for number in numbers:
            results.said[number] = Said((refused,) if refused else ())
        return None, 0
    short, more, left = settled(pipeline, stages, chunks, int(micro), every)
    table = situations(pipeline, stages, chunks, short, every)
    if left and any(short in s.kept for stage in table for s in stage):
        # A stage that holds every micro-batch holds the more, the longer a step is.
        table = situations(pipeline, stages, chunks, int(micro), every)
    return Key(pipeline, layout, prefetch, every, short, more, table), left


def _memory(
    members: Members, key: Key, scenario: Scenario, results: Results, rest: Floats | None = None
) -> Flags:
    found = peaks(Given(
        members.blocks, members.shape, key.layout, key.pipeline, key.table, key.prefetch,
        members.counts["static"], np.stack([r.hidden for r in members.reduce]), rest, scenario,
    ))
    numbers = members.numbers
    results.peak[numbers], results.allocated[numbers] = found.peak, found.allocated
    results.host[numbers], results.stage[numbers] = found.host, found.stage
    results.fits[numbers] = found.fits
    for name, value in found.categories.items():
        results.categories[name][numbers] = value
    return found.fits


def _batch(
    members: Members, key: Key, left: Floats, scenario: Scenario, machine: Machine
) -> StepBatch:
    count = members.count
    held = [tuple(sum(c.count(b) for c in stage) for b in range(len(members.blocks)))
            for stage in key.layout]
    updates = {c: update_of(members, machine, c) for c in dict.fromkeys(held)}
    reduce, send = members.reduce, members.send
    side = _side(reduce, send)
    sending = send.hidden + send.exposed
    return StepBatch(
        key.pipeline, key.micro_batches, key.more, left, key.reduce_every,
        tuple(tuple(_runs(c) for c in stage) for stage in key.layout),
        members.seconds, np.where(side > 0, members.outer, members.inner),
        np.stack([r.hidden for r in reduce]), np.stack([r.exposed for r in reduce]),
        tuple(buffered(b) for b in members.blocks),
        sending, np.where(sending > 0, send.hidden / np.maximum(sending, 1e-30), 1.0),
        (send.outer == side).astype(np.float64),
        np.stack([members.counts["host"] + updates[c][1].exposed for c in held]),
        np.stack([updates[c][1].hidden for c in held]),
        np.stack([updates[c][0] for c in held]),
        np.zeros((len(held), count)), min(0.9, scenario.runtime.overlap_tax), members.numbers,
    )


def _side(reduce: Sequence[Beside], send: Beside) -> Floats:
    """Return whether what runs beside compute leaves the node: reductions, else transfers."""
    longest = np.argmax([r.hidden for r in reduce], axis=0)
    outer = np.stack([r.outer for r in reduce])[longest, np.arange(len(longest))]
    reduced = np.max([r.hidden for r in reduce], axis=0) > 0
    return np.where(reduced, outer, send.outer)


@lru_cache(maxsize=65536)
def _runs(blocks: tuple[int, ...]) -> Runs:
    """Return a chunk's blocks in the order of the backward pass, equal neighbours together."""
    found: list[tuple[int, int]] = []
    for block in reversed(blocks):
        before = found[-1] if found else (-1, 0)
        if before[0] == block:
            found[-1] = (block, before[1] + 1)
        else:
            found.append((block, 1))
    return Runs(tuple(found))


def _time(
    parts: Sequence[Laid], scenario: Scenario, results: Results, *, least: bool
) -> None:
    """Note how long steps take, and what gradients that wait for their reductions hold."""
    batch = attrs.evolve(parts[0].batch, sharing=not least)
    if len(parts) > 1:
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(p.batch, name) for p in parts], axis=-1)
            for name in COLUMNS_OF
        }
        batch = attrs.evolve(batch, **columns)
    found = steps(batch)
    results.seconds[batch.numbers] = found.seconds * (1 - SLACK if least else 1.0)
    if least:
        return
    start = 0
    for part in parts:
        rest = found.rest[..., start : start + part.members.count]
        start += part.members.count
        if any(batch.buffered) and rest.any():
            fits = _memory(part.members, part.key, scenario, results, rest)
            results.seconds[part.members.numbers[~fits]] = np.nan
