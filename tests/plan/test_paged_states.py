"""Optimizer states that come to the device for the update and go back."""

from __future__ import annotations

from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.plan.spec import CommWork, OpWork


def test_states_come_and_go_and_gradients_stay() -> None:
    """Two moments of 32 bits for 8,030,261,248 parameters, in and out; the device updates."""
    plan = plan_of(scenario(use("offload.optimizer.paged_optimizer"), devices=1))
    update = plan.ranks[0].optimizer
    assert [w.name for w in update] == ["optimizer states in", "optimizer", "optimizer states out"]
    copies = [w for w in update if isinstance(w, CommWork)]
    assert {w.bytes_fixed for w in copies} == {8_030_261_248 * 8}
    assert [w.place for w in update if isinstance(w, OpWork)] == ["device"]


def test_the_host_updates_otherwise() -> None:
    plan = plan_of(scenario(use("offload.optimizer.optimizer_to_host"), devices=1))
    update = plan.ranks[0].optimizer
    assert [w.name for w in update] == ["gradients", "optimizer", "updated weights"]
    assert [w.place for w in update if isinstance(w, OpWork)] == ["host"]
