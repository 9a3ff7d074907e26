"""Requests of a server with a longest context, and their numbers in the tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.scenario_texts import read_well

from llamasim.plan import compile_plan
from llamasim.simulate import run
from llamasim.tables import tabulate

SERVER = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm}
runtime: vllm
workload:
  mode: inference
  prompt: {distribution: uniform, mean: 300 tok, cv: 0.4}
  output: 20 tok
  arrivals: {process: poisson, rate: 20 req/s, requests: 80}
"""


@pytest.mark.parametrize("use", ["", "use: {serving.batching.prefill_first_batching: {}}\n"])
def test_a_server_turns_away_what_is_longer_than_its_longest_context(
    tmp_path: Path, use: str
) -> None:
    free = read_well(tmp_path, SERVER + use)
    bound = read_well(tmp_path, SERVER + use, ("workload.sequence=340 tok",))
    everything, some = (tabulate(run(plan, given)) for given in (free, bound)
                        if (plan := compile_plan(given)[0]) is not None)
    assert everything["rejected"].num_rows == 0
    whole = {r["request"]: r["prompt_tokens"] + r["output_tokens"]
             for r in everything["requests"].to_pylist()}
    served = set(some["requests"]["request"].to_pylist())
    rejected = some["rejected"].to_pylist()
    # The same requests come; each is served or turned away, under its own number.
    assert served == {n for n, tokens in whole.items() if tokens <= 340}
    assert {r["request"] for r in rejected} == set(whole) - served
    assert rejected
    assert rejected[0]["reason"] == "it has more than the 340 tokens of `workload.sequence`"


def test_requests_name_the_variant_that_they_ask_for(tmp_path: Path) -> None:
    text = SERVER.replace("arrivals:", "variants: 3\n  arrivals:") + (
        "use: {serving.adapters.multi_lora: {rank: 8, loaded: 2}}\n")
    given = read_well(tmp_path, text)
    plan, _ = compile_plan(given)
    assert plan is not None
    assert set(tabulate(run(plan, given))["requests"]["variant"].to_pylist()) == {0, 1, 2}
    plain = read_well(tmp_path, SERVER)
    plan, _ = compile_plan(plain)
    assert plan is not None
    assert set(tabulate(run(plan, plain))["requests"]["variant"].to_pylist()) == {None}
