"""Scenarios that name GGUF types run, and decode as fast as their bytes can be read."""

from __future__ import annotations

import pytest
from tests.rules.test_gguf_sizes import weight_bytes
from tests.scenarios_for_tests import plan_of, scenario, use

from llamasim.scenario.spec import Length
from llamasim.simulate import run
from llamasim.tables import summarize

#: Bits of an element of the embedding, which a token reads one row of.
EMBEDDING = {
    "legacy.q8_0": 8.5,
    "k_quants.q6_k": 6.5625,
    "k_quants.q4_k_m": 4.5,
    "k_quants.q2_k": 2.625,
}


def decode_rate(name: str, *, device: str, devices: int = 1, model: str = "llama-3-8b") -> float:
    """Return tokens/s of one stream of 512 tokens from an empty cache."""
    uses = [use(f"quantization.gguf.{name}_weights")]
    if devices > 1:
        uses.append(use("parallelism.pipeline.pipeline_parallel", stages=devices))
    given = scenario(
        *uses, model=model, device=device, devices=devices, runtime="llama.cpp", mode="inference",
        dtype="fp16", prompt=Length("fixed", 1), output=Length("fixed", 512), batch=1,
    )
    rate = summarize(run(plan_of(given), given))["decode_tok_s"]
    assert isinstance(rate, float)
    return rate


def test_a_token_takes_the_time_to_read_the_weights_and_a_constant() -> None:
    """Seconds are linear in the bytes that are read, at 60 to 100 % of the card's 1,008 GB/s.

    The constant is what no format changes: launches, attention, activations.
    """
    times = {n: 1 / decode_rate(n, device="rtx-4090") for n in EMBEDDING}
    read = {n: weight_bytes("llama-3-8b", n) - 128_256 * 4096 * bits / 8
            for n, bits in EMBEDDING.items()}
    most, least = "legacy.q8_0", "k_quants.q2_k"
    rate = (read[most] - read[least]) / (times[most] - times[least])
    constant = times[most] - read[most] / rate
    assert 0.6 < rate / 1008e9 < 1.0
    # 32 layers of about 90 us between kernels (catalog, llama.cpp) and 100 us of the host.
    assert 2e-3 < constant < 4e-3
    for name, seconds in times.items():
        assert seconds == pytest.approx(constant + read[name] / rate, rel=0.01)


@pytest.mark.parametrize(
    ("model", "device", "devices", "measured"),
    [
        ("llama-3-8b", "rtx-4080", 1, 108.15),
        ("llama-3-8b", "rtx-a6000", 1, 105.39),
        ("llama-3-8b", "a100-pcie-80gb", 1, 140.62),
        ("llama-3-8b", "apple-m3-max-40c", 1, 48.97),
        ("llama-3-8b", "apple-m2-ultra-76c", 1, 78.81),
        ("llama-3-70b", "rtx-4090", 2, 19.22),
    ],
)
def test_q4_k_m_decodes_as_measured(
    model: str, device: str, devices: int, measured: float
) -> None:
    """XiongjieDai/GPU-Benchmarks-on-LLM-Inference: 512 tokens from an empty cache, within 15 %.

    The RTX 4080 row was held out of every fit.
    """
    rate = decode_rate("k_quants.q4_k_m", model=model, device=device, devices=devices)
    assert rate == pytest.approx(measured, rel=0.15)
