"""Every formula of every derivation gives the value that the plan uses."""

from __future__ import annotations

import pytest
from tests.explain.derivations import answer, shipped_case, wrong_formulas
from tests.scenarios_for_tests import scenario, use

from llamasim.cost.work import amount
from llamasim.study.explain.case import Case, Place, case_of
from llamasim.study.explain.ops import amount_node, seconds_node, works_of
from llamasim.study.explain.sizes import activation_node, bytes_node
from llamasim.study.explain.tree import Node
from llamasim.study.explain.unused import shipped

SCENARIOS = ("cluster", "finetune", "megatron-175b-selective", "cloud", "workstation", "laptop")
STATES = {"weight": "weight_bytes", "grad": "grad_bytes", "optimizer": "optimizer_bytes"}


def places(case: Case, element: str) -> list[Place]:
    """Return every element of a kind, in one layer of each class."""
    found = []
    for index, facts in enumerate(case.applied.blocks):
        layer = facts.layers[0] if facts.layers else None
        block = facts.block
        names = {"weight": block.weights, "kv_cache": block.caches,
                 "activation": block.activations, "op": {op.name: op for op in block.ops}}
        found += [Place(index, layer, name) for name in names[element]]
    return found


def check(nodes: list[Node]) -> None:
    """Fail with the formulas that do not give their values."""
    assert nodes
    assert [text for n in nodes for text in wrong_formulas(n)] == []


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("element", list(STATES))
def test_tensors_of_a_block_sum_to_the_blocks_bytes(name: str, element: str) -> None:
    """What is explained one by one is what the plan holds against the device's memory."""
    case = shipped_case(name)
    nodes = {p: bytes_node(case, p, element) for p in places(case, "weight")}
    check(list(nodes.values()))
    for index, block in enumerate(case.plan.blocks):
        total = sum(float(n.value or 0.0) for p, n in nodes.items() if p.index == index)
        assert total == pytest.approx(getattr(block, STATES[element]), rel=1e-12)


@pytest.mark.parametrize("name", ("cloud", "workstation", "laptop"))
def test_parts_of_the_cache_sum_to_a_cached_tokens_bytes(name: str) -> None:
    case = shipped_case(name)
    nodes = {p: bytes_node(case, p, "kv_cache") for p in places(case, "kv_cache")}
    check(list(nodes.values()))
    for index, block in enumerate(case.plan.blocks):
        total = sum(float(n.value or 0.0) for p, n in nodes.items() if p.index == index)
        assert total == pytest.approx(block.kv_per_token, rel=1e-12)


@pytest.mark.parametrize("name", ("cluster", "finetune", "megatron-175b-selective"))
def test_kept_activations_sum_to_what_a_layer_keeps(name: str) -> None:
    """Each activation says whether it is kept; those that are make up the layer's bytes."""
    case, shape = shipped_case(name), shipped_case(name).plan.step_shape
    nodes = {p: activation_node(case, p) for p in places(case, "activation")}
    check(list(nodes.values()))
    for index, block in enumerate(case.plan.blocks):
        mine = [n for p, n in nodes.items() if p.index == index]
        kept = sum(float(n.value or 0.0) for n in mine
                   if next(i for i in n.inputs if i.name == "kept").value)
        planned = block.saved_per_token * shape.tokens + block.saved_per_pair * shape.full_pairs
        assert kept == pytest.approx(planned, rel=1e-12)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("cell", ("cost.flops", "cost.read", "cost.write"))
def test_work_of_ops_is_that_of_the_plan(name: str, cell: str) -> None:
    """FLOP and bytes of every op in every phase."""
    case = shipped_case(name)
    for phase in case.phases:
        for place in places(case, "op"):
            node = amount_node(case, place, cell, phase)
            check([node])
            _, works = works_of(case, place, phase)
            done = [amount(w, case.shape(phase)) for w in works]
            wanted = {
                "cost.flops": sum(d.product_flops + d.plain_flops for d in done),
                "cost.read": sum(d.read for d in done), "cost.write": sum(d.write for d in done),
            }
            assert node.value == pytest.approx(wanted[cell], rel=1e-12), (place.full, phase)


@pytest.mark.parametrize("name", ("cluster", "workstation"))
def test_seconds_of_ops_add_up(name: str) -> None:
    case = shipped_case(name)
    check([seconds_node(case, p, phase) for p in places(case, "op") for phase in case.phases])


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("category", ("total", "weights", "gradients", "optimizer", "activations",
                                      "kv_cache", "transient", "buffers", "reserve"))
def test_totals_add_up(name: str, category: str) -> None:
    """Memory of a stage is the sum of its blocks, those of their tensors."""
    check([answer(name, f"memory.{category}").root])


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_time_of_a_run_is_a_sum_over_causes(name: str) -> None:
    check([answer(name, "step.seconds").root])


#: Jobs in which a technique is tried, in order; the first that it works in counts.
JOBS = (
    {"devices": 1, "mode": "inference", "runtime": "vllm"},
    {"devices": 8, "mode": "inference", "runtime": "vllm"},
    {"devices": 1},
    {"devices": 8},
)
DATA = "parallelism.data.data_parallel"

def _first_job(name: str) -> Case | None:
    """Return the first job that a technique works in alone, or beside summed gradients."""
    for model in ("llama-3.1-8b", "mixtral-8x7b"):
        for job in JOBS:
            trains = job["devices"] == 8 and "mode" not in job
            for extra in ((), (use(DATA),)) if trains else ((),):
                case, _ = case_of(scenario(use(name), *extra, model=model, **job))
                if case is not None:
                    return case
    return None


def test_sizes_add_up_under_every_shipped_technique() -> None:
    """Each technique alone, in a job that suits it: formulas hold and blocks sum up."""
    names = [f"{m.name}.{t.name}" for m, t in shipped()]
    assert len(names) > 20
    idle = []
    for name in names:
        case = _first_job(name)
        if case is None:
            idle.append(name)
            continue
        for element, field in STATES.items():
            nodes = {p: bytes_node(case, p, element) for p in places(case, "weight")}
            check(list(nodes.values()))
            for index, facts in enumerate(case.applied.blocks):
                total = sum(
                    float(n.value or 0.0) * (1 - facts.away(element, p.name).share)
                    for p, n in nodes.items() if p.index == index
                )
                planned = getattr(case.plan.blocks[index], field)
                assert total == pytest.approx(planned, rel=1e-9), (name, element)
    assert len(idle) < len(names) / 4, idle
