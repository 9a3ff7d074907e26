"""The GGUF mixes give the sizes of published files: 8B to the byte, 70B and 405B to one per cent.

A file holds a header and the tokenizer (about 8 MB for Llama 3) besides the weights.
"""

from __future__ import annotations

import pytest
from tests.scenarios_for_tests import plan_of, scenario, use

GIB = 2.0**30
GB = 1e9
HEADER = {"llama-3": 7.8e6, "llama-2": 0.7e6, "deepsee": 7e6}

#: ggml-org/llama.cpp tools/quantize/README.md (311c2c9f): Llama 3.1 8B, GiB and bits a weight, of
#: the weights alone. iq4_nl and iq4_xs were made without an importance matrix.
QUANTIZE = {
    "legacy.q8_0": (7.95, 8.5008),
    "k_quants.q6_k": (6.14, 6.5633),
    "k_quants.q5_k_m": (5.33, 5.7036),
    "k_quants.q5_k_s": (5.21, 5.5704),
    "k_quants.q4_k_m": (4.58, 4.8944),
    "k_quants.q4_k_s": (4.36, 4.6672),
    "k_quants.q3_k_l": (4.02, 4.2979),
    "k_quants.q3_k_s": (3.41, 3.6429),
    "k_quants.q2_k": (2.95, 3.1593),
    "i_quants.iq4_nl": (4.38, 4.6818),
    "i_quants.iq4_xs": (4.17, 4.4597),
    "i_quants.iq3_m": (3.52, 3.7628),
    "i_quants.iq3_s": (3.42, 3.6606),
    "i_quants.iq3_xxs": (3.04, 3.2548),
    "i_quants.iq2_m": (2.74, 2.9294),
    "i_quants.iq2_xs": (2.42, 2.5882),
}
WITHOUT_MATRIX = ("i_quants.iq4_nl", "i_quants.iq4_xs")
#: Ollama library, tags of llama3.1 405b-instruct and of deepseek-r1 671b (the shape of V3), in GB.
#: The 43.1 GB (70B) and 249.1 GB (405B) that llama.cpp's page lists too are left out: they are the
#: 8B file's share of its 32-bit size (4.92 / 32.1 of 280.9 and 1,625.1 GB), not sizes of files.
#: The 70B file has 39.60 GiB = 42.5 GB in two sources, the 405B file 243 GB.
OLLAMA = [
    ("llama-3.1-405b", "legacy.q8_0", 431 * GB),
    ("llama-3.1-405b", "k_quants.q6_k", 333 * GB),
    ("llama-3.1-405b", "legacy.q5_1", 305 * GB),
    ("llama-3.1-405b", "k_quants.q5_k_m", 287 * GB),
    ("llama-3.1-405b", "k_quants.q5_k_s", 279 * GB),
    ("llama-3.1-405b", "legacy.q5_0", 279 * GB),
    ("llama-3.1-405b", "legacy.q4_1", 254 * GB),
    ("llama-3.1-405b", "k_quants.q4_k_m", 243 * GB),
    ("llama-3.1-405b", "k_quants.q4_k_s", 231 * GB),
    ("llama-3.1-405b", "legacy.q4_0", 229 * GB),
    ("llama-3.1-405b", "k_quants.q3_k_l", 213 * GB),
    ("llama-3.1-405b", "k_quants.q3_k_m", 195 * GB),
    ("llama-3.1-405b", "k_quants.q3_k_s", 175 * GB),
    ("llama-3.1-405b", "k_quants.q2_k", 149 * GB),
    ("deepseek-v3", "legacy.q8_0", 713 * GB),
    ("deepseek-v3", "k_quants.q4_k_m", 404 * GB),
]
#: huggingface.co/ddh0/UnquantizedEmbeddingTesting sizes.txt: bytes of files of Llama 3 8B.
BYTES = [
    ("llama-3-8b", "k_quants.q2_k", 3_179_131_168),
    ("llama-3-8b", "k_quants.q3_k_l", 4_321_956_128),
    ("llama-3-8b", "k_quants.q3_k_m", 4_018_917_664),
    ("llama-3-8b", "k_quants.q3_k_s", 3_664_498_976),
    ("llama-3-8b", "k_quants.q4_k_m", 4_920_733_984),
    ("llama-3-8b", "k_quants.q4_k_s", 4_692_668_704),
]
#: XiongjieDai/GPU-Benchmarks-on-LLM-Inference README (dranger003): Llama 3 70B, in GiB.
DRANGER = [
    ("llama-3-70b", "legacy.q8_0", 69.83 * GIB),
    ("llama-3-70b", "k_quants.q6_k", 53.91 * GIB),
    ("llama-3-70b", "k_quants.q5_k_m", 46.52 * GIB),
    ("llama-3-70b", "k_quants.q5_k_s", 45.32 * GIB),
    ("llama-3-70b", "k_quants.q4_k_m", 39.60 * GIB),
    ("llama-3-70b", "k_quants.q4_k_s", 37.58 * GIB),
    ("llama-3-70b", "k_quants.q3_k_l", 34.59 * GIB),
    ("llama-3-70b", "k_quants.q3_k_m", 31.91 * GIB),
    ("llama-3-70b", "k_quants.q3_k_s", 28.79 * GIB),
    ("llama-3-70b", "k_quants.q2_k", 24.56 * GIB),
    ("llama-3-70b", "i_quants.iq4_nl", 37.30 * GIB),
    ("llama-3-70b", "i_quants.iq4_xs", 35.30 * GIB),
    ("llama-3-70b", "i_quants.iq3_m", 29.74 * GIB),
    ("llama-3-70b", "i_quants.iq3_s", 28.79 * GIB),
    ("llama-3-70b", "i_quants.iq3_xxs", 25.58 * GIB),
    ("llama-3-70b", "i_quants.iq2_m", 22.46 * GIB),
    ("llama-3-70b", "i_quants.iq2_xs", 19.69 * GIB),
]
#: gpustack/gguf-parser-go README: a file of Llama 3.1 70B, in GiB.
GPUSTACK = [("llama-3.1-70b", "legacy.q4_0", 37.35 * GIB)]
#: llama.cpp tools/perplexity README, older part: Llama 2 70B, in GiB. Q2_K has changed since.
PERPLEXITY = [
    ("llama-2-70b", "legacy.q4_0", 36.20 * GIB),
    ("llama-2-70b", "legacy.q4_1", 40.20 * GIB),
    ("llama-2-70b", "legacy.q5_0", 44.20 * GIB),
    ("llama-2-70b", "k_quants.q3_k_s", 27.86 * GIB),
    ("llama-2-70b", "k_quants.q3_k_m", 30.83 * GIB),
    ("llama-2-70b", "k_quants.q3_k_l", 33.67 * GIB),
    ("llama-2-70b", "k_quants.q4_k_s", 36.39 * GIB),
    ("llama-2-70b", "k_quants.q4_k_m", 38.54 * GIB),
    ("llama-2-70b", "k_quants.q5_k_s", 44.20 * GIB),
    ("llama-2-70b", "k_quants.q5_k_m", 45.41 * GIB),
    ("llama-2-70b", "k_quants.q6_k", 52.70 * GIB),
]


