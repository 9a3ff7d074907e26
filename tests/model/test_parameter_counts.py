"""Parameter counts follow from shapes alone."""

from __future__ import annotations

import pytest

from llamasim.catalog import get_model
from llamasim.model import resolve

#: Exact counts of published checkpoints (sum of all tensors' shapes).
PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.1-405b": 405_853_388_800,
    "llama-2-7b": 6_738_415_616,
    "llama-3.2-1b": 1_235_814_400,
    "mixtral-8x7b-v0.1": 46_702_792_704,
    "qwen2.5-7b": 7_615_616_512,
    "gemma-2-9b": 9_241_705_984,
    "gpt3-175b": 174_615_846_912,
    "gpt-1t": 1_008_038_758_400,
}


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_params_are_exact(name: str, count: int) -> None:
    """The graph's tensors sum to the published count."""
    model = get_model(name)
    assert model is not None
    assert resolve(model).params == count


def test_routed_experts_count_once_per_choice() -> None:
    """Mixtral: two of eight experts of each layer are active."""
    model = get_model("mixtral-8x7b-v0.1")
    assert model is not None
    assert resolve(model).active_params == 12_879_925_248


def test_every_input_is_made_before_it_is_read() -> None:
    """Ops stand in an order that can run."""
    model = get_model("llama-3.1-8b")
    assert model is not None
    for block in resolve(model).blocks:
        made = {block.input}
        for op in block.ops:
            assert set(op.inputs) <= made, op
            made.add(op.output)
        assert block.output in made or block.kind == "head"
