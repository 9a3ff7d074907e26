"""What a device holds at each moment of a training step."""

from __future__ import annotations

import numpy as np
import pytest
from tests.simulate.hand_plans import plan, scenario

from llamasim.plan.spec import CommWork, Group
from llamasim.simulate import run
from llamasim.simulate.levels import of_changes, of_spans, peak
from llamasim.simulate.memory import measures
from llamasim.simulate.trace import CATEGORIES, Trace

TRAINING = {"mode": "training"}


def series(trace: Trace, rank: int, category: str) -> tuple[list[float], list[float]]:
    m = trace.memory
    rows = (m.rank == rank) & (m.category == CATEGORIES.index(category))
    return m.time[rows].tolist(), m.bytes[rows].tolist()


@pytest.mark.parametrize("batches", [2, 4, 8])
def test_stage_s_holds_p_minus_s_micro_batches(batches: int) -> None:
    """One forward, one backward: arXiv:2104.04473, section 2.2.1."""
    trace = run(plan(stages=4, schedule={"micro_batches": batches}), scenario(**TRAINING))
    saved = 2048.0 * 4096
    for stage in range(4):
        assert max(series(trace, stage, "activations")[1]) == saved * min(4 - stage, batches)


def test_gpipe_holds_all_micro_batches() -> None:
    schedule = {"micro_batches": 8, "pipeline": "all_forward_all_backward"}
    trace = run(plan(stages=4, schedule=schedule), scenario(**TRAINING))
    assert max(series(trace, 3, "activations")[1]) == 2048.0 * 4096 * 8


def test_everything_but_model_state_is_given_back() -> None:
    reduce = (CommWork("g", "all_reduce", Group("dp", 2, 1), bytes_fixed=1e6, hidden=1.0),)
    made = plan(
        stages=2, layers=3, reduce=reduce, grad_buffer_bytes=5e6, gathered_bytes=1e6,
        schedule={"micro_batches": 4},
    )
    trace = run(made, scenario(**TRAINING))
    weights = 3 * 2048.0 * 1024
    for rank in (0, 1):
        for category in ("activations", "transient", "buffers"):
            assert series(trace, rank, category)[1][-1] == 0
        assert series(trace, rank, "gradients")[1][-1] == pytest.approx(weights)
        assert series(trace, rank, "weights") == ([0.0], [weights])
        assert series(trace, rank, "optimizer") == ([0.0], [4 * weights])


def test_whole_gradients_of_a_block_go_with_its_reduction() -> None:
    """Held over two micro-batches all ten live; reduced at once, the one at work does."""
    reduce = (CommWork("g", "reduce_scatter", Group("dp", 2, 1), bytes_fixed=1.0, hidden=1.0),)

    def top(every: int) -> float:
        made = plan(
            layers=10, reduce=reduce, grad_buffer_bytes=1e6, grad_bytes=0.0,
            schedule={"micro_batches": 2, "reduce_every": every},
        )
        return max(series(run(made, scenario(**TRAINING)), 0, "gradients")[1])

    assert top(0) == pytest.approx(1e7)
    assert 1e6 <= top(1) <= 2e6


def test_gathered_weights_are_of_the_block_at_work_and_the_next() -> None:
    for prefetch, blocks in ((0, 1), (1, 2), (9, 4)):
        made = plan(layers=4, gathered_bytes=1e6, schedule={"prefetch": prefetch})
        fits = run(made, scenario(**TRAINING)).fits
        assert fits[0].by_category["buffers"] == blocks * 1e6


def test_the_peak_is_held_against_the_share_of_memory_that_the_runtime_may_use() -> None:
    runtime = {"reserve_bytes": 1e9, "memory_share": 0.5}
    made = plan(schedule={"micro_batches": 1})
    need = run(made, scenario(runtime=runtime, **TRAINING)).fits[0].peak_bytes
    assert need > 1e9
    for memory, fits in ((2 * need * 1.001, True), (2 * need * 0.999, False)):
        trace = run(made, scenario(memory=memory, runtime=runtime, **TRAINING))
        assert trace.fits[0].fits is fits


