"""Models from a Hugging Face `config.json` and from a GGUF header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from llamasim import catalog
from llamasim.catalog.importers import model_from_gguf, model_from_hf_config
from llamasim.catalog.specs import Model
from llamasim.model.resolve import resolve

LLAMA = {
    "model_type": "llama", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
    "attention_bias": False, "mlp_bias": False,
}
MIXTRAL = {
    "model_type": "mixtral", "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2,
    "sliding_window": None, "vocab_size": 32000, "tie_word_embeddings": False,
}
QWEN = {
    "model_type": "qwen2", "hidden_act": "silu", "hidden_size": 3584, "intermediate_size": 18944,
    "max_position_embeddings": 131072, "num_attention_heads": 28, "num_hidden_layers": 28,
    "num_key_value_heads": 4, "sliding_window": 131072, "use_sliding_window": False,
    "vocab_size": 152064, "tie_word_embeddings": False,
}
GEMMA = {
    "model_type": "gemma2", "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 3584,
    "hidden_act": "gelu_pytorch_tanh", "intermediate_size": 14336, "head_dim": 256,
    "max_position_embeddings": 8192, "num_attention_heads": 16, "num_hidden_layers": 42,
    "num_key_value_heads": 8, "sliding_window": 4096, "vocab_size": 256000,
}
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_act": "silu", "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "first_k_dense_replace": 3,
    "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
    "v_head_dim": 128, "max_position_embeddings": 163840, "n_routed_experts": 256,
    "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_key_value_heads": 128, "vocab_size": 129280,
    "tie_word_embeddings": False, "attention_bias": False,
}


def shape(model: Model | None) -> dict[str, Any]:
    """Return all that decides a model's parameters and work."""
    assert model is not None
    told = ("id", "name", "sources", "notes")
    return {k: v for k, v in attrs.asdict(model).items() if k not in told}


def write(folder: Path, config: object) -> Path:
    """Write a config.json and return its path."""
    path = folder / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@pytest.mark.parametrize(("config", "name"), [
    (LLAMA, "llama-3.1-8b"), (MIXTRAL, "mixtral-8x7b-v0.1"), (QWEN, "qwen2.5-7b"),
    (GEMMA, "gemma-2-9b"), (DEEPSEEK, "deepseek-v3"),
])
def test_a_published_config_gives_the_catalog_shape(
    tmp_path: Path, config: dict[str, Any], name: str
) -> None:
    """The importer and the catalog agree on every dim, flag and count."""
    model, problems = model_from_hf_config(write(tmp_path, config))
    assert problems == []
    assert shape(model) == shape(catalog.get_model(name))


def test_gpt2_counts_as_published(tmp_path: Path) -> None:
    """GPT-2 small has 124,439,808 parameters (learned positions, biases, tied head)."""
    config = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024,
              "n_ctx": 1024, "vocab_size": 50257, "activation_function": "gelu_new"}
    model, problems = model_from_hf_config(write(tmp_path, config))
    assert problems == []
    assert model is not None
    assert resolve(model).params == 124_439_808


def test_a_folder_may_be_named(tmp_path: Path) -> None:
    """A downloaded model is a folder; its config.json is meant."""
    write(tmp_path, LLAMA)
    model, problems = model_from_hf_config(tmp_path)
    assert problems == []
    assert model is not None
    assert model.layers == 32


@pytest.mark.parametrize(("text", "why"), [
    ("{", "Expecting"),
    ("[1, 2]", "not a JSON object"),
    ("{}", "no `model_type`"),
    ('{"model_type": "lama"}', "`lama`, whose layers are not known"),
    ('{"model_type": "llama", "hidden_size": 64}', "lacks `num_hidden_layers`"),
    (json.dumps(LLAMA | {"hidden_size": "wide"}), "`hidden_size` is not a count"),
    (json.dumps(LLAMA | {"hidden_size": -4}), "`hidden_size` is not a count"),
    (json.dumps(LLAMA | {"num_key_value_heads": 5}), "32 heads cannot share 5"),
    (json.dumps(LLAMA | {"num_attention_heads": 33, "num_key_value_heads": 33}), "do not divide"),
    (json.dumps(MIXTRAL | {"num_experts_per_tok": 9}), "how many experts"),
])
def test_a_bad_config_is_a_diagnostic(tmp_path: Path, text: str, why: str) -> None:
    """Every mistake names its reason and a way out; nothing raises."""
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    model, problems = model_from_hf_config(path)
    assert model is None
    assert [p.code for p in problems] == ["E0602"]
    assert why in problems[0].why
    assert problems[0].help


def test_a_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    """So is a path that leads nowhere."""
    model, problems = model_from_hf_config(tmp_path / "none" / "config.json")
    assert model is None
    assert "no such file" in problems[0].why


def test_a_gguf_header_gives_the_shape(tmp_path: Path) -> None:
    """A file without `output.weight` shares the embedding with the head."""
    gguf = pytest.importorskip("gguf", reason="the extra `gguf` is not installed")
    np = pytest.importorskip("numpy")
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Tiny")
    writer.add_block_count(2)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(128)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_context_length(256)
    writer.add_token_list(["a", "b", "c", "d"])
    writer.add_tensor("token_embd.weight", np.zeros((4, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model, problems = model_from_gguf(path)
    assert problems == []
    assert model is not None
    found = (model.layers, model.hidden, model.ffn, model.heads, model.kv_heads, model.head_dim)
    assert found == (2, 64, 128, 4, 2, 16)
    assert (model.vocab, model.context, model.tied) == (4, 256, True)


def test_a_damaged_gguf_file_is_a_diagnostic(tmp_path: Path) -> None:
    """Text under the wrong name is refused in words."""
    pytest.importorskip("gguf", reason="the extra `gguf` is not installed")
    path = tmp_path / "tiny.gguf"
    path.write_bytes(b"not a model at all")
    model, problems = model_from_gguf(path)
    assert model is None
    assert problems[0].code == "E0602"


def test_without_the_package_the_way_to_install_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is optional, so its absence is no crash."""
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    model, problems = model_from_gguf(tmp_path / "tiny.gguf")
    assert model is None
    assert problems[0].code == "E0603"
    assert "pip install 'llamasim[gguf]'" in problems[0].help[0]
