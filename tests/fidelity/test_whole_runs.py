"""Whole predictions against published runs, through every room from YAML to summary.

No training row here was used to fit anything. The A100's single-stream rows are among those that
llama.cpp's figures were fitted on; the RTX 4090's 8B row is not.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from llamasim.assets import scenarios_dir
from llamasim.plan import compile_plan
from llamasim.scenario import read
from llamasim.simulate import run
from llamasim.tables import summarize
from llamasim.tables.summary import Value


def predict(path: Path, *overrides: str) -> dict[str, Value]:
    """Return the summary of a scenario file."""
    scenario, said = read(path, overrides)
    assert scenario is not None, [d.message for d in said]
    plan, said = compile_plan(scenario)
    assert plan is not None, [d.message for d in said]
    return summarize(run(plan, scenario))


def test_llama_405b_on_16384_gpus() -> None:
    """arXiv:2407.21783, table 4: 400 TFLOP/s a GPU (41 % MFU), without recomputation in 80 GB."""
    found = predict(scenarios_dir() / "cluster.yaml")
    assert found["model_tflops_per_gpu"] == pytest.approx(400, rel=0.05)
    assert found["fits"] is True


@pytest.mark.parametrize(
    ("devices", "sequence", "batch", "tflops"),
    [(8192, 8192, 2048, 430), (16384, 8192, 2048, 400), (16384, 131072, 128, 380)],
)
def test_llama_405b_as_meta_counts(
    tmp_path: Path, devices: int, sequence: int, batch: int, tflops: float
) -> None:
    """arXiv:2407.21783, table 4, by the count of Chowdhery et al. (arXiv:2204.02311, appendix B)
    that it names: 6 N + 12 layers x heads x head width x sequence a token, no mask considered.
    """
    text = (scenarios_dir() / "cluster.yaml").read_text(encoding="utf-8")
    text = text.replace("sequence: 8192 tok", f"sequence: {sequence} tok")
    text = text.replace("global_batch: 2048", f"global_batch: {batch}")
    text = text.replace("nodes: 2048", f"nodes: {devices // 8}")
    if sequence > 8192:
        text = text.replace("order: [dp, pp, tp]", "order: [dp, pp, cp, tp]")
        split = "parallelism.context.gathered_context: {degree: 16}"
        text = text.replace("\nuse:", f"\nuse:\n  {split}\n#")
    path = tmp_path / "meta.yaml"
    path.write_text(text, encoding="utf-8")
    found = predict(path)
    flops = 6 * 405_853_388_800 + 12 * 126 * 128 * 128 * sequence
    rate = batch * sequence / float(str(found["step_time_s"])) / devices
    assert rate * flops / 1e12 == pytest.approx(tflops, rel=0.05)
    assert found["fits"] is True


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("megatron-175b", 18.13), ("megatron-175b-selective", 13.75)],
)
def test_megatron_175b(name: str, seconds: float) -> None:
    """arXiv:2205.05198, table 5: 64 A100, full and selective recomputation."""
    found = predict(scenarios_dir() / f"{name}.yaml")
    assert found["step_time_s"] == pytest.approx(seconds, rel=0.10)
    assert found["fits"] is True


@pytest.mark.parametrize(
    ("device", "output", "rate"),
    [
        ("rtx-4090", 1024, 54.34),
        ("a100-pcie-80gb", 512, 54.84),
        ("a100-pcie-80gb", 1024, 54.56),
        ("a100-pcie-80gb", 8192, 51.24),
    ],
)
def test_llama_3_8b_f16_decode(tmp_path: Path, device: str, output: int, rate: float) -> None:
    """XiongjieDai/GPU-Benchmarks-on-LLM-Inference: llama.cpp, f16, from an empty cache."""
    path = tmp_path / "decode.yaml"
    path.write_text(f"""\
edition: 2026
model: llama-3-8b
cluster: {{device: {device}, nodes: 1, devices_per_node: 1}}
runtime: llama.cpp
workload: {{mode: inference, dtype: fp16, batch: 1, prompt: 1 tok, output: {output} tok}}
""")
    assert predict(path)["decode_tok_s"] == pytest.approx(rate, rel=0.15)
