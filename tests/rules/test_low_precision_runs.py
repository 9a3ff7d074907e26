"""What fewer bits change in time: traffic of caches and weights, rates of arithmetic."""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Length, Use
from llamasim.simulate import run
from llamasim.tables import summarize

FLASH = use("attention.flash.flash_attention")


def figure(name: str, *uses: Use, device: str = "h100-sxm", prompt: int = 512,
           output: int = 64) -> float:
    """Return a figure of one stream of Llama 3.1 8B under vLLM."""
    given = scenario(
        *uses, model="llama-3.1-8b", device=device, devices=1, runtime="vllm", mode="inference",
        dtype="bf16", prompt=Length("fixed", prompt), output=Length("fixed", output), batch=1,
    )
    value = summarize(run(plan_of(given), given))[name]
    assert isinstance(value, float)
    return value


def slope(*uses: Use) -> float:
    """Return by how many milliseconds a cached token lengthens the time of an output token."""
    short, long = (1000 / figure("decode_tok_s", *uses, prompt=p) for p in (32_768, 98_304))
    return (long - short) / 65_536


def test_cached_tokens_cost_as_much_time_as_measured() -> None:
    """vLLM blog 2026-04-22: 4.37e-5 ms a token in bf16, 2.37e-5 in fp8, Llama 3.1 8B on H100."""
    assert slope(FLASH) == pytest.approx(4.37e-5, rel=0.15)
    fp8 = use("quantization.kv_cache.fp8_kv_cache", attention_in_fp8=True)
    assert slope(FLASH, fp8) == pytest.approx(2.37e-5, rel=0.15)


def test_a_cache_of_fewer_bits_is_read_faster_in_proportion() -> None:
    """A token's 4.25 bits an element take 4.25 / 16 of the time of 16 bits."""
    int4 = use("quantization.kv_cache.int4_kv_cache", group_size=128)
    assert slope(FLASH, int4) / slope(FLASH) == pytest.approx(4.25 / 16, rel=0.02)


@pytest.mark.parametrize(
    ("name", "device", "low", "high"),
    [
        ("precision.fp8.fp8_compute", "h100-sxm", 1.3, 2.0),
        ("quantization.w8a8.w8a8_int8", "h100-sxm", 1.3, 2.0),
        ("quantization.sparsity.two_of_four", "h100-sxm", 1.4, 2.0),
        ("quantization.fp4.nvfp4_compute", "b200-sxm", 1.6, 4.0),
        ("quantization.sparsity.unstructured", "h100-sxm", 0.9, 1.0),
        ("quantization.int4.int4_weights", "h100-sxm", 0.8, 1.0),
        ("quantization.nf4.nf4_weights", "h100-sxm", 0.8, 1.0),
    ],
)
def test_prompts_gain_what_arithmetic_gains(
    name: str, device: str, low: float, high: float
) -> None:
    """At most the ratio of the rates; nothing where only storage shrinks and unpacking is added."""
    before = figure("prefill_tok_s", FLASH, device=device, prompt=4096)
    after = figure("prefill_tok_s", FLASH, use(name), device=device, prompt=4096)
    assert low <= after / before <= high


def test_tf32_products_run_at_their_own_rate() -> None:
    """A100: 156 TFLOP/s in TF32 instead of 19.5 in fp32, the same bytes."""
    times = []
    for uses in ((FLASH,), (FLASH, use("precision.tf32.tf32_products"))):
        given = scenario(
            *uses, model="llama-3.2-1b", device="a100-sxm-80gb", devices=1, dtype="fp32",
            sequence=4096, global_batch=4, micro_batch=4,
        )
        value = summarize(run(plan_of(given), given))["step_time_s"]
        assert isinstance(value, float)
        times.append(value)
    assert 4 < times[0] / times[1] < 8
