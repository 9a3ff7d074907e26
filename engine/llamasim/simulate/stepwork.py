"""A stage's works in a serving step, by what their time follows."""

from __future__ import annotations

import attrs

from llamasim.cost import Machine, comm_cost, op_cost
from llamasim.plan.spec import CommWork, OpWork, StepShape, Work
from llamasim.simulate.costing import Costs


@attrs.frozen(eq=False)
class Blocks:
    """A stage's works in one phase: those that no cache changes, attention with its counts, and
    products with one of several variants of a weight.
    """

    fixed: tuple[tuple[tuple[Work, ...], int], ...]
    attention: tuple[tuple[Work, int], ...]
    varied: tuple[tuple[Work, int], ...]


def blocks_of(costs: Costs, indices: list[int], phase: str) -> Blocks:
    """Return the works of some blocks in a phase."""
    fixed: list[tuple[tuple[Work, ...], int]] = []
    attention: dict[Work, int] = {}
    varied: dict[Work, int] = {}
    for index in dict.fromkeys(indices):
        count = indices.count(index)
        rest, varying = parted(costs, index, phase)
        for work in varying:
            attention[work] = attention.get(work, 0) + count
        for work in rest:
            if _alternates(work):
                varied[work] = varied.get(work, 0) + count
        fixed.append((tuple([w for w in rest if not _alternates(w)]), count))
    return Blocks(tuple(fixed), tuple(attention.items()), tuple(varied.items()))


def parted(costs: Costs, index: int, phase: str) -> tuple[tuple[Work, ...], tuple[Work, ...]]:
    """Return the works of a block in a phase that no cache changes, and those that it does."""
    works = costs.plan.blocks[index].work.get(phase, ())
    varying = [_varies(costs, w) for w in works]
    return (tuple([w for w, v in zip(works, varying, strict=True) if not v]),
            tuple([w for w, v in zip(works, varying, strict=True) if v]))


def _alternates(work: Work) -> bool:
    return isinstance(work, OpWork) and work.variants > 1


def _varies(costs: Costs, work: Work) -> bool:
    # Asked of the formulas themselves, at a cache so long that it must show.
    few, many = StepShape(1, 1, 1, 1, 1), StepShape(1, 1, 1e12, 1e12, 1e12)
    if isinstance(work, CommWork):
        return bool(work.bytes_per_kv_token or work.kv_spans)
    machine = costs.machine
    return op_cost(work, few, machine).seconds != op_cost(work, many, machine).seconds


def seconds_of(work: Work, shape: StepShape, machine: Machine) -> float:
    """Return what the compute stream spends on a work whose amount follows the cache."""
    if isinstance(work, CommWork):
        return comm_cost(work, shape, machine).seconds * (1 - work.hidden)
    return op_cost(work, shape, machine).seconds
