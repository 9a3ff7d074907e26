"""A model's shape from the header of a GGUF file (format: ggml-org/ggml, docs/gguf.md).

Only the key-value part is read, in bounded steps; tensors are never touched, so a file of hundreds
of GiB costs a few milliseconds.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from llamasim.catalog.specs import Model

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
            11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MAX_KEYS, _MAX_TEXT, _MAX_ITEMS = 10_000, 1 << 24, 1 << 24


class GgufError(ValueError):
    """The file is not a GGUF file that can be read; the text says why."""


def read_header(path: Path) -> Model:
    """Return the shape that a GGUF file states.

    Raises:
        GgufError: not GGUF, an old version, damaged, or without the keys of a transformer.

    """
    with path.open("rb") as file:
        facts = _facts(file)
    return _model(path, facts)


def _facts(file: BinaryIO) -> dict[str, Any]:
    if file.read(4) != b"GGUF":
        raise GgufError("it is not a GGUF file")
    version = _scalar(file, "<I")
    if version not in (2, 3):
        raise GgufError(f"GGUF version {version} is not supported")
    _scalar(file, "<Q")
    count = _scalar(file, "<Q")
    if count > _MAX_KEYS:
        raise GgufError("its header is damaged")
    facts: dict[str, Any] = {}
    for _ in range(count):
        key = _text(file)
        facts[key] = _value(file, _scalar(file, "<I"))
    return facts


def _scalar(file: BinaryIO, form: str) -> Any:
    size = struct.calcsize(form)
    data = file.read(size)
    if len(data) < size:
        raise GgufError("it ends inside its header")
    return struct.unpack(form, data)[0]


def _text(file: BinaryIO) -> str:
    length = _scalar(file, "<Q")
    if length > _MAX_TEXT:
        raise GgufError("its header is damaged")
    data = file.read(length)
    if len(data) < length:
        raise GgufError("it ends inside its header")
    return data.decode("utf-8", errors="replace")


def _value(file: BinaryIO, kind: int) -> Any:
    """Return a value; of an array, its length (vocabularies are long and only counted)."""
    if kind in _SCALARS:
        return _scalar(file, _SCALARS[kind])
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        raise GgufError("its header is damaged")
    inner, length = _scalar(file, "<I"), _scalar(file, "<Q")
    if length > _MAX_ITEMS or inner == _ARRAY:
        raise GgufError("its header is damaged")
    if inner in _SCALARS:
        file.seek(length * struct.calcsize(_SCALARS[inner]), 1)
        return length
    if inner != _STRING:
        raise GgufError("its header is damaged")
    for _ in range(length):
        file.seek(_scalar(file, "<Q"), 1)
    return length


def _model(path: Path, facts: dict[str, Any]) -> Model:
    family = str(facts.get("general.architecture", ""))

    def count(key: str, default: int | None = None) -> int:
        value = facts.get(f"{family}.{key}", default)
        if not isinstance(value, int) or not 0 <= value < 10**9:
            raise GgufError(f"it does not say `{family}.{key}`")
        return value

    hidden, heads = count("embedding_length"), count("attention.head_count")
    if not hidden or not heads:
        raise GgufError("its header states a size of zero")
    experts = count("expert_count", 0)
    ffn = count("feed_forward_length")
    vocab = facts.get(f"{family}.vocab_size", facts.get("tokenizer.ggml.tokens"))
    if not isinstance(vocab, int):
        raise GgufError("it does not say its vocabulary")
    return Model(
        id=path.stem,
        name=str(facts.get("general.name", path.stem)),
        layers=count("block_count"),
        hidden=hidden,
        ffn=ffn,
        heads=heads,
        kv_heads=count("attention.head_count_kv", heads),
        head_dim=count("attention.key_length", hidden // heads),
        vocab=vocab,
        context=count("context_length"),
        experts=experts,
        experts_per_token=count("expert_used_count", 0),
        expert_ffn=count("expert_feed_forward_length", ffn if experts else 0),
        qkv_bias=family == "qwen2",
        post_norms=family in ("gemma2", "gemma3"),
        sources={"*": f"imported from {path.name}"},
        notes="whether embedding and head are tied is not in the header's keys",
    )