def weight_bytes(model: str, name: str, **params: bool) -> float:
    """Return the bytes of all weights under a technique of `quantization.gguf`."""
    plan = plan_of(scenario(
        use(f"quantization.gguf.{name}_weights", **params), model=model, device="rtx-4090",
        devices=1, runtime="llama.cpp", mode="inference", dtype="fp16",
    ))
    return sum(plan.blocks[b].weight_bytes for r in plan.ranks for c in r.chunks for b in c.blocks)


@pytest.mark.parametrize(
    ("model", "name", "size"), [*OLLAMA, *BYTES, *DRANGER, *GPUSTACK, *PERPLEXITY],
    ids=lambda v: v if isinstance(v, str) else f"{v / GB:.2f}GB",
)
def test_a_mix_has_the_size_of_the_published_file(model: str, name: str, size: float) -> None:
    """Header included, to one per cent."""
    ours = weight_bytes(model, name) + HEADER[model[:7]]
    assert ours == pytest.approx(size, rel=0.01), f"{ours / size - 1:+.2%}"


@pytest.mark.parametrize("name", QUANTIZE)
def test_a_mix_has_the_bits_a_weight_of_the_published_table(name: str) -> None:
    """All printed digits, and the size beside them."""
    params = {"imatrix": False} if name in WITHOUT_MATRIX else {}
    ours = weight_bytes("llama-3.1-8b", name, **params)
    gib, bits = QUANTIZE[name]
    assert ours * 8 / 8_030_261_248 == pytest.approx(bits, abs=0.0003)
    assert ours / GIB == pytest.approx(gib, abs=0.008)


@pytest.mark.parametrize(("model", "name", "size"), BYTES)
def test_a_mix_has_the_bytes_of_the_published_file(model: str, name: str, size: float) -> None:
    """Where files are known to the byte, what is left over is the tokenizer: 7 to 9 MB."""
    assert 7e6 < size - weight_bytes(model, name) < 9e6
