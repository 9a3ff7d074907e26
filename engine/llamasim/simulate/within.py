"""What one task holds at its fullest moment: a pass of a chunk, block by block.

In a forward pass kept activations pile up block by block; in a backward pass they go, while
gradients come. Levels over time are kept task by task, so each task stands for its fullest moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from llamasim.plan.spec import BlockPlan, StepShape
from llamasim.simulate.timings import IN_FLIGHT
from llamasim.simulate.trace import Floats
from llamasim.units.many import count_of, many, values_of


def column(blocks: Sequence[BlockPlan], amount: Callable[[BlockPlan], float]) -> Floats:
    """Return an amount of each block as a row of a table, with a column for each configuration that
    the blocks stand for.
    """
    known = {id(b): b for b in blocks}
    amounts = {key: amount(block) for key, block in known.items()}
    count = max(map(count_of, amounts.values()), default=1)
    table = np.stack([values_of(v, count) for v in amounts.values()])
    place = {key: row for row, key in enumerate(amounts)}
    rows: Floats = table[[place[id(b)] for b in blocks]]
    return rows


def at_most(tables: Sequence[Floats]) -> list[float]:
    """Return what each table holds in the row in which their sum is largest."""
    total = np.sum(np.broadcast_arrays(*tables), axis=0)
    rows = np.argmax(total, axis=0)[None]
    return [
        many(np.take_along_axis(np.broadcast_to(t, total.shape), rows, axis=0)[0]) for t in tables
    ]


@attrs.frozen
class Moment:
    """Bytes at a task's fullest moment, by category.

    Attributes:
        activations: kept ones, less than when the whole chunk's are kept (at most 0).
        transient: the working set of the block at work.
        gathered: weights that are whole for it and the blocks after it.
        gradients: more than before the task (less, where whole ones are reduced).

    """

    activations: float = 0.0
    transient: float = 0.0
    gathered: float = 0.0
    gradients: float = 0.0


def saved_of(block: BlockPlan, shape: StepShape) -> float:
    """Return what a block keeps of one micro-batch."""
    return (block.saved_per_token * shape.tokens + block.saved_per_pair * shape.full_pairs
            + block.saved_fixed)


def transient_of(block: BlockPlan, shape: StepShape) -> float:
    """Return a block's largest working set; in training that of its backward pass."""
    return block.transient_per_token * shape.tokens + block.transient_per_pair * shape.full_pairs


def forward_of(block: BlockPlan, shape: StepShape) -> float:
    """Return a block's largest working set in its forward pass."""
    token, pair = block.forward_per_token, block.forward_per_pair
    token = block.transient_per_token if token is None else token
    pair = block.transient_per_pair if pair is None else pair
    return token * shape.tokens + pair * shape.full_pairs


def forward_moment(blocks: list[BlockPlan], shape: StepShape, prefetch: int) -> Moment:
    """Return the fullest moment of a forward pass."""
    if not blocks:
        return Moment()
    saved = column(blocks, lambda b: saved_of(b, shape))
    later = np.cumsum(saved, axis=0) - saved.sum(axis=0)
    transient = column(blocks, lambda b: forward_of(b, shape))
    gathered = _window(column(blocks, lambda b: b.gathered_bytes), prefetch)
    return Moment(*at_most((later, transient, gathered)))


@attrs.frozen
class Round:
    """Where a backward pass stands in the accumulation of gradients.

    Attributes:
        first: of the step; `opens` and `closes` a round of micro-batches that are reduced at once.

    """

    first: bool
    opens: bool
    closes: bool


def backward_moment(
    blocks: list[BlockPlan], shape: StepShape, prefetch: int, place: Round, *, frees: bool
) -> Moment:
    """Return the fullest moment of a backward pass; `frees` says that it completes a micro-batch,
    so that its activations go and gradients of weights come.
    """
    if not blocks:
        return Moment()
    order = blocks[::-1]
    saved = column(order, lambda b: saved_of(b, shape))
    gone = saved - np.cumsum(saved, axis=0) if frees else np.zeros_like(saved)
    transient = column(order, lambda b: transient_of(b, shape))
    gathered = _window(column(order, lambda b: b.gathered_bytes), prefetch)
    gradients = _gradients(order, place) if frees else np.zeros_like(saved)
    return Moment(*at_most((gone, transient, gathered, gradients)))


def _window(sizes: Floats, prefetch: int) -> Floats:
    """Return each block's size with that of the `prefetch` next ones."""
    ends = np.concatenate((np.zeros_like(sizes[:1]), np.cumsum(sizes, axis=0)))
    last = np.minimum(np.arange(len(sizes)) + 1 + prefetch, len(sizes))
    window: Floats = ends[last] - ends[:-1]
    return window


def _gradients(order: list[BlockPlan], place: Round) -> Floats:
    """Return gradients beyond those before the task, at each block in the order of the pass."""
    whole = column(order, lambda b: b.grad_buffer_bytes)
    total = np.cumsum(whole, axis=0)
    made = total if place.opens else np.zeros_like(total)
    if place.closes:
        # Whole ones go as they are reduced; so many blocks' wait at once.
        late = np.zeros((IN_FLIGHT, total.shape[1]))
        made = made - np.concatenate((late, total))[: len(order)]
    rest = column(order, lambda b: b.grad_bytes if b.grad_life == "step_end" and place.first
                  else 0.0)
    here = column(order, lambda b: b.grad_bytes if b.grad_life == "layer_end" else 0.0)
    here = here + column(order, lambda b: b.grad_work_bytes if b.grad_in_parts or (
        b.grad_life != "run" and not place.first) else 0.0)
    found: Floats = made + np.cumsum(rest, axis=0) + here
    return found
