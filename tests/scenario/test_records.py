"""Devices, fabrics, hosts, models and runtimes written into the scenario, or imported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, codes, read_text, read_well

from llamasim.model import resolve

LLAMA_8B = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256,
    "max_position_embeddings": 131072, "tie_word_embeddings": False,
}


def test_an_inline_device_needs_only_what_nobody_can_guess(tmp_path: Path) -> None:
    text = INFERENCE.replace(
        "h100-sxm", "{peaks: {bf16: 100 TFLOPS}, memory: 48 GiB, memory_bandwidth: 1 TB/s}"
    )
    device = read_well(tmp_path, text).cluster.device
    assert device.memory_bytes == 48 * 2**30
    assert device.peaks["bf16"] == pytest.approx(1e14)
    assert device.sources["*"] == "the scenario, cluster.device"
    assert 0 < device.sustained <= 1


def test_a_change_of_a_base_keeps_the_rest_and_says_so(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "{device: {base: h100-sxm, tdp: 500 W}}")
    device = read_well(tmp_path, text).cluster.device
    stock = read_well(tmp_path, INFERENCE).cluster.device
    assert device.tdp_watts == 500.0
    assert device.memory_bytes == stock.memory_bytes
    assert device.id != stock.id
    assert device.sources["tdp_watts"] == "the scenario, cluster.device"


def test_a_base_alone_is_the_base(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "{device: {base: h100-sxm}}")
    assert read_well(tmp_path, text) == read_well(tmp_path, INFERENCE)


def test_one_peak_can_be_changed_alone(tmp_path: Path) -> None:
    text = INFERENCE.replace(
        "{device: h100-sxm}", "{device: {base: h100-sxm, peaks: {bf16: 800 TFLOPS}}}"
    )
    peaks = read_well(tmp_path, text).cluster.device.peaks
    assert peaks["bf16"] == pytest.approx(8e14)
    assert peaks["fp8"] > 1e15


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    shape = "{layers: 2, hidden: 64, ffn: 128, heads: 4, vocab: 1000, context: 512 tok}"
    model = read_well(
        tmp_path, INFERENCE.replace("llama-3.1-8b", shape).replace("512 tok, output", "8, output")
    ).model
    assert (model.kv_heads, model.head_dim) == (4, 16)
    # embedding and head 2 x 1000 x 64; a layer 4 x 64 x 64 + 3 x 64 x 128 + 2 x 64; final norm 64
    assert resolve(model).params == 128_000 + 2 * (16_384 + 24_576 + 128) + 64


def test_a_wider_variant_of_a_model_keeps_its_heads_width_in_step(tmp_path: Path) -> None:
    model = read_well(
        tmp_path, INFERENCE.replace("llama-3.1-8b", "{base: llama-3.1-8b, hidden: 8192}")
    ).model
    assert model.head_dim == 256


def test_a_config_json_gives_the_catalogs_shape(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    model = read_well(tmp_path, INFERENCE.replace("llama-3.1-8b", "{import: config.json}")).model
    assert resolve(model).params == 8_030_261_248


def test_an_import_can_be_changed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_8B))
    text = INFERENCE.replace("llama-3.1-8b", "{import: config.json, layers: 16, name: half}")
    model = read_well(tmp_path, text).model
    assert (model.layers, model.name) == (16, "half")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b'{"model_type": "llama"}', b"{" * 100_000,
                json.dumps({**LLAMA_8B, "hidden_size": -1}).encode(),
                json.dumps({**LLAMA_8B, "num_hidden_layers": "many"}).encode()],
)
def test_a_damaged_import_is_a_finding(tmp_path: Path, content: bytes) -> None:
    for name in ("config.json", "model.gguf"):
        (tmp_path / name).write_bytes(content)
        text = INFERENCE.replace("llama-3.1-8b", f"{{import: {name}}}")
        scenario, found = read_text(tmp_path, text)
        assert scenario is None
        assert [d.labels[0].span.line for d in found] == [2]
        assert all(d.help for d in found)


def test_a_missing_import_names_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    text = INFERENCE.replace("llama-3.1-8b", "{import: confg.json}")
    _, found = read_text(tmp_path, text)
    assert found[0].help == ("did you mean `config.json`?",)


def test_links_named_inside_a_device_are_checked(tmp_path: Path) -> None:
    text = INFERENCE.replace("{device: h100-sxm}", "{device: {base: h100-sxm, peer: nvlnk4}}")
    assert codes(tmp_path, text) == ["E0511"]


def test_an_inline_link_joins_nodes(tmp_path: Path) -> None:
    text = INFERENCE.replace(
        "{device: h100-sxm}",
        "{device: h100-sxm, nodes: 2, outer: {base: ib-ndr400, bandwidth: 25 GB/s}}",
    )
    outer = read_well(tmp_path, text).cluster.outer
    assert outer is not None
    assert outer.bandwidth == pytest.approx(25e9)
