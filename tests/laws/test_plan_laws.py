"""Laws of applying techniques: order, identity, conservation, units."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Use
from llamasim.units import Quantity, parse_quantity

TRAINING: tuple[Use, ...] = (
    use("parallelism.tensor.tensor_parallel", degree=2, sequence_parallel=True),
    use("parallelism.pipeline.pipeline_parallel", stages=2, chunks=2),
    use("parallelism.zero.zero2", reduce_every=0),
    use("precision.mixed.bf16_mixed"),
    use("precision.fp8.fp8_compute"),
    use("memory.checkpoint.selective_checkpoint", every=2),
    use("attention.flash.flash_attention"),
    use("memory.accumulation.gradient_accumulation", micro_batch=1),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.permutations(TRAINING), st.integers(0, len(TRAINING)))
def test_order_of_use_has_no_meaning(order: list[Use], count: int) -> None:
    """Any order of any selection gives the same plan hash, bit for bit."""
    chosen = [u for u in TRAINING if u in order[:count]]
    if not any("zero" in u.technique for u in chosen):
        chosen.append(use("parallelism.data.data_parallel"))
    shuffled = [u for u in order if u in chosen] + [u for u in chosen if u not in order]
    straight = plan_of(scenario(*chosen, devices=8, global_batch=16))
    mixed = plan_of(scenario(*shuffled, devices=8, global_batch=16))
    assert straight.hash == mixed.hash


@pytest.mark.parametrize(
    "idle",
    [
        use("parallelism.tensor.tensor_parallel", degree=1),
        use("parallelism.pipeline.pipeline_parallel", stages=1),
        use("memory.accumulation.gradient_accumulation", micro_batch=1),
    ],
    ids=lambda u: u.instance,
)
def test_degree_one_changes_nothing(idle: Use) -> None:
    """A technique of degree one gives the very plan of none."""
    bare = plan_of(scenario(devices=1))
    same = plan_of(scenario(idle, devices=1))
    assert bare.blocks == same.blocks
    assert bare.hash == same.hash


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([1, 2, 4]))
def test_shards_sum_to_the_whole(tp: int, pp: int) -> None:
    """What devices of one replica hold sums to the model (norms, replicated over tp, aside)."""
    given_ = scenario(
        use("parallelism.tensor.tensor_parallel", degree=tp),
        use("parallelism.pipeline.pipeline_parallel", stages=pp),
        devices=tp * pp, mode="inference",
    )
    plan = plan_of(given_)
    held = sum(plan.blocks[b].weight_bytes for r in plan.ranks for c in r.chunks for b in c.blocks)
    norms = (2 * 32 + 1) * 4096 * 2
    assert held * tp == pytest.approx(plan.params * 2 + norms * (tp - 1), rel=1e-12)


def test_units_leave_the_plan_alone() -> None:
    """A parameter in another unit of the same size gives the same hash."""
    one = attrs.evolve(use("precision.mixed.bf16_mixed"), args={"grad_bits": Quantity(
        parse_quantity("32 bit").value, parse_quantity("32 bit").dimension)})
    other = attrs.evolve(one, args={"grad_bits": parse_quantity("4 B")})
    assert plan_of(scenario(one, devices=1)).hash == plan_of(scenario(other, devices=1)).hash
