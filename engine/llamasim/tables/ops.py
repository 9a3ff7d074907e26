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
from llamasim.plan.spec import CommWork, OpWork, Plan, RankClass, StepShape, Work
from llamasim.simulate.trace import TASKS, Trace
from llamasim.tables.schemas import OPS

_WORDS = ("phase", "block", "op", "kind", "part", "stream", "bound")
_PHASES = {"forward": "forward", "backward": "backward", "prefill": "prefill", "decode": "decode",
           "optimizer": "optimizer"}

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
    """The ops of one task, at times from 0 to `seconds`."""

    words: Ints
    layer: Ints
    times: Floats
    seconds: float


def op_table(trace: Trace) -> pa.Table:
    """Return the op table; a serving run has none (its iterations are in their own table)."""
    words = {w: Words() for w in _WORDS}
    pieces: list[tuple[npt.NDArray[np.int32], Template, Floats, Floats]] = []
    tasks = trace.tasks
    machine = Machine.of(trace.scenario)
    if trace.requests is not None or not len(tasks.start):
        return OPS.empty_table()
    keys = np.stack([tasks.rank, tasks.kind, tasks.chunk], axis=1)
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    for number, (rank, kind, chunk) in enumerate(unique.tolist()):
        phase = _PHASES.get(TASKS[kind])
        if phase is None:
            continue
        template = _template(trace, machine, rank, chunk, phase, words)
        rows = np.flatnonzero(inverse.reshape(-1) == number)
        if not len(template.layer):
            continue
        head = np.stack([tasks.rank[rows], tasks.micro_batch[rows], tasks.chunk[rows]], axis=1)
        pieces.append((head, template, tasks.start[rows], tasks.end[rows]))
    return _assemble(pieces, words)


def _template(
    trace: Trace, machine: Machine, rank: int, chunk: int, phase: str, words: dict[str, Words]
) -> Template:
    plan = trace.plan
    codes: list[tuple[int, ...]] = []
    layers: list[int] = []
    times: list[tuple[float, ...]] = []
    offset = 0.0
    shape = shape_of(trace, phase)
    for name, layer, works in _works(plan, plan.ranks[rank], chunk, phase):
        cost = segment_cost(works, shape, machine)
        for row in cost.rows:
            work = works[row.index]
            codes.append(tuple(words[w].code(v) for w, v in zip(
                _WORDS, (phase, name, *_names(work), row.stream, row.bound), strict=True)))
            layers.append(layer)
            start = offset + row.start
            times.append((start, start + row.seconds, row.waited, row.flops, row.bytes))
        offset += cost.seconds
    return Template(
        np.array(codes, np.int32).reshape(-1, len(_WORDS)), np.array(layers, np.int32),
        np.array(times, np.float64).reshape(-1, 5), offset,
    )


def shape_of(trace: Trace, phase: str) -> StepShape:
    """Return the step that a phase's rows stand for (decode: the mean context)."""
    workload = trace.scenario.workload
    if phase != "decode":
        return trace.plan.step_shape
    context = workload.prompt.mean + workload.output.mean / 2
    batch = -(-workload.batch // max(1, trace.plan.replicas))
    return StepShape.of(batch, trace.plan.schedule.rows, context)


def _works(
    plan: Plan, rank: RankClass, chunk: int, phase: str
) -> list[tuple[str, int, tuple[Work, ...]]]:
    """Return (block, layer, works) of a task in order of execution."""
    if phase == "optimizer":
        return [("optimizer", -1, rank.optimizer)]
    chunks = rank.chunks if plan.mode == "inference" else rank.chunks[chunk : chunk + 1]
    found = []
    for part in chunks:
        layers = layers_of(plan, part.order)
        for index, layer in zip(part.blocks, layers, strict=True):
            found.append((plan.blocks[index].name, layer, plan.blocks[index].work.get(phase, ())))
    return found[::-1] if phase == "backward" else found


def layers_of(plan: Plan, order: int) -> list[int]:
    """Return the layer index of each block of a slot (-1 for embedding and head)."""
    slots = sorted((c for r in plan.ranks for c in r.chunks), key=lambda c: c.order)
    before = sum(len([b for b in c.blocks if plan.blocks[b].layers]) for c in slots[:order])
    result = []
    for block in slots[order].blocks:
        if plan.blocks[block].layers:
            result.append(before)
            before += 1
        else:
            result.append(-1)
    return result


def _names(work: Work) -> tuple[str, str, str]:
    if isinstance(work, OpWork):
        return work.name, work.kind, work.part
    assert isinstance(work, CommWork)
    return f"{work.name}:{work.group.axis}", work.kind, "communication"


def _assemble(
    pieces: Sequence[tuple[npt.NDArray[np.int32], Template, Floats, Floats]],
    words: dict[str, Words],
) -> pa.Table:
    if not pieces:
        return OPS.empty_table()
    heads, codes, layers, values = [], [], [], []
    for head, template, start, end in pieces:
        count, size = len(start), len(template.layer)
        heads.append(np.repeat(head, size, axis=0))
        codes.append(np.tile(template.words, (count, 1)))
        layers.append(np.tile(template.layer, count))
        stretch = (end - start) / template.seconds if template.seconds > 0 else np.ones(count)
        timed = template.times[None, :, :3] * stretch[:, None, None]
        timed[:, :, :2] += start[:, None, None]
        fixed = np.broadcast_to(template.times[None, :, 3:], (count, size, 2))
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
