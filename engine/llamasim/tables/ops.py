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

    def array(self, codes: Ints) -> pa.Array:
        """Return a column of words."""
        words = pa.array(list(self._codes), pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), words)


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
class Piece:
    """All tasks of one rank class, kind and chunk.

    Attributes:
        head: rank class, micro-batch and chunk of each.
        stretch: how much longer than its template each took.
        work: how often each does its template's work.

    """

    head: Ints
    template: Template
    start: Floats
    stretch: Floats
    work: Floats


def op_table(trace: Trace) -> pa.Table:
    """Return the op table; a serving run has none (its iterations are in their own table)."""
    pieces: list[Piece] = []
    tasks = trace.tasks
    if trace.requests is not None or not len(tasks.start):
        return OPS.empty_table()
    expansion = Expansion(trace)
    keys = np.stack([tasks.rank, tasks.kind, tasks.chunk], axis=1)
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    for number, (rank, kind, chunk) in enumerate(unique.tolist()):
        phase = _PHASES.get(TASKS[kind])
        if phase is None:
            continue
        template = expansion.task(rank, chunk, phase)
        rows = np.flatnonzero(inverse.reshape(-1) == number)
        if not len(template.layer):
            continue
        head = np.stack([tasks.rank[rows], tasks.micro_batch[rows], tasks.chunk[rows]], axis=1)
        start, end = tasks.start[rows], tasks.end[rows]
        stretch = (end - start) / template.seconds if template.seconds > 0 else np.ones(len(rows))
        pieces.append(Piece(head, template, start, stretch, _work(phase, stretch)))
    return _assemble(pieces, expansion.words)


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


def _assemble(
    pieces: Sequence[Piece],
    words: dict[str, Words],
) -> pa.Table:
    if not pieces:
        return OPS.empty_table()
    heads, codes, layers, values = [], [], [], []
    for piece in pieces:
        template, start, stretch = piece.template, piece.start, piece.stretch
        count, size = len(start), len(template.layer)
        heads.append(np.repeat(piece.head, size, axis=0))
        codes.append(np.tile(template.words, (count, 1)))
        layers.append(np.tile(template.layer, count))
        timed = template.times[None, :, :3] * stretch[:, None, None]
        timed[:, :, 0] += start[:, None]
        timed[:, :, 1] += timed[:, :, 0]
        fixed = template.times[None, :, 3:] * piece.work[:, None, None]
        values.append(np.concatenate([timed, fixed], axis=2).reshape(-1, 5))
    head, code = np.concatenate(heads), np.concatenate(codes)
    layer, value = np.concatenate(layers), np.concatenate(values)
    order = np.lexsort((value[:, 0], head[:, 0]))
    columns: dict[str, object] = {
        "rank_class": head[order, 0], "micro_batch": head[order, 1], "chunk": head[order, 2],
        "layer": layer[order],
        "start_s": value[order, 0], "end_s": value[order, 1], "waited_s": value[order, 2],
        "flops": value[order, 3], "bytes": value[order, 4],
    }
    for k, name in enumerate(_WORDS):
        columns[name] = words[name].array(np.ascontiguousarray(code[order, k]))
    return pa.table([columns[f.name] for f in OPS], schema=OPS)
