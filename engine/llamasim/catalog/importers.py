"""Models from outside: a Hugging Face `config.json`, or the header of a GGUF file.

Both give the shape only. What the file does not say and its format fixes (LayerNorm in GPT-2, four
norms a layer in Gemma 2) comes from a table of families.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamasim.catalog.gguf_header import model_from_gguf
from llamasim.catalog.shapes import FAMILIES, Imported, listed, made, plain, refuse, unknown_family
from llamasim.diagnostics import Span

__all__ = ["FAMILIES", "Imported", "model_from_gguf", "model_from_hf_config"]

_LIMIT = 1 << 22
_COUNT_LIMIT = 10**9

#: Model attribute -> keys of a config.json, the first found counts.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "vocab": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions", "n_ctx"),
}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "ffn": ("intermediate_size", "n_inner"),
    "kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "window": ("sliding_window",),
    "experts": ("num_local_experts", "n_routed_experts"),
    "experts_per_token": ("num_experts_per_tok",),
    "expert_ffn": ("moe_intermediate_size",),
    "shared_experts": ("n_shared_experts",),
    "dense_layers": ("first_k_dense_replace",),
    "q_lora_rank": ("q_lora_rank",),
    "kv_lora_rank": ("kv_lora_rank",),
    "rope_head_dim": ("qk_rope_head_dim",),
    "value_head_dim": ("v_head_dim",),
}


def model_from_hf_config(path: Path, span: Span | None = None) -> Imported:
    """Read a `config.json` of a decoder-only transformer.

    Args:
        path: the file, or the folder that holds it.
        span: where the user named it, for diagnostics.

    Returns:
        The model and no diagnostics, or None and what is wrong (E0602).

    """
    file = path / "config.json" if path.is_dir() else path
    try:
        with file.open("rb") as opened:
            data = opened.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            return refuse(file, span, "it is larger than 4 MiB", "name a `config.json`")
        config = json.loads(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as reason:
        return refuse(file, span, plain(reason), "name a readable `config.json`")
    if not isinstance(config, dict):
        return refuse(file, span, "it is not a JSON object", "name a model's `config.json`")
    config |= config["text_config"] if isinstance(config.get("text_config"), dict) else {}
    kind = str(config.get("model_type", ""))
    if kind not in FAMILIES:
        return unknown_family(file, span, "model_type", kind)
    name = str(config.get("_name_or_path") or file.parent.name or kind)
    return _hf_model(file, span, config, kind, name)


def _hf_model(
    file: Path, span: Span | None, config: Mapping[str, Any], kind: str, name: str
) -> Imported:
    shape, wrong = _counts(config)
    missing = [keys[0] for a, keys in _REQUIRED.items() if a not in shape]
    if wrong or missing:
        why = f"`{wrong}` is not a count" if wrong else f"it lacks {listed(missing)}"
        return refuse(file, span, why, "write the shape inline: `layers`, `hidden`, `ffn`,"
                       " `heads`, `kv_heads`, `vocab`, `context`")
    values = {**FAMILIES[kind], **_flags(config), **shape}
    _derive(values, config)
    return made(file, span, kind, name, values)


def _counts(config: Mapping[str, Any]) -> tuple[dict[str, int], str | None]:
    """Return the counts that a config states, and the first key whose value is not one."""
    shape: dict[str, int] = {}
    for attribute, keys in (*_REQUIRED.items(), *_OPTIONAL.items()):
        key = next((k for k in keys if config.get(k) is not None), None)
        if key is None:
            continue
        value = config[key]
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _COUNT_LIMIT:
            return shape, key
        if value:
            shape[attribute] = value
    return shape, None


def _flags(config: Mapping[str, Any]) -> dict[str, Any]:
    flags: dict[str, Any] = {}
    if "tie_word_embeddings" in config:
        flags["tied"] = bool(config["tie_word_embeddings"])
    if config.get("attention_bias") and config.get("mlp_bias"):
        flags["bias"] = True
    elif config.get("attention_bias"):
        flags["qkv_bias"] = True
    activation = config.get("hidden_act") or config.get("activation_function")
    if activation:
        flags["activation"] = "gelu" if "gelu" in str(activation) else str(activation)
    return flags


def _derive(values: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Fill what a format computes from other keys."""
    values.setdefault("ffn", 4 * values["hidden"])
    if config.get("use_sliding_window") is False:
        values.pop("window", None)
    if values.get("kv_lora_rank"):
        # A latent-attention head is a part without positions and a rotary part.
        nope = config.get("qk_nope_head_dim")
        values["head_dim"] = (nope or 128) + values.get("rope_head_dim", 0)
        values["kv_heads"] = values["heads"]
    if values.get("experts") and "expert_ffn" not in values:
        values["expert_ffn"] = values["ffn"]
