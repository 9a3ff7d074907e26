"""The op table: coarse tasks expanded to one row an op, with the costs that they were made of.

A task's ops are costed once for each chunk and phase; every micro-batch repeats them at its own
times. Where a task took longer than its ops alone (it shared a link), its rows are stretched so
that they still fill it.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llamasim.cost import Machine, segment_cost
from llamasim.plan.spec import CommWork, OpWork, Plan, StepShape, Work
from llamasim.simulate.trace import TASKS, Trace
from llamasim.tables.schemas import OPS

_WORDS = ("phase", "block", "op", "kind", "part", "stream", "bound")
_PHASES = {p: p for p in ("forward", "backward", "weight", "prefill", "decode", "optimizer")}

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]


class Words:
    """Words by number, in order of their first use."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, word: str) -> int:
        """Return a word's number."""
        return self._codes.setdefault(word, len(self._codes))

    def all(self) -> pa.Array:
        """Return the words by their numbers."""
        return pa.array(list(self._codes), pa.string())

    def array(self, codes: Ints) -> pa.Array:
        """Return a column of words."""
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), self.all())


@attrs.frozen(eq=False)
class Template:
    """The ops of one task, or of one block of it, at times from 0 to `seconds`.

    Columns of `times`: start, duration, seconds waited for, FLOP, bytes.
    """

    words: Ints
    layer: Ints
    times: Floats
    seconds: float


class Expansion:
    """What tasks consist of. A block is costed once a phase, wherever it stands."""

    def __init__(self, trace: Trace) -> None:
        self.words = {w: Words() for w in _WORDS}
        self._trace = trace
        self._machine = Machine.of(trace.scenario)
        self._layers = layer_numbers(trace.plan)
        self._blocks: dict[tuple[int, str], Template] = {}

    def task(self, rank: int, chunk: int, phase: str) -> Template:
        """Return the ops of a task in order of execution."""
        plan = self._trace.plan
        if phase == "optimizer":
            return self._costed("optimizer", plan.ranks[rank].optimizer, phase)
        chunks = plan.ranks[rank].chunks
        parts = [
            (index, layer)
            for c in (chunks if plan.mode == "inference" else chunks[chunk : chunk + 1])
            for index, layer in zip(c.blocks, self._layers[c.order], strict=True)
        ]
        if phase in ("backward", "weight"):
            parts.reverse()
        return _joined([(self._block(index, phase), layer) for index, layer in parts])

    def _block(self, index: int, phase: str) -> Template:
        found = self._blocks.get((index, phase))
        if found is None:
            block = self._trace.plan.blocks[index]
            found = self._costed(block.name, block.work.get(phase, ()), phase)
            self._blocks[index, phase] = found
        return found

    def _costed(self, name: str, works: tuple[Work, ...], phase: str) -> Template:
        cost = segment_cost(works, shape_of(self._trace, phase), self._machine)
        codes, times = [], []
        for row in cost.rows:
            said = (phase, name, *_names(works[row.index]), row.stream, row.bound)
            codes.append([self.words[w].code(v) for w, v in zip(_WORDS, said, strict=True)])
            times.append((row.start, row.seconds, row.waited, row.flops, row.bytes))
        return Template(
            np.array(codes, np.int32).reshape(-1, len(_WORDS)),
            np.full(len(codes), -1, np.int32),
            np.array(times, np.float64).reshape(-1, 5), cost.seconds,
        )


def _joined(parts: Sequence[tuple[Template, int]]) -> Template:
    """Return blocks one after another, each with its layer's number."""
    words, layers, times, offset = [], [], [], 0.0
    for block, layer in parts:
        words.append(block.words)
        layers.append(np.full(len(block.layer), layer, np.int32))
        shifted = block.times.copy()
        shifted[:, 0] += offset
        times.append(shifted)
        offset += block.seconds
    if not parts:
        return Template(np.zeros((0, len(_WORDS)), np.int32), np.zeros(0, np.int32),
                        np.zeros((0, 5)), 0.0)
    return Template(np.concatenate(words), np.concatenate(layers), np.concatenate(times), offset)


@attrs.frozen(eq=False)
class Spread:
    """All ops of one rank class: templates one after another, and the tasks that repeat them.

    Attributes:
        template: all of the rank class, joined; `first` and `size` are the rows of it that each
            task takes.
        head: micro-batch and chunk of each task.
        stretch: how much longer than its template each took.
        work: how often each does its template's work.

    """

    rank: int
    template: Template
    first: Ints
    size: Ints
    head: Ints
    start: Floats
    stretch: Floats
    work: Floats


def op_table(trace: Trace) -> pa.Table:
    """Return the op table, by rank class and time; a serving run has none (its iterations are in
    their own table).
    """
    tasks = trace.tasks
    if trace.requests is not None or not len(tasks.start):
        return OPS.empty_table()
    expansion = Expansion(trace)
    kinds = [k for k, name in enumerate(TASKS) if name in _PHASES]
    mine = np.isin(tasks.kind, kinds)
    spreads = [
        _spread(trace, expansion, int(rank), mine & (tasks.rank == rank))
        for rank in np.unique(tasks.rank[mine])
    ]
    # One dictionary for all batches: a file of several may not replace it.
    words = {name: expansion.words[name].all() for name in _WORDS}
    return pa.Table.from_batches([_batch(s, words) for s in spreads], schema=OPS)


