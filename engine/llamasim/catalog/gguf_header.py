"""Models from the header of a GGUF file (format: ggml-org/ggml, docs/gguf.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamasim.catalog.shapes import (
    FAMILIES,
    Imported,
    labels,
    listed,
    made,
    plain,
    refuse,
    unknown_family,
)
from llamasim.diagnostics import Diagnostic, Span


def model_from_gguf(path: Path, span: Span | None = None) -> Imported:
    """Read the header of a GGUF file, through the `gguf` package (extra `gguf`).

    Returns:
        The model and no diagnostics; or None and what is wrong: E0602 for the file, E0603 where
        the package is not installed.

    """
    try:
        import gguf
    except ImportError:
        return None, [Diagnostic(
            "E0603", "reading a GGUF file needs the package `gguf`", labels(span),
            why="it is an extra, so that a plain installation stays small",
            help=("install it: `pip install 'llamasim[gguf]'`",
                  "or import the model's `config.json` instead"))]
    try:
        reader = gguf.GGUFReader(path)
        facts = {k: _gguf_value(f) for k, f in reader.fields.items()}
        names = {tensor.name for tensor in reader.tensors}
    except (OSError, ValueError, KeyError, IndexError) as reason:
        return refuse(path, span, plain(reason), "name a readable GGUF file")
    family = str(facts.get("general.architecture", ""))
    if family not in FAMILIES:
        return unknown_family(path, span, "general.architecture", family)
    return _gguf_model(path, span, facts, names)


def _gguf_value(field: Any) -> Any:
    """Return a scalar or a text; of an array `(length,)` (vocabularies are long)."""
    return (len(field.data),) if len(field.types) > 1 else field.contents()


#: Model attribute -> key of a GGUF header after the architecture's name.
_GGUF: Mapping[str, str] = {
    "layers": "block_count",
    "hidden": "embedding_length",
    "ffn": "feed_forward_length",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "vocab": "vocab_size",
    "context": "context_length",
    "window": "attention.sliding_window",
    "experts": "expert_count",
    "experts_per_token": "expert_used_count",
    "expert_ffn": "expert_feed_forward_length",
    "shared_experts": "expert_shared_count",
    "dense_layers": "leading_dense_block_count",
    "q_lora_rank": "attention.q_lora_rank",
    "kv_lora_rank": "attention.kv_lora_rank",
    "rope_head_dim": "rope.dimension_count",
}
_GGUF_REQUIRED = ("layers", "hidden", "ffn", "heads", "vocab", "context")


def _gguf_model(
    path: Path, span: Span | None, facts: Mapping[str, Any], tensors: set[str]
) -> Imported:
    arch = facts["general.architecture"]
    shape = {a: facts[f"{arch}.{k}"] for a, k in _GGUF.items() if facts.get(f"{arch}.{k}")}
    shape.setdefault("vocab", *facts.get("tokenizer.ggml.tokens", (0,)))
    bad = [a for a, v in shape.items() if not isinstance(v, int)]
    missing = [_GGUF[a] for a in _GGUF_REQUIRED if not shape.get(a)]
    if bad or missing:
        why = f"`{_GGUF[bad[0]]}` differs between layers" if bad else f"it lacks {listed(missing)}"
        return refuse(path, span, why, "import the model's `config.json` instead")
    values = {**FAMILIES[arch], **shape}
    if values.get("kv_lora_rank"):
        values |= _latent(arch, facts, values)
    else:
        values.pop("rope_head_dim", None)
    if tensors:
        values["tied"] = "output.weight" not in tensors
        values["router_bias"] = any(name.endswith("exp_probs_b.bias") for name in tensors)
    if values.get("experts"):
        values.setdefault("expert_ffn", values["ffn"])
    return made(path, span, arch, str(facts.get("general.name") or path.stem), values)



def _latent(arch: str, facts: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the heads of latent attention; files for absorbed weights have keys of their own."""
    where = f"{arch}.attention"
    key = facts.get(f"{where}.key_length_mla") or facts.get(f"{where}.key_length", 192)
    value = facts.get(f"{where}.value_length_mla") or facts.get(f"{where}.value_length", 128)
    return {"head_dim": key, "value_head_dim": value, "kv_heads": values["heads"]}
