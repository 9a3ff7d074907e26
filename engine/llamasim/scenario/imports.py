"""A model's shape from a Hugging Face `config.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamasim.catalog.specs import Model
from llamasim.diagnostics import Span, nearest
from llamasim.scenario import problems
from llamasim.scenario.gguf import GgufError, read_header
from llamasim.scenario.values import Reading, shorten

_MAX_JSON = 4 << 20

#: Model attribute -> keys of a config, in order of preference.
_SHAPE: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head"),
    "vocab": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions", "max_seq_len"),
}
_OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "ffn": ("intermediate_size", "n_inner"),
    "window": ("sliding_window",),
    "experts": ("num_local_experts", "n_routed_experts", "num_experts"),
    "experts_per_token": ("num_experts_per_tok",),
    "expert_ffn": ("moe_intermediate_size",),
    "shared_experts": ("n_shared_experts",),
    "dense_layers": ("first_k_dense_replace",),
    "q_lora_rank": ("q_lora_rank",),
    "kv_lora_rank": ("kv_lora_rank",),
    "rope_head_dim": ("qk_rope_head_dim",),
    "value_head_dim": ("v_head_dim",),
}


def import_model(reading: Reading, name: str, span: Span) -> Model | None:
    """Return the model that a file beside the scenario describes, or None with what is wrong."""
    path = reading.folder / name
    try:
        if not path.is_file():
            return _refuse(reading, name, span, "there is no such file", _beside(path))
        if path.suffix == ".gguf":
            return read_header(path)
        if path.stat().st_size > _MAX_JSON:
            return _refuse(reading, name, span, "it is larger than 4 MiB", "import a config.json")
        config = json.loads(path.read_text(encoding="utf-8"))
    except GgufError as reason:
        return _refuse(reading, name, span, str(reason), "import the model's config.json instead")
    except (OSError, ValueError, RecursionError) as reason:
        return _refuse(reading, name, span, shorten(str(reason)), "import a `config.json`")
    if not isinstance(config, dict):
        return _refuse(reading, name, span, "it is not a JSON object", "import a `config.json`")
    return _from_config(reading, name, span, config)


def _refuse(reading: Reading, name: str, span: Span, why: str, help: str) -> None:
    reading.add(problems.error("E0515", f"`{shorten(name)}` cannot be imported", span, why,
                               help=(help,) if help else ()))


def _beside(path: Path) -> str:
    """Return a hint at a file of nearly that name."""
    try:
        names = [p.name for p in path.parent.iterdir() if p.suffix in (".json", ".gguf")]
    except OSError:
        return "the path is relative to the scenario's folder"
    close = nearest(path.name, names)
    return f"did you mean `{close}`?" if close else "the path is relative to the scenario's folder"


def _from_config(
    reading: Reading, name: str, span: Span, config: Mapping[str, Any]
) -> Model | None:
    nested = config.get("text_config")
    if isinstance(nested, dict):
        config = {**config, **nested}
    shape: dict[str, int] = {}
    for attribute, keys in (*_SHAPE.items(), *_OPTIONAL.items()):
        value = next((config[k] for k in keys if config.get(k) is not None), None)
        if value is not None and (not isinstance(value, int) or not 0 <= value < 10**9):
            return _refuse(reading, name, span, f"`{keys[0]}` is not a count", "correct the file")
        if value:
            shape[attribute] = value
    missing = [keys[0] for a, keys in _SHAPE.items() if a not in shape]
    if missing:
        return _refuse(reading, name, span, f"it does not say {', '.join(missing)}",
                       "import the config.json of a decoder-only transformer, or write the shape "
                       "inline: layers, hidden, ffn, heads, vocab, context")
    return _model(name, shape, config)


def _model(name: str, shape: dict[str, int], config: Mapping[str, Any]) -> Model:
    family = str(config.get("model_type", ""))
    shape.setdefault("ffn", 4 * shape["hidden"])
    shape.setdefault("kv_heads", shape["heads"])
    shape.setdefault("head_dim", max(1, shape["hidden"] // shape["heads"]))
    if shape.get("experts") and not shape.get("expert_ffn"):
        shape["expert_ffn"] = shape["ffn"]
    if not config.get("use_sliding_window", True):
        shape.pop("window", None)
    old = family in ("gpt2", "gpt_neo", "opt")
    title = str(config.get("_name_or_path") or family or name)
    return Model(
        id=Path(name).parent.name or Path(name).stem,
        name=title,
        norm="layernorm" if old else "rmsnorm",
        gated=not old,
        activation=str(config.get("hidden_act") or config.get("activation_function") or "silu"),
        positions="learned" if old else "rotary",
        tied=bool(config.get("tie_word_embeddings", old)),
        bias=old or bool(config.get("mlp_bias")),
        qkv_bias=not old and (family == "qwen2" or bool(config.get("attention_bias"))),
        post_norms=family in ("gemma2", "gemma3", "gemma3_text"),
        sources={"*": f"imported from {name}"},
        **shape,
    )
