"""The order in which each pipeline stage runs its forward and backward passes.

A task is `(kind, chunk, micro_batch)` with kind 0 for forward and 1 for backward; where the
backward pass is split, 1 is its gradients of data and 2 its gradients of weights. Micro-batch `j`
passes chunk `c` of every stage before chunk `c + 1` of the first. Every order returned here can be
run to its end, also where the stages do not divide the micro-batches.
"""

from __future__ import annotations

Task = tuple[int, int, int]

FORWARD, BACKWARD, WEIGHT = 0, 1, 2
#: Schedules that split the backward pass in two.
SPLIT = ("zero_bubble",)


def orders(pipeline: str, stages: int, chunks: int, micro_batches: int) -> list[list[Task]]:
    """Return every stage's task list.

    `pipeline` is `all_forward_all_backward` (arXiv:1811.06965, section 2.3),
    `one_forward_one_backward` or `interleaved` (arXiv:2104.04473, section 2.2). One stage runs its
    micro-batches one after another; a stage of several chunks under one-forward-one-backward
    takes the interleaved order, which is the same for one chunk. `zero_bubble` fills the bubble
    with gradients of weights (arXiv:2401.10241, section 2: ZB-H1, with the memory of the first
    stage on all of them).
    """
    if pipeline in SPLIT:
        return [_zero_bubble(s, stages, micro_batches) for s in range(stages)]
    if stages == 1 and pipeline != "all_forward_all_backward":
        return [_loop(chunks, micro_batches)]
    if pipeline == "all_forward_all_backward":
        return [_all_forward(stages, chunks, micro_batches) for _ in range(stages)]
    if chunks == 1:
        return [_one_by_one(s, stages, micro_batches) for s in range(stages)]
    return [_interleaved(s, stages, chunks, micro_batches) for s in range(stages)]


def _loop(chunks: int, micro_batches: int) -> list[Task]:
    forward = [(FORWARD, c) for c in range(chunks)]
    backward = [(BACKWARD, c) for c in reversed(range(chunks))]
    return [(k, c, j) for j in range(micro_batches) for k, c in forward + backward]


def group_of(stages: int, micro_batches: int) -> int:
    """Return how many micro-batches pass one chunk before the next one's turn.

    As many as there are stages. A last group that is shorter would make its stages wait for each
    other, so groups grow until the last has none left over, or a whole pipeline full.
    """
    for size in range(stages, micro_batches):
        rest = micro_batches % size
        if rest == 0 or rest >= stages:
            return size
    return max(stages, micro_batches)


def _table(group: int, chunks: int, micro_batches: int) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    for first in range(0, micro_batches, group):
        batch = range(first, min(first + group, micro_batches))
        rows.extend((c, j) for c in range(chunks) for j in batch)
    return rows


def _all_forward(stages: int, chunks: int, micro_batches: int) -> list[Task]:
    table = _table(group_of(stages, micro_batches), chunks, micro_batches)
    forward = [(FORWARD, c, j) for c, j in table]
    return forward + [(BACKWARD, chunks - 1 - c, j) for c, j in table]


def _one_by_one(stage: int, stages: int, micro_batches: int) -> list[Task]:
    forward = [(FORWARD, 0, j) for j in range(micro_batches)]
    backward = [(BACKWARD, 0, j) for j in range(micro_batches)]
    return _alternate(forward, backward, min(stages - stage - 1, micro_batches))


def _interleaved(stage: int, stages: int, chunks: int, micro_batches: int) -> list[Task]:
    group = group_of(stages, micro_batches)
    table = _table(group, chunks, micro_batches)
    forward = [(FORWARD, c, j) for c, j in table]
    backward = [(BACKWARD, chunks - 1 - c, j) for c, j in table]
    warmup = 2 * (stages - stage - 1) + (chunks - 1) * group
    return _alternate(forward, backward, min(warmup, len(forward)))


def _alternate(forward: list[Task], backward: list[Task], warmup: int) -> list[Task]:
    order = forward[:warmup]
    for f, b in zip(forward[warmup:], backward, strict=False):
        order += (f, b)
    return order + backward[len(forward) - warmup :]


def closing(pipeline: str) -> int:
    """Return the kind of task after which a micro-batch's activations are free and its gradients
    complete.
    """
    return WEIGHT if pipeline in SPLIT else BACKWARD


def _zero_bubble(stage: int, stages: int, micro_batches: int) -> list[Task]:
    """Return one-forward-one-backward with gradients of weights behind those of data.

    They are put off by as many micro-batches as there are stages before, so that every stage holds
    what the first one does, and fill the end of the step.
    """
    order: list[Task] = []
    weights = 0
    for kind, chunk, j in _one_by_one(stage, stages, micro_batches):
        order.append((kind, chunk, j))
        if kind == BACKWARD and j - weights >= stage:
            order.append((WEIGHT, chunk, weights))
            weights += 1
    return order + [(WEIGHT, 0, j) for j in range(weights, micro_batches)]


def source(stage: int, task: Task, stages: int, chunks: int) -> tuple[int, Task] | None:
    """Return the stage and task whose output this task reads; None for the model's input.

    The last chunk's backward pass reads its own forward pass, and gradients of weights what is on
    the stage.
    """
    kind, chunk, j = task
    if kind == WEIGHT:
        return stage, (BACKWARD, chunk, j)
    if kind == FORWARD:
        if stage > 0:
            return stage - 1, (FORWARD, chunk, j)
        return (stages - 1, (FORWARD, chunk - 1, j)) if chunk else None
    if stage < stages - 1:
        return stage + 1, (BACKWARD, chunk, j)
    if chunk < chunks - 1:
        return 0, (BACKWARD, chunk + 1, j)
    return stage, (FORWARD, chunk, j)


def target(stage: int, task: Task, stages: int, chunks: int) -> tuple[int, Task] | None:
    """Return the stage and task that read this task's output; None at the model's ends."""
    kind, chunk, j = task
    if kind == WEIGHT:
        return None
    if kind == FORWARD:
        if stage < stages - 1:
            return stage + 1, (FORWARD, chunk, j)
        return (0, (FORWARD, chunk + 1, j)) if chunk < chunks - 1 else (stage, (BACKWARD, chunk, j))
    if stage > 0:
        return stage - 1, (BACKWARD, chunk, j)
    return (stages - 1, (BACKWARD, chunk - 1, j)) if chunk else None
