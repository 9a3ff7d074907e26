"""Whole gradients never pile up: compute waits for reductions that lag behind."""

from __future__ import annotations

import numpy as np
from tests.scenarios_for_tests import block, plan_of, scenario, use

from llamasim.simulate import run
from llamasim.simulate.trace import CATEGORIES


def test_at_most_two_blocks_wait_while_a_third_is_made() -> None:
    """Reduced after every micro-batch over a slow network, gradients stay below the shard and
    three whole blocks (the largest is the embedding).
    """
    given = scenario(use("parallelism.zero.zero2"), devices=64, global_batch=256,
                     sequence=512)
    plan = plan_of(given)
    trace = run(plan, given)
    gradients = trace.memory.category == CATEGORIES.index("gradients")
    peak = float(np.max(trace.memory.bytes[gradients]))
    shard = sum(plan.blocks[b].grad_bytes for c in plan.ranks[0].chunks for b in c.blocks)
    largest = max(b.grad_buffer_bytes for b in plan.blocks)
    layer = block(plan).grad_buffer_bytes
    assert peak <= shard + 2 * largest + layer
    assert trace.exposed["reduce"] > 0
