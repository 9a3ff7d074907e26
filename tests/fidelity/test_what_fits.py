"""What fits and what does not, as published runs tell, through the mapping of `validate`.

NVIDIA's TensorRT-LLM performance overview (v0.14.0) has Llama 3.1 70B in fp8 on one H200, and
dstackai/benchmarks Llama 3.1 405B in fp8 on eight H100; XiongjieDai/GPU-Benchmarks-on-LLM-Inference
marks what ran out of memory under llama.cpp.
"""

from __future__ import annotations

import pytest

from llamasim.validate import read_mapping
from llamasim.validate.files import Row
from llamasim.validate.predict import Predictor
from llamasim.validate.score import Scored

OFFLINE = {"workload": "offline_throughput", "runtime": "trt-llm", "weight_dtype": "fp8",
           "model": "llama-3.1-70b", "n_devices": "1", "input_len": "128", "output_len": "2048",
           "metric": "output_tok_s"}
STREAM = {"workload": "single_stream", "runtime": "llama.cpp", "weight_dtype": "q4_k_m",
          "model": "llama-3-70b", "n_devices": "1", "input_len": "0", "output_len": "1024",
          "batch_or_concurrency": "1", "metric": "decode_tok_s"}


def predicted(base: dict[str, str], **texts: str) -> Scored:
    """Return the prediction of a row that nobody measured."""
    row = Row("one-1", {**base, **texts}, {"value": 1.0})
    return next(iter(Predictor(read_mapping("inference")).inference(row)))


def test_70b_in_fp8_just_fits_one_card_of_80_gb_and_starves_for_cache() -> None:
    """70.6 GB of weights leave under 10 GB of 85.9 for libraries and cache: 0.164 MB a token in
    fp8, so a few tens of sequences of 2,176 tokens. An H200 has 141 GB and made 3,612 tokens/s.
    """
    small, large = (predicted(OFFLINE, device=d) for d in ("h100-sxm", "h200-sxm"))
    assert small.status == large.status == "scored"
    assert small.predicted is not None and large.predicted is not None
    assert large.predicted == pytest.approx(3612, rel=0.1)
    assert small.predicted < 0.35 * large.predicted
    two = predicted(OFFLINE, device="h100-sxm", n_devices="2", tp="2").predicted
    assert two is not None and two > 4 * small.predicted


def test_a_longer_prompt_of_70b_in_fp8_leaves_one_80_gb_card_hardly_a_sequence() -> None:
    """20,000 + 2,000 tokens take 3.6 GB: one sequence at a time, where an H200 has many."""
    small, large = (
        predicted(OFFLINE, device=d, input_len="20000", output_len="2000")
        for d in ("h100-sxm", "h200-sxm")
    )
    if small.status == "scored":
        assert small.predicted is not None and large.predicted is not None
        assert small.predicted < large.predicted / 2
    else:
        assert "cache" in small.reason
    assert large.status == "scored"


def test_70b_in_16_bits_needs_more_than_one_card_of_80_gb() -> None:
    assert predicted(OFFLINE, device="h100-sxm", weight_dtype="bf16").status == "infeasible"
    two = predicted(OFFLINE, device="h100-sxm", weight_dtype="bf16", n_devices="4", tp="4")
    assert two.status == "scored"


@pytest.mark.parametrize(("runtime", "dtype", "status"), [
    ("vllm", "fp8", "scored"), ("trt-llm", "fp8", "scored"),
    ("vllm", "bf16", "infeasible"), ("trt-llm", "bf16", "infeasible"),
])
def test_405b_fits_eight_h100_in_fp8_alone(runtime: str, dtype: str, status: str) -> None:
    """406 GB of 687 in fp8; 812 GB in 16 bits do not go in."""
    found = predicted(OFFLINE, model="llama-3.1-405b", device="h100-sxm", n_devices="8", tp="8",
                      runtime=runtime, weight_dtype=dtype)
    assert found.status == status


@pytest.mark.parametrize(("model", "device", "count", "dtype", "status"), [
    ("llama-3-8b", "rtx-4080", "1", "fp16", "scored"),
    ("llama-3-8b", "rtx-4070-ti", "1", "fp16", "infeasible"),
    ("llama-3-70b", "rtx-4090", "1", "q4_k_m", "infeasible"),
    ("llama-3-70b", "rtx-4090", "2", "q4_k_m", "scored"),
    ("llama-3-70b", "rtx-3090", "2", "q4_k_m", "scored"),
    ("llama-3-70b", "rtx-a6000", "1", "q4_k_m", "scored"),
    ("llama-3-70b", "a40", "1", "q4_k_m", "scored"),
    ("llama-3-70b", "rtx-4090", "4", "fp16", "infeasible"),
    ("llama-3-70b", "rtx-4090", "8", "fp16", "scored"),
    ("llama-3-70b", "a100-pcie-80gb", "1", "fp16", "infeasible"),
    ("llama-3-70b", "apple-m1-max", "1", "q4_k_m", "scored"),
    ("llama-3-70b", "apple-m1-max", "1", "fp16", "infeasible"),
    ("llama-3-70b", "apple-m2-ultra-76c", "1", "fp16", "scored"),
])
def test_what_llama_cpp_ran_and_what_ran_out_of_memory(
    model: str, device: str, count: str, dtype: str, status: str
) -> None:
    """8B in 16 bits: 16 GB cards, for the table of embeddings stays with the host; 70B in 4 bits:
    42.5 GB; in 16 bits: 141 GB.
    """
    found = predicted(STREAM, model=model, device=device, n_devices=count, weight_dtype=dtype)
    assert found.status == status, found.reason


def test_8b_in_16_bits_does_not_fit_16_gib_whole() -> None:
    """16.06 GB of weights, the table of embeddings with them, and libraries besides."""
    for runtime in ("transformers", "vllm"):
        found = predicted(STREAM, model="llama-3-8b", device="rtx-4080", runtime=runtime,
                          weight_dtype="bf16", input_len="128")
        assert found.status == "infeasible"
