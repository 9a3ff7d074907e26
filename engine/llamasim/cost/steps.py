"""Seconds of a serving step: the same as a segment's, without its rows, and quick to ask again.

Only attention depends on how much is cached. Everything else is costed once for a number of tokens
and sequences, so a decode of many steps costs a few ops a step.
"""

from __future__ import annotations

import attrs

from llamasim.cost.collectives import comm_cost
from llamasim.cost.machine import Machine
from llamasim.cost.ops import op_cost
from llamasim.cost.segment import segment_cost
from llamasim.cost.work import ATTENTION
from llamasim.plan.spec import CommWork, OpWork, StepShape, Work


@attrs.frozen
class _Split:
    """Works of one batch: the seconds that no cache length changes, and the ops that it does."""

    works: tuple[Work, ...]
    fixed: float
    varying: tuple[OpWork, ...]
    copies: tuple[CommWork, ...]
    overlapped: bool


def step_seconds(works: tuple[Work, ...], shape: StepShape, machine: Machine) -> float:
    """Return the seconds of works run in order; equal to `segment_cost(...).seconds`."""
    key = ("step", id(works), shape.tokens, shape.sequences)
    split: _Split | None = machine.memo.get(key)
    if split is None or split.works is not works:
        split = _split(works, shape, machine)
        if len(machine.memo) > 4096:
            machine.memo.clear()
        machine.memo[key] = split
    if split.overlapped:
        return segment_cost(works, shape, machine).seconds
    seconds = split.fixed + sum(op_cost(op, shape, machine).seconds for op in split.varying)
    return seconds + sum(comm_cost(c, shape, machine).seconds for c in split.copies)


def _split(works: tuple[Work, ...], shape: StepShape, machine: Machine) -> _Split:
    varying = tuple(w for w in works if isinstance(w, OpWork) and _varies(w))
    copies = tuple(w for w in works if isinstance(w, CommWork) and _grows(w))
    overlapped = machine.runtime.dispatch_s > 0 or any(
        isinstance(w, CommWork) and w.hidden > 0 for w in works
    )
    fixed = 0.0
    if not overlapped:
        for work in works:
            if isinstance(work, CommWork) and not _grows(work):
                fixed += comm_cost(work, shape, machine).seconds
            elif isinstance(work, OpWork) and not _varies(work):
                fixed += op_cost(work, shape, machine).seconds
    return _Split(works, fixed, varying, copies, overlapped)


def _grows(comm: CommWork) -> bool:
    return bool(comm.bytes_per_kv_token or comm.kv_spans)


def _varies(op: OpWork) -> bool:
    pair = op.read_per_pair or op.write_per_pair or op.read_per_kv_token
    return op.kind in ATTENTION or bool(pair)
