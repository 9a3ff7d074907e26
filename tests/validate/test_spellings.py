"""Rows that name things in other words: what they become, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from llamasim import catalog
from llamasim.model import resolve
from llamasim.validate import read_mapping
from llamasim.validate.cluster import UnsupportedError, device_of
from llamasim.validate.files import Row
from llamasim.validate.inference import inference_scenario
from llamasim.validate.predict import Predictor

MAPPING = read_mapping("inference")
ROW = {"workload": "single_stream", "model": "llama-3.1-8b", "device": "rtx-4090",
       "n_devices": "1", "runtime": "llama.cpp", "weight_dtype": "fp16",
       "batch_or_concurrency": "1", "input_len": "512", "output_len": "128",
       "metric": "decode_tok_s"}


def row(**texts: str) -> Row:
    return Row("one-1", {**ROW, **texts}, {"value": 1.0})


def spelled(column: str, text: str) -> str:
    return MAPPING.apply(row(**{column: text})).columns[column]


@pytest.mark.parametrize(("text", "runtime"), [
    ("llama.cpp b3000", "llama.cpp"), ("llama.cpp (May 2024)", "llama.cpp"),
    ("llama.cpp b6500", "llama.cpp-2025"), ("llama-bench", "llama.cpp"), ("Ollama", "llama.cpp"),
    ("ik_llama.cpp", "ik_llama.cpp"), ("vLLM 0.6.3", "vllm-v0"), ("vLLM 0.19", "vllm"),
    ("vllm-v0.9", "vllm"),
    ("TensorRT-LLM 0.14", "trt-llm"), ("trtllm", "trt-llm"), ("SGLang v0.4", "sglang"),
    ("LMDeploy", "lmdeploy-turbomind"), ("TGI 2.0", "tgi"), ("HF Transformers", "transformers"),
    ("nxd-inference/vllm", "nxd-inference"), ("optimum-habana+deepspeed",
                                              "optimum-habana-deepspeed"),
    ("mlx-lm", "mlx"), ("exl2", "exllamav2"), ("gpt-fast", "gpt-fast"), ("LM-Studio", "llama.cpp"),
    ("Atom", "quarot"), ("torch.compile", "gpt-fast"),
])
def test_runtimes_are_known_by_their_usual_names(text: str, runtime: str) -> None:
    assert spelled("runtime", text) == runtime
    assert catalog.get_runtime(runtime) is not None


def test_a_version_behind_a_name_has_a_column_of_its_own() -> None:
    assert MAPPING.apply(row(runtime="vLLM 0.6.3")).columns["version"] == "0.6.3"


@pytest.mark.parametrize(("text", "weights"), [
    ("Q4_K_M", "q4_k_m"), ("gguf q4_k", "q4_k_m"), ("UD-Q4_K_XL", "q4_k_m"), ("IQ2_XXS", "iq2_xs"),
    ("IQ3_XS", "iq3_s"), ("Q6_K", "q6_k"), ("Q2_K_S", "q2_k"), ("F16", "fp16"), ("BF16", "bf16"),
    ("AWQ", "int4-awq"), ("gptq-int4-g128", "int4-awq"), ("4bit", "int4-awq"),
    ("w4a16", "int4-awq"),
    ("GPTQ-8bit", "int8-wo"), ("gptq-int8", "int8-wo"),
    ("llm.int8()", "int8-wo"), ("W8A8 INT8", "w8a8-int8"),
    ("SmoothQuant", "w8a8-int8"), ("FP8 E4M3", "fp8"), ("fp8-w8a8", "fp8"),
    ("fp8-rowwise-w8a8", "fp8-rowwise-w8a8"), ("NVFP4", "nvfp4"), ("MXFP4", "mxfp4"),
    ("mlx-4bit", "int4-awq"), ("mlx-6bit", "q6_k"), ("8.0bpw", "int8-wo"), ("6.5bpw", "q6_k"),
    ("modelopt-fp8", "fp8"), ("Q4_K_R4", "q4_k_m"), ("q3f16_1", "int3"), ("q0f16", "fp16"),
    ("bnb-nf4", "nf4"), ("int3", "int3"), ("2-bit", "int2"), ("w4a8-fp8", "w4a8-awq"),
])
def test_weights_are_known_by_their_usual_names(text: str, weights: str) -> None:
    assert spelled("weight_dtype", text) == weights
    assert not MAPPING.apply(row(weight_dtype=text)).refused


def test_weights_of_which_nothing_is_known_are_refused() -> None:
    """Taken as 16-bit ones they would give a figure that looks like an answer."""
    with pytest.raises(UnsupportedError, match="no technique stands for these weights"):
        inference_scenario(row(weight_dtype="ternary-lut"), MAPPING)


@pytest.mark.parametrize(("text", "device"), [
    ("NVIDIA GeForce RTX 4090", "rtx-4090"), ("RTX 3090 24GB", "rtx-3090"),
    ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"), ("A100-SXM4-40GB", "a100-sxm-40gb"),
    ("A100 80GB PCIe", "a100-pcie-80gb"), ("NVIDIA H100 80GB HBM3", "h100-sxm"),
    ("H100 PCIe", "h100-pcie"), ("NVIDIA L40S", "l40s"), ("Tesla T4", "t4"),
    ("Tesla V100-SXM2-16GB", "v100-sxm2-16gb"), ("AMD Instinct MI300X", "mi300x"),
    ("AMD Radeon RX 7900 XTX", "rx-7900-xtx"), ("Intel Gaudi 3", "gaudi3"),
    ("M2 Ultra 76-core GPU 192GB", "apple-m2-ultra-76c"), ("Apple M1 Max 32-Core", "apple-m1-max"),
    ("Apple M3 Max", "apple-m3-max-40c"), ("AWS Trainium2", "trainium2"),
    ("Google Cloud TPU v5e", "tpu-v5e"), ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"),
    ("Jetson AGX Orin 64GB", "jetson-agx-orin-64gb"), ("RTX 3060", "rtx-3060-12gb"),
    ("Jetson Orin NX", "jetson-orin-nx-16gb"), ("DGX Spark", "dgx-spark"), ("H200", "h200-sxm"),
])
def test_devices_are_known_by_their_usual_names(text: str, device: str) -> None:
    assert device_of(MAPPING.apply(row(device=text)).columns).id == device


@pytest.mark.parametrize(("text", "model"), [
    ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"), ("Meta-Llama-3-70B", "llama-3-70b"),
    ("llama2-7b", "llama-2-7b"), ("Llama-2-13b-chat-hf", "llama-2-13b"),
    ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-7b-v0.3"),
    ("Mixtral 8x7B", "mixtral-8x7b-v0.1"),
    ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b"), ("vicuna-7b-v1.5", "llama-2-7b"),
    ("google/gemma-2-9b-it", "gemma-2-9b"),
])
def test_models_are_known_by_their_usual_names(text: str, model: str) -> None:
    found = catalog.get_model(spelled("model", text))
    assert found is not None
    assert found.id == model


#: One device of each kind, with the programs that run there and what bounds them: bytes of a token
#: (16.1 GB in 16 bits less the embedding, 4.9 GB in four) over the bandwidth.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *((r, "rtx-4090", {"weight_dtype": "q4_k_m"}) for r in (
        "llama.cpp", "llama.cpp-2025", "ik_llama.cpp")),
    *((r, "rtx-4090", {"weight_dtype": "int4-awq"}) for r in (
        "autoawq", "exllamav2", "mlc-llm", "vllm", "transformers")),
    *((r, "h100-sxm", {}) for r in ("vllm", "sglang", "trt-llm", "gpt-fast", "tgi",
                                    "lmdeploy-turbomind", "transformers")),
    ("vllm", "h100-sxm", {"weight_dtype": "fp8"}),
    ("trt-llm", "b200-sxm", {"weight_dtype": "nvfp4"}),
    ("trt-llm", "b200-sxm", {"weight_dtype": "mxfp4"}),
    ("vllm", "rtx-pro-6000", {}), ("vllm", "a10", {"weight_dtype": "int8-wo"}),
    ("mlx", "apple-m3-max-40c", {"weight_dtype": "4bit"}), ("llama.cpp", "apple-m4-pro", {}),
    ("llama.cpp", "jetson-agx-orin-64gb", {"weight_dtype": "q4_k_m"}),
    ("llama.cpp", "ryzen-9-7950x-cpu", {"weight_dtype": "q4_k_m"}),
    ("llama.cpp", "amd-epyc-9654-genoa-socket", {}),
    ("vllm", "mi300x", {}), ("llama.cpp", "rx-7900-xtx", {}),
    ("sglang", "mi355x", {"weight_dtype": "fp8"}),
    ("optimum-habana", "gaudi3", {}), ("vllm", "gaudi2", {}),
    ("transformers-neuronx", "inferentia2", {"n_devices": "6", "tp": "12"}),
    ("nxd-inference", "trainium2", {"n_devices": "1", "tp": "4"}),
    ("jetstream", "tpu-v6e", {"n_devices": "4", "tp": "4"}), ("vllm", "tpu-v5p", {}),
    ("llama.cpp", "dgx-spark", {"weight_dtype": "q8_0"}),
    ("llama.cpp", "ryzen-ai-max-395", {"weight_dtype": "q4_0"}),
]


@pytest.mark.parametrize(("runtime", "device", "more"), CASES,
                         ids=lambda v: v if isinstance(v, str) else "-".join(v.values()))
def test_decode_of_every_runtime_lies_below_its_roofline_and_not_far(
    runtime: str, device: str, more: dict[str, str]
) -> None:
    """A token reads all weights once: no faster than the bandwidth allows, and at least a fifth of
    that, on one device; further devices share the weights.
    """
    given = row(runtime=runtime, device=device, input_len="0", **more)
    predicted = next(iter(Predictor(MAPPING).inference(given)))
    assert predicted.status == "scored", predicted.reason
    found = catalog.get_device(device)
    assert found is not None and predicted.predicted is not None
    bits = {"q4_k_m": 4.8, "int4-awq": 4.2, "4bit": 4.2, "fp8": 8, "nvfp4": 4.5, "mxfp4": 4.25,
            "int8-wo": 8, "q8_0": 8.5, "q4_0": 4.5}.get(more.get("weight_dtype", ""), 16)
    kept = 0.53e9 * (bits if "_" in more.get("weight_dtype", "") else 16)
    least = (6.98e9 * bits + kept) / 8 / found.memory_bandwidth / float(more.get("n_devices", 1))
    assert least / 0.97 < 1 / predicted.predicted < least * 8


def test_more_users_than_a_server_has_room_for_wait() -> None:
    """400 requests of 3,000 tokens ask for far more cache than a device has beside the weights."""
    given = row(runtime="vllm", device="a100-pcie-40gb", workload="static_batch",
                batch_or_concurrency="400", input_len="2000", output_len="1000",
                metric="output_tok_s")
    predicted = next(iter(Predictor(MAPPING).inference(given)))
    assert predicted.status == "scored", predicted.reason


@pytest.mark.parametrize(("text", "model"), [
    ("Mixtral-8x22B", "mixtral-8x22b-v0.1"), ("tiiuae/falcon-180B", "falcon-180b"),
    ("EleutherAI/gpt-j-6b", "gpt-j-6b"), ("Qwen/Qwen3-8B", "qwen3-8b"),
    ("DeepSeek-R1-Distill-Llama-8B", "llama-3.1-8b"), ("deepseek-ai/DeepSeek-R1", "deepseek-v3"),
    ("openai/gpt-oss-120b", "gpt-oss-120b"), ("llama-65b", "llama-65b"),
    ("Llama-4-Maverick-17B-128E-Instruct", "llama-4-maverick"),
])
def test_models_beyond_the_measured_ones_are_known(text: str, model: str) -> None:
    assert inference_scenario(row(model=text), MAPPING).model.id == model


@pytest.mark.parametrize(("model", "billions"), [
    ("mixtral-8x22b-v0.1", 140.6), ("falcon-180b", 179), ("gpt-oss-120b", 116.8), ("dbrx", 132),
    ("qwen3-235b-a22b", 235), ("llama-4-maverick", 400.7), ("bloom-176b", 176.2),
    ("deepseek-v2", 235.7),
])
def test_shapes_come_to_the_published_number_of_parameters(model: str, billions: float) -> None:
    """Model cards: text parameters, the shared head once where it is tied."""
    found = catalog.get_model(model)
    assert found is not None
    assert resolve(found).params / 1e9 == pytest.approx(billions, rel=0.005)


def test_a_note_that_prompts_are_not_cut_goes_over_the_default_of_a_long_context() -> None:
    """vLLM 0.6 cuts prompts of models with long contexts, unless a row says that it did not."""
    cut, whole = (
        MAPPING.apply(row(runtime="vLLM 0.6.3", workload="serving", notes=notes)).uses
        for notes in ("", "chunked prefill=FALSE")
    )
    assert "serving.batching.prefill_first_batching" not in cut
    assert "serving.batching.prefill_first_batching" in whole
