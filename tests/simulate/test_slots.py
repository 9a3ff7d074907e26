"""Variants of the weights on a server, by hand."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from tests.cli.command_line import call
from tests.laws.test_simulation_serving import floor_for
from tests.scenarios_for_tests import plan_of

from llamasim.assets import scenarios_dir
from llamasim.cost.work import amount
from llamasim.plan.spec import OpWork, StepShape
from llamasim.scenario import read
from llamasim.scenario.spec import Scenario
from llamasim.simulate import run
from llamasim.simulate.kv import variant_bytes
from llamasim.simulate.slots import PLAIN, Slots

LOAD = 0.003
SHIPPED = scenarios_dir() / "adapters.yaml"


def slots(*asked: int, count: int = 2) -> Slots:
    return Slots(count, LOAD, array("i", asked))


def test_one_that_is_there_costs_nothing() -> None:
    held = slots(7, 7, 8)
    assert [held.take(r) for r in range(3)] == [LOAD, 0.0, LOAD]
    assert held.loads == held.used == 2


def test_the_one_used_longest_ago_makes_room() -> None:
    """Of two places: 1 and 2 come and rest, 1 is used again, so 3 takes the place of 2."""
    held = slots(1, 2, 1, 3, 1, 2)
    for request in (0, 1, 2):
        held.take(request)
        held.leave(request)
    assert held.take(3) == LOAD
    assert held.holds(4)
    assert not held.holds(5)


def test_what_runs_keeps_its_place() -> None:
    """Both places are in use: a third waits until one is left, one of those in use need not."""
    held = slots(1, 2, 3, 2)
    held.take(0)
    held.take(1)
    assert not held.fits(2)
    assert held.fits(3)
    held.leave(0)
    assert held.fits(2)


def test_requests_of_the_plain_model_take_no_place() -> None:
    held = slots(1, PLAIN, count=1)
    held.take(0)
    assert held.fits(1)
    assert held.take(1) == 0.0
    assert held.distinct([0, 1]) == 1


def served(tmp_path: Path, variants: int, loaded: int, skew: float = 0.0) -> Scenario:
    path = tmp_path / "adapters.yaml"
    path.write_text(f"""\
edition: 2026
model: llama-3.1-8b
cluster: {{device: h100-sxm, nodes: 1, devices_per_node: 1}}
runtime: vllm
workload:
  mode: inference
  dtype: bf16
  prompt: {{distribution: fixed, mean: 256 tok}}
  output: {{distribution: fixed, mean: 32 tok}}
  variants: {variants}
  variant_skew: {skew}
  arrivals: {{process: poisson, rate: 20 req/s, requests: 200}}
use:
  serving.adapters.multi_lora: {{rank: 16, loaded: {loaded}}}
""")
    found, said = read(path)
    assert found is not None, [d.message for d in said]
    return found


@pytest.mark.parametrize(("variants", "loaded"), [(4, 8), (40, 8)])
def test_each_adapter_is_brought_at_least_once_and_once_only_where_all_have_a_place(
    tmp_path: Path, variants: int, loaded: int
) -> None:
    scenario = served(tmp_path, variants, loaded)
    trace = run(plan_of(scenario), scenario)
    assert trace.requests is not None
    assert len(trace.requests.finished) == 200
    assert trace.service is not None
    loads = trace.service.loads
    if variants <= loaded:
        assert loads == variants
    else:
        assert variants < loads <= 200


def test_favourites_are_brought_less_often(tmp_path: Path) -> None:
    """Forty adapters and eight places: with Zipf's law most requests ask for few of them."""
    even, skewed = (served(tmp_path, 40, 8, skew) for skew in (0.0, 1.5))
    loads = []
    for scenario in (even, skewed):
        trace = run(plan_of(scenario), scenario)
        assert trace.service is not None
        loads.append(trace.service.loads)
    assert loads[1] < 0.8 * loads[0]


def test_a_step_reads_each_adapter_of_its_batch_once_and_each_token_passes_its_own() -> None:
    """A product of 4,096 by 16 in 16 bits: 131,072 B for each adapter, 131,072 FLOP a token."""
    op = OpWork("q.lora_a", "matmul", n=16, k=4096, read_fixed=131_072.0, variants=8)
    for asked, held in ((1, 1), (3, 3), (20, 8)):
        work = amount(op, StepShape(32, 32, 0, 0, 0, variants=asked))
        assert work.read == held * 131_072
        assert work.product_flops == 32 * 2 * 4096 * 16


def test_one_adapter_s_load_is_its_bytes_over_the_host_s_link() -> None:
    """Rank 16 on all products of 32 layers: 83,886,080 B, over the link at its own rate."""
    scenario, _ = read(SHIPPED)
    assert scenario is not None
    plan = plan_of(scenario)
    (rank,) = plan.ranks
    assert variant_bytes(plan, rank) == 83_886_080
    (server,) = floor_for(plan, scenario).servers
    assert server.slots is not None
    least = 83_886_080 / scenario.cluster.host_link.bandwidth
    assert least < server.slots.seconds < 1.5 * least


def test_explain_gives_the_weights_of_all_places() -> None:
    """4,096 x 16 x 2 B for each of sixteen."""
    said = call("explain", str(SHIPPED), "weight.bytes@layers.0.attn.q.lora_a")
    assert "2,097,152 B" in said.out
    assert "layout.variants" in said.out
