"""A server over several stages, beside a batch of one on the same stages."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Arrivals, Length, Scenario
from llamasim.simulate import run
from llamasim.tables import summarize


@pytest.mark.parametrize("stages", [1, 2, 4])
def test_one_user_of_a_server_waits_as_long_as_a_batch_of_one(stages: int) -> None:
    """Host, stages and boundaries take the same, also where one host issues all stages."""
    pipeline = use("parallelism.pipeline.pipeline_parallel", stages=stages)

    def given(arrivals: Arrivals | None) -> Scenario:
        return scenario(
            *([pipeline] if stages > 1 else []), device="rtx-4090", devices=stages,
            runtime="llama.cpp", mode="inference", prompt=Length("fixed", 512),
            output=Length("fixed", 64), arrivals=arrivals,
        )

    alone, served = (
        summarize(run(plan_of(one), one))["tpot_ms_mean"]
        for one in (given(None), given(Arrivals("closed", 3, concurrency=1)))
    )
    assert served == pytest.approx(alone, rel=1e-9)
