"""The op table: rows fill the tasks they stand for, and add up to the work of the plan."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.simulate import run
from llamasim.simulate.trace import TASKS, Trace
from llamasim.tables import Tables, tabulate

TENSOR = use("parallelism.tensor.tensor_parallel", degree=4, sequence_parallel=True)
PIPELINE = use("parallelism.pipeline.pipeline_parallel", stages=2, chunks=2)
MIXED = use("precision.mixed.bf16_mixed")
DATA = use("parallelism.data.data_parallel")
COMPUTING = ("forward", "backward", "optimizer", "prefill", "decode")


def _training() -> Trace:
    given = scenario(TENSOR, PIPELINE, MIXED, DATA, devices=16, global_batch=16, micro_batch=2)
    return run(plan_of(given), given)


def _answer() -> Trace:
    given = scenario(use("parallelism.tensor.tensor_parallel", degree=4), devices=4,
                     runtime="vllm", mode="inference", batch=2,
                     global_batch=1, sequence=0)
    return run(plan_of(given), given)


CASES = {"training": _training, "inference": _answer}


@pytest.fixture(scope="module", params=sorted(CASES))
def traced(request: pytest.FixtureRequest) -> tuple[Trace, Tables]:
    """Return a trace with collectives, and its tables."""
    trace = CASES[request.param]()
    return trace, tabulate(trace)


def _filled(tables: Tables) -> dict[tuple[int, int, int, str], float]:
    """Return, for each task, computing and waiting of its rows in seconds."""
    spent: dict[tuple[int, int, int, str], float] = {}
    for row in tables["ops"].to_pylist():
        key = (row["rank_class"], row["micro_batch"], row["chunk"], row["phase"])
        own = row["end_s"] - row["start_s"] if row["stream"] == "compute" else 0.0
        spent[key] = spent.get(key, 0.0) + own + row["waited_s"]
    return spent


def test_the_rows_of_a_task_fill_it(traced: tuple[Trace, Tables]) -> None:
    """Computing plus standing still for transfers is the task, to rounding."""
    trace, tables = traced
    t = trace.tasks
    long: dict[tuple[int, int, int, str], float] = {}
    for rank, kind, chunk, batch, start, end in zip(
        t.rank.tolist(), t.kind.tolist(), t.chunk.tolist(), t.micro_batch.tolist(),
        t.start.tolist(), t.end.tolist(), strict=True,
    ):
        if TASKS[kind] in COMPUTING:
            key = (rank, batch, chunk, TASKS[kind])
            long[key] = long.get(key, 0.0) + end - start
    spent = _filled(tables)
    assert spent.keys() == {k for k, v in long.items() if v > 0}
    for key, seconds in spent.items():
        assert seconds == pytest.approx(long[key], rel=1e-9, abs=1e-12), key


def test_rows_are_in_order_and_within_the_run(traced: tuple[Trace, Tables]) -> None:
    """Times are ordered within a rank class, never negative, never after the end."""
    trace, tables = traced
    ops = tables["ops"]
    start, end = ops["start_s"].to_numpy(), ops["end_s"].to_numpy()
    rank = ops["rank_class"].to_numpy()
    assert (start >= 0).all() and (end >= start).all()
    assert end.max() <= trace.makespan * (1 + 1e-12)
    assert (ops["waited_s"].to_numpy() >= 0).all()
    assert (np.diff(rank) >= 0).all()
    assert (np.diff(start)[np.diff(rank) == 0] >= 0).all()


def test_every_layer_runs_once_a_micro_batch(traced: tuple[Trace, Tables]) -> None:
    """All 32 layers of the model run `attn.out` in the first pass of each micro-batch."""
    _, tables = traced
    first = {"forward", "prefill"}
    rows = [r for r in tables["ops"].to_pylist()
            if r["phase"] in first and r["op"] == "attn.out" and r["part"] == "forward"]
    batches = {r["micro_batch"] for r in rows}
    for batch in batches:
        layers = sorted(r["layer"] for r in rows if r["micro_batch"] == batch)
        assert layers == list(range(32))


def test_forward_work_is_what_the_shapes_say() -> None:
    """The forward matmul of `mlp.up` on one of 4 tensor ranks: 2 x tokens x 4096 x 14336 / 4."""
    tables = tabulate(_training())
    row = next(r for r in tables["ops"].to_pylist()
               if r["op"] == "mlp.up" and r["phase"] == "forward" and r["part"] == "forward")
    assert row["flops"] == pytest.approx(2 * (2 * 4096) * 4096 * 14336 / 4)


def test_work_of_inference_rows_sums_to_the_whole() -> None:
    """8 prompts of 16,384 tokens, then 255 decode steps: 2 x 4096 x 14336 FLOP a token and layer.

    A prefill is cut into many tasks and decode steps are joined into few; work is neither
    repeated nor lost. Runs of decode steps are as long as their steps to within a percent.
    """
    import pytest
    from tests.scenarios_for_tests import plan_of, scenario, use

    from llamasim.scenario.spec import Length
    from llamasim.simulate import run
    from llamasim.tables import tabulate

    given = scenario(
        use("attention.flash.flash_attention"), devices=1, runtime="vllm", mode="inference",
        batch=8, prompt=Length("fixed", 16384), output=Length("fixed", 256), sequence=16640,
    )
    ops = tabulate(run(plan_of(given), given))["ops"].to_pylist()
    each = 2 * 4096 * 14336 * 32
    for phase, tokens in (("prefill", 8 * 16384), ("decode", 8 * 255)):
        work = sum(r["flops"] for r in ops if r["op"] == "mlp.up" and r["phase"] == phase)
        assert work == pytest.approx(each * tokens, rel=0.02)