def _spread(trace: Trace, expansion: Expansion, rank: int, mine: npt.NDArray[np.bool_]) -> Spread:
    """Return what a rank class' tasks consist of; `mine` are theirs in the trace."""
    tasks, rows = trace.tasks, np.flatnonzero(mine)
    rows = rows[np.argsort(tasks.start[rows], kind="stable")]
    keys = np.stack([tasks.kind[rows], tasks.chunk[rows]], axis=1)
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    which = which.reshape(-1)
    phases = [_PHASES[TASKS[kind]] for kind, _ in unique.tolist()]
    templates = [
        expansion.task(rank, chunk, phase)
        for phase, (_, chunk) in zip(phases, unique.tolist(), strict=True)
    ]
    sizes = np.array([len(t.layer) for t in templates], dtype=np.int32)
    spent = tasks.end[rows] - tasks.start[rows]
    alone = np.array([t.seconds for t in templates])[which]
    stretch = np.divide(spent, alone, out=np.ones(len(rows)), where=alone > 0)
    work = np.ones(len(rows))
    for number, phase in enumerate(phases):
        own = which == number
        work[own] = _work(phase, stretch[own])
    whole = Template(
        np.concatenate([t.words for t in templates]),
        np.concatenate([t.layer for t in templates]),
        np.concatenate([t.times for t in templates]), 0.0,
    )
    head = np.stack([tasks.micro_batch[rows], tasks.chunk[rows]])
    first = (np.cumsum(sizes, dtype=np.int32) - sizes)[which]
    return Spread(rank, whole, first, sizes[which], head, tasks.start[rows], stretch, work)


def _work(phase: str, stretch: Floats) -> Floats:
    """Return how often each task does its template's work.

    The template of a prefill is the whole of it, cut into tasks of equal tokens; that of decoding
    is one step, and a task is a run of steps. A training task does its work once, however long
    it takes.
    """
    if phase == "prefill":
        return np.full(len(stretch), 1.0 / len(stretch))
    return stretch if phase == "decode" else np.ones(len(stretch))


def shape_of(trace: Trace, phase: str) -> StepShape:
    """Return the step that a phase's rows stand for (decode: the mean context)."""
    workload = trace.scenario.workload
    if phase != "decode":
        return trace.plan.step_shape
    context = workload.prompt.mean + workload.output.mean / 2
    batch = -(-workload.batch // max(1, trace.plan.replicas))
    return StepShape.of(batch, trace.plan.schedule.rows, context)


def layer_numbers(plan: Plan) -> dict[int, list[int]]:
    """Return the layer of each block of a chunk, by the chunk's order (-1: embedding, head)."""
    found: dict[int, list[int]] = {}
    layer: dict[str, int] = {}
    for chunk in sorted((c for r in plan.ranks for c in r.chunks), key=lambda c: c.order):
        found[chunk.order] = []
        for index in chunk.blocks:
            block = plan.blocks[index]
            number = layer.get(block.owner, 0)
            found[chunk.order].append(number if block.layers else -1)
            layer[block.owner] = number + bool(block.layers)
    return found


def _names(work: Work) -> tuple[str, str, str]:
    if isinstance(work, OpWork):
        return work.name, work.kind, work.part
    assert isinstance(work, CommWork)
    return f"{work.name}:{work.group.axis}", work.kind, "communication"


def _batch(spread: Spread, words: dict[str, pa.Array]) -> pa.RecordBatch:
    """Return the rows of one rank class in order of time."""
    size, template = spread.size, spread.template
    count = int(size.sum())
    row = np.repeat(spread.first - (np.cumsum(size) - size), size) + np.arange(count)
    task = np.repeat(np.arange(len(size)), size)
    begin, seconds, waited, flops, moved = np.ascontiguousarray(template.times.T)
    stretch = spread.stretch[task]
    start = begin[row] * stretch + spread.start[task]
    if np.any(np.diff(start) < 0):
        order = np.argsort(start, kind="stable")
        row, task, stretch, start = row[order], task[order], stretch[order], start[order]
    work = spread.work[task]
    columns: dict[str, object] = {
        "rank_class": np.full(count, spread.rank, dtype=np.int32),
        "micro_batch": spread.head[0][task], "chunk": spread.head[1][task],
        "layer": template.layer[row],
        "start_s": start, "end_s": seconds[row] * stretch + start,
        "waited_s": waited[row] * stretch, "flops": flops[row] * work, "bytes": moved[row] * work,
    }
    for name, codes in zip(_WORDS, np.ascontiguousarray(template.words.T), strict=True):
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(codes[row]), words[name])
    return pa.record_batch([columns[f.name] for f in OPS], schema=OPS)
