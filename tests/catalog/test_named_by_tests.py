"""Models and clusters that the tests of rule files name."""

from __future__ import annotations

import pytest

from llamasim.catalog import unknown_in_tests
from llamasim.diagnostics import Source
from llamasim.language import parse


def said(given: str) -> list[tuple[str, tuple[str, ...]]]:
    """Codes and ways out of what is wrong with a test's `given`."""
    text = f'edition 2026\nmodule m\ntest "one" {{ given {given}\n expect model.layers > 0 }}\n'
    module, found = parse(Source("m.rules", text))
    assert module is not None
    assert not found
    return [(d.code, d.help) for d in unknown_in_tests(module)]


@pytest.mark.parametrize("given", [
    "model llama_3_1_8b", "model deepseek_v3", "cluster h100_sxm_1", "cluster rtx_4090_4",
    "cluster h100_8", "cluster a100_sxm_80gb_16", "workload training",
    "model llama_3_1_8b, cluster h100_sxm_64",
])
def test_names_of_the_catalog_pass(given: str) -> None:
    assert said(given) == []


@pytest.mark.parametrize(("given", "code", "way"), [
    ("model llama_3_1_9b", "E0234", "did you mean `llama_3_1_8b`?"),
    ("model zzz", "E0234", "`llamasim catalog models` lists them"),
    ("cluster rtx4090x_1", "E0235", "did you mean `rtx_4090`?"),
    ("cluster h100_sxm", "E0235", "write `h100_sxm_1`, or `_8` for a whole node"),
    ("cluster h100_sxm_12", "E0235", "write `h100_sxm_16`"),
])
def test_other_names_get_the_nearest(given: str, code: str, way: str) -> None:
    """Model, device and number of devices."""
    assert said(given) == [(code, (way,))]
