"""What training spends beside its products: by hand, on the round machine."""

from __future__ import annotations

import attrs
import pytest
from tests.cost.machines import machine

from llamasim.cost import op_cost, segment_cost
from llamasim.cost.machine import slowest_of
from llamasim.plan.spec import CommWork, Group, OpWork, StepShape, Work

TRAIN = StepShape.of(1, 8192)
MS = 1e9  # bytes that the round machine's memory moves in a millisecond
#: 25 heads make 1,600 blocks of 128 queries: 16 full waves on 100 multiprocessors.
ATTENTION = OpWork("core", "fused_attention", heads=25, head_dim=128, causal_skip=True)


def op(milliseconds: float, part: str = "forward") -> OpWork:
    return attrs.evolve(
        OpWork("op", "norm", basis="fixed", read_fixed=milliseconds * MS), part=part
    )


def total(milliseconds: float, hidden: float) -> CommWork:
    """Return a sum over two devices: half of it through the port at 100 GB/s, a quarter copied."""
    return CommWork("s", "reduce_scatter", Group("tp", 2, 2), hidden=hidden,
                    bytes_fixed=milliseconds * 1e-3 / 0.75 * 100e9)


def seconds(*works: Work, **figures: object) -> float:
    return segment_cost(works, StepShape.of(1, 100), machine(**figures)).seconds


def test_attention_loses_the_diagonal_and_its_first_loads() -> None:
    """A query sees 4,096.5 keys of 8,192; its block computes 64 more and waits for 128."""
    flops = 2 * 2 * 25 * 128 * 8192 * 4096.5
    share = 4096.5 / (4096.5 + 64) * 4096.5 / (4096.5 + 128)
    found = op_cost(ATTENTION, TRAIN, machine()).seconds
    assert found == pytest.approx(flops / (100e12 * share))


def test_attention_backward_has_five_products_at_a_lower_rate() -> None:
    forward = op_cost(ATTENTION, TRAIN, machine()).seconds
    backward = op_cost(attrs.evolve(ATTENTION, part="data_grad"), TRAIN, machine()).seconds
    assert backward == pytest.approx(forward * 2.5 / 0.8)


def test_short_sequences_and_narrow_heads_are_slower_for_their_work() -> None:
    def rate(work: OpWork, shape: StepShape) -> float:
        cost = op_cost(work, shape, machine())
        return cost.flops / cost.seconds

    short, narrow = StepShape.of(16, 512), attrs.evolve(ATTENTION, head_dim=64)
    assert 0.5 < rate(ATTENTION, short) / rate(ATTENTION, TRAIN) < 0.65
    # 64 / (64 + 16) of 128 / (128 + 16)
    assert rate(narrow, TRAIN) / rate(ATTENTION, TRAIN) == pytest.approx(0.8 / (128 / 144))


def test_an_odd_width_starves_the_matrix_units() -> None:
    def product(n: int) -> float:
        return op_cost(OpWork("head", "matmul", n=n, k=4096), TRAIN, machine()).seconds

    assert product(50257) / product(50256) == pytest.approx(1 / 0.44, rel=0.01)


def test_kernels_beside_a_product_come_on_top_of_it() -> None:
    """8,192 tokens of 4 kB at 1 TB/s."""
    bare = OpWork("w", "matmul", n=4096, k=4096)
    beside = attrs.evolve(bare, beside_per_token=4000.0)
    more = op_cost(beside, TRAIN, machine()).seconds - op_cost(bare, TRAIN, machine()).seconds
    assert more == pytest.approx(8192 * 4000 / 1e12)


def test_a_device_waits_for_the_host_that_issues_its_ops() -> None:
    """Three ops of 0.1 ms that take 1 ms each to issue; ops of 2 ms never wait."""
    assert seconds(op(0.1), op(0.1), op(0.1), dispatch_s=1e-3) == pytest.approx(3e-3)
    assert seconds(op(2), op(2), dispatch_s=1e-3) == pytest.approx(4e-3)
    assert seconds(op(0.1), total(0.1, 0.0), dispatch_s=1e-3) == pytest.approx(2e-3)


def test_rows_of_a_segment_that_waits_for_the_host_fill_it() -> None:
    works = (op(0.1), total(0.1, 0.0), op(0.3))
    cost = segment_cost(works, StepShape.of(1, 100), machine(dispatch_s=1e-3))
    compute = sum(r.seconds for r in cost.rows if r.stream == "compute")
    assert compute + sum(r.waited for r in cost.rows) == pytest.approx(cost.seconds)
    assert cost.exposed_comm_s == {"tp": pytest.approx(1e-4)}
    assert {r.bound for r in cost.rows if r.stream == "compute"} == {"launch"}


def test_a_sum_overlaps_the_product_that_makes_it() -> None:
    """A fifth of 1 ms stands alone after a product of 3 ms; after one of 0.5 ms half of it does."""
    assert seconds(op(3), total(1, 0.8), op(1)) == pytest.approx(4.2e-3)
    assert seconds(op(0.5), total(1, 0.8), op(1)) == pytest.approx(2e-3)
    assert seconds(op(3), total(1, 0.0), op(1)) == pytest.approx(5e-3)


def test_a_sum_of_gradients_overlaps_those_of_weights_too() -> None:
    works = (op(0.5, "data_grad"), op(0.5, "weight_grad"), total(1, 0.8))
    assert seconds(*works) == pytest.approx(1.2e-3)


def test_a_sum_that_overlaps_takes_its_tax() -> None:
    """0.8 ms beside the product take a tenth of the multiprocessors: 0.08 ms more."""
    assert seconds(op(3), total(1, 0.8), overlap_tax=0.1) == pytest.approx(3.28e-3)


@pytest.mark.parametrize(("count", "deviations"), [(1, 0.0), (2, 0.5642), (10, 1.5388),
                                                   (1000, 3.2414)])
def test_the_slowest_of_many(count: int, deviations: float) -> None:
    """Expected largest of normal deviates (Harter, Biometrika 48, 1961, table 1)."""
    assert slowest_of(count) == pytest.approx(deviations, abs=0.03)
