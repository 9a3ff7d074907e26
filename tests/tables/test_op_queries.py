"""The op table answers questions asked with plain readers, and holds the work of the plan."""

from __future__ import annotations

import duckdb
import pyarrow.compute as pc
import pytest
from tests.tables.traces import batch, serving, training

from llamasim.cost import Machine, segment_cost
from llamasim.tables import tabulate
from llamasim.tables.ops import layer_numbers


def test_flops_of_the_rows_are_those_of_the_plan() -> None:
    """Every layer's forward work appears once for each micro-batch, not more and not less."""
    run = training()
    plan, machine = run.plan, Machine.of(run.scenario)
    ops = tabulate(run)["ops"].filter(pc.field("phase") == "forward")
    expected = 0.0
    for rank in plan.ranks:
        for chunk in rank.chunks:
            for index in chunk.blocks:
                works = plan.blocks[index].work["forward"]
                rows = segment_cost(works, plan.step_shape, machine).rows
                expected += plan.schedule.micro_batches * sum(r.flops for r in rows)
    assert pc.sum(ops["flops"]).as_py() == pytest.approx(expected, rel=1e-12)


def test_every_layer_is_there_once_a_micro_batch() -> None:
    """Layers are numbered through the chunks in the order in which a micro-batch passes them."""
    run = training()
    ops = tabulate(run)["ops"]
    query = """select layer, count(*) as n from ops
               where op = 'mlp.down' and phase = 'forward' group by layer order by layer"""
    rows = duckdb.sql(query).fetchall()
    assert ops.num_rows > 0
    assert rows == [(layer, run.plan.schedule.micro_batches) for layer in range(32)]
    slots = sorted((c for r in run.plan.ranks for c in r.chunks), key=lambda c: c.order)
    assert [x for c in slots for x in layer_numbers(run.plan)[c.order] if x >= 0] == list(range(32))


def test_backward_rows_run_through_the_layers_from_the_last() -> None:
    """The gradient of a later layer comes first."""
    ops = tabulate(training())["ops"].to_pylist()
    first = [r["layer"] for r in ops
             if (r["rank_class"], r["micro_batch"], r["chunk"]) == (0, 0, 0)
             and r["phase"] == "backward" and r["layer"] >= 0]
    assert first == sorted(first, reverse=True)


def test_the_longest_op_of_the_first_stage_is_found_by_plain_readers() -> None:
    """DuckDB and pyarrow agree; the gated MLP's three products are the largest of 8B."""
    ops = tabulate(training())["ops"]
    by_duckdb = duckdb.sql(
        "select op from ops where rank_class = 0 and stream = 'compute' "
        "group by op order by sum(end_s - start_s) desc limit 3"
    ).fetchall()
    first = ops.filter((pc.field("rank_class") == 0) & (pc.field("stream") == "compute"))
    spent = first.append_column("s", pc.subtract(first["end_s"], first["start_s"]))
    ranked = spent.group_by("op").aggregate([("s", "sum")]).sort_by([("s_sum", "descending")])
    assert {name for (name,) in by_duckdb} == {"mlp.gate", "mlp.up", "mlp.down"}
    assert [name for (name,) in by_duckdb] == ranked["op"].to_pylist()[:3]


def test_a_server_has_iterations_in_place_of_op_rows() -> None:
    """Its ops depend on the batch of each moment; the table is there, empty, of the same schema."""
    tables = tabulate(serving())
    assert tables["ops"].num_rows == 0
    assert tables["ops"].schema.names == tabulate(batch())["ops"].schema.names
    assert tables["iterations"].num_rows > 0
