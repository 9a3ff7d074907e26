"""The closed form of a training step against its simulation by events."""

from __future__ import annotations

from statistics import quantiles

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scenarios_for_tests import scenario, use

from llamasim.plan import build
from llamasim.scenario.spec import Scenario, Use
from llamasim.simulate import run
from llamasim.simulate.closed_form import Results, evaluate
from llamasim.simulate.costing import step_timings
from llamasim.simulate.fast import step_time
from llamasim.simulate.trace import Trace
from llamasim.study.workbench import Workbench

ZERO = ("parallelism.data.data_parallel", "parallelism.zero.zero1", "parallelism.zero.zero3")
RECOMPUTE = (None, "memory.checkpoint.full_checkpoint", "memory.checkpoint.selective_products")
BASE = (use("precision.mixed.bf16_mixed"), use("attention.flash.flash_attention"))


@st.composite
def configurations(draw: st.DrawFn) -> Scenario:
    """Draw a training job of Llama 3.1 8B on 32 GPUs in 4 nodes."""
    tensor, stages = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from((1, 2, 4)))
    uses: list[Use] = [*BASE, use(draw(st.sampled_from(ZERO)))]
    if tensor > 1:
        uses.append(use("parallelism.tensor.tensor_parallel", degree=tensor,
                        sequence_parallel=draw(st.booleans())))
    if stages > 1:
        uses.append(use("parallelism.pipeline.pipeline_parallel", stages=stages,
                        chunks=draw(st.sampled_from((1, 2, 4)))))
    recompute = draw(st.sampled_from(RECOMPUTE))
    if recompute:
        uses.append(use(recompute))
    replicas = 32 // tensor // stages
    batch = replicas * stages * draw(st.integers(1, 4))
    return scenario(*uses, devices=32, global_batch=batch, micro_batch=1)


def both(one: Scenario) -> tuple[Results, Trace | None]:
    """Return a configuration in closed form and simulated, or only what refuses it."""
    bench, said = Workbench.of(one)
    assert bench is not None, said
    found = evaluate(bench.graph, bench.program, one, [one.use])
    plan, said = build(bench.graph, bench.program, one)
    return found, None if plan is None or any(d.is_error for d in said) else run(plan, one)


def shares(trace: Trace) -> bool:
    """Whether flows of a step meet on a link."""
    timings = step_timings(trace.plan, trace.scenario)
    return step_time(timings) > step_time(timings, sharing=False) * (1 + 1e-9)


@given(configurations())
@settings(max_examples=40, deadline=None)
def test_where_nothing_contends_the_closed_form_is_the_simulation(one: Scenario) -> None:
    """Within 1 % of its time and of its memory; and what one refuses, the other refuses."""
    found, trace = both(one)
    refused = any(d.is_error for d in found.said[0].diagnostics)
    assert refused == (trace is None)
    if trace is None:
        return
    assert bool(found.fits[0]) == all(f.fits for f in trace.fits)
    if found.fits[0] and not shares(trace):
        assert found.seconds[0] == pytest.approx(trace.makespan, rel=0.01)
        assert found.peak[0] == pytest.approx(max(f.peak_bytes for f in trace.fits), rel=0.01)


def test_where_flows_meet_nine_of_ten_are_within_three_per_cent() -> None:
    """Flows that share a link are taken at a mean rate; few depend on how exactly they meet."""
    differences = []
    pipe, tensor = "parallelism.pipeline.pipeline_parallel", "parallelism.tensor.tensor_parallel"
    for zero in ZERO:
        for stages, chunks in ((2, 1), (2, 4), (4, 1), (4, 2)):
            for degree in (2, 4):
                uses = (*BASE, use(zero), use(pipe, stages=stages, chunks=chunks),
                        use(tensor, degree=degree), use("memory.checkpoint.full_checkpoint"))
                one = scenario(*uses, devices=32, global_batch=128, micro_batch=1)
                found, trace = both(one)
                assert trace is not None
                if shares(trace) and found.fits[0]:
                    differences.append(abs(float(found.seconds[0]) / trace.makespan - 1))
    assert len(differences) >= 8
    assert quantiles(differences, n=10)[-1] <= 0.03


def test_each_global_batch_is_tried_with_each_set_of_techniques() -> None:
    """Twice the batch in as many micro-batches again takes a little less than twice the time."""
    one = scenario(*BASE, use("parallelism.zero.zero3"), use("memory.checkpoint.full_checkpoint"),
                   devices=8, global_batch=8, micro_batch=1)
    bench, _ = Workbench.of(one)
    assert bench is not None
    found = evaluate(bench.graph, bench.program, one, [one.use, one.use], (8, 16))
    assert found.seconds[0] == found.seconds[2]
    assert found.seconds[1] == found.seconds[3]
    assert 1.5 < found.seconds[1] / found.seconds[0] <= 2.0
    single = evaluate(bench.graph, bench.program,
                      attrs.evolve(one, workload=attrs.evolve(one.workload, global_batch=16)),
                      [one.use])
    assert single.seconds[0] == pytest.approx(found.seconds[1], rel=1e-12)