def test_host_memory_counts_for_all_devices_of_a_node() -> None:
    made = plan(host_bytes={"optimizer": 3e9})
    fit = run(made, scenario(**TRAINING)).fits[0]
    assert fit.host_bytes == 3e9
    assert fit.fits
    assert not run(plan(host_bytes={"optimizer": 600e9}), scenario(**TRAINING)).fits[0].fits


def test_fragmentation_costs_a_share_of_what_comes_and_goes() -> None:
    made = plan(schedule={"micro_batches": 1})
    moving = 2048.0 * 4096 + 4096.0 * 4096
    fit = run(made, scenario(runtime={"fragmentation": 0.1}, **TRAINING)).fits[0]
    assert fit.by_category["reserve"] == pytest.approx(0.1 * moving)


def test_a_release_and_an_allocation_at_one_moment_do_not_add_up() -> None:
    level = of_changes(np.array([0.0, 1.0, 1.0, 2.0]), np.array([5.0, 5.0, -5.0, -5.0]))
    assert level.time.tolist() == [0.0, 2.0]
    assert level.bytes.tolist() == [5.0, 0.0]


def test_the_peak_is_of_the_sum_not_the_sum_of_peaks() -> None:
    early = of_spans(np.array([0.0]), np.array([1.0]), np.array([3.0]))
    late = of_spans(np.array([1.0]), np.array([2.0]), np.array([4.0]))
    assert peak({"a": early, "b": late}) == (4.0, {"a": 0.0, "b": 4.0})


@pytest.mark.parametrize(
    ("life", "top"),
    [("run", 10 + 10), ("step_end", 11), ("layer_end", 10 + 1)],
)
def test_gradients_come_as_activations_go(life: str, top: float) -> None:
    """Ten blocks, each of which keeps as much as its gradients take (1 unit). Held for the run,
    gradients stand beside all activations; made in the backward pass, each comes when as much has
    gone; updated at once, one is there.
    """
    unit = 2048.0 * 4096
    made = plan(
        layers=10, grad_bytes=unit, grad_life=life, transient_per_token=0.0, optimizer_bytes=0.0,
        weight_bytes=0.0, schedule={"micro_batches": 1},
    )
    fit = run(made, scenario(**TRAINING)).fits[0]
    assert fit.allocated_bytes / unit == pytest.approx(top)


def test_a_second_micro_batch_finds_the_gradients_of_the_first() -> None:
    unit = 2048.0 * 4096
    made = plan(
        layers=10, grad_bytes=unit, grad_life="step_end", transient_per_token=0.0,
        optimizer_bytes=0.0, weight_bytes=0.0, schedule={"micro_batches": 2},
    )
    assert run(made, scenario(**TRAINING)).fits[0].allocated_bytes / unit == pytest.approx(20)


def test_an_allocator_gives_back_what_it_holds_unused() -> None:
    """A loss of a half does not make a step fail that fits without it."""
    made = plan(schedule={"micro_batches": 1})
    runtime = {"fragmentation": 0.5, "reserve_bytes": 0.0, "memory_share": 1.0}
    need = run(made, scenario(runtime=runtime, **TRAINING)).fits[0]
    assert need.peak_bytes > need.allocated_bytes
    tight = run(made, scenario(memory=need.allocated_bytes * 1.01, runtime=runtime, **TRAINING))
    assert tight.fits[0].fits
    assert tight.fits[0].peak_bytes == pytest.approx(need.allocated_bytes * 1.01)


def test_programs_report_three_kinds_of_peak() -> None:
    """10 % of what moves is lost, and gathered weights of another stream stay reserved."""
    given = scenario(runtime={"fragmentation": 0.1, "reserve_bytes": 1e9}, **TRAINING)
    made = plan(schedule={"micro_batches": 1})
    fit = run(made, given).fits[0]
    found = measures(fit, given)
    moving = 2048.0 * 4096 + 4096.0 * 4096
    assert found["reserved"] - found["allocated"] == pytest.approx(0.1 * moving)
    assert found["device"] - found["reserved"] == pytest.approx(1e9)
