"""What the importers share: families of models, the record, and refusals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from llamasim.catalog.construct import construct
from llamasim.catalog.specs import Model
from llamasim.diagnostics import Diagnostic, Label, Span, nearest

Imported = tuple[Model | None, list[Diagnostic]]

_OLD = {"norm": "layernorm", "gated": False, "activation": "gelu", "bias": True}

#: What a format's name fixes without any key for it, by `model_type` (Hugging Face) or
#: `general.architecture` (GGUF). None takes away what a key says.
FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": {},
    "mistral": {},
    "mixtral": {},
    "qwen2": {"qkv_bias": True},
    "gemma2": {
        "post_norms": True,
        "tied": True,
        "activation": "gelu",
        # Every other layer has the window; the model room has one kind of attention for all.
        "window": None,
    },
    "phi3": {},
    "gpt2": {**_OLD, "positions": "learned", "tied": True},
    "gpt_neox": _OLD,
    "gptneox": _OLD,
    "deepseek_v2": {},
    "deepseek_v3": {"router_bias": True},
    "deepseek2": {},
}

def made(
    path: Path, span: Span | None, kind: str, name: str, values: Mapping[str, Any]
) -> Imported:
    """Return the record once its dims are known to make sense."""
    heads, kv = values["heads"], values.get("kv_heads", values["heads"])
    if heads % kv:
        return refuse(path, span, f"{heads} heads cannot share {kv} key and value heads",
                       "correct the file")
    if "head_dim" not in values and values["hidden"] % heads:
        return refuse(path, span, f"{heads} heads do not divide a width of {values['hidden']}",
                       "add `head_dim` to the file")
    if values.get("experts") and not 0 < values.get("experts_per_token", 0) <= values["experts"]:
        return refuse(path, span, "it does not say how many experts a token passes",
                       "add the number of experts a token passes to the file")
    family = {k: v for k, v in FAMILIES.get(kind, {}).items() if v is None}
    named = {**values, **family, "id": name.rpartition("/")[2].lower(), "name": name}
    return cast(Model, construct("models", named, {"*": f"imported from {path.name}"})), []


def refuse(path: Path, span: Span | None, why: str, way: str) -> Imported:
    """Return the diagnostic of a file that cannot be imported."""
    return None, [
        Diagnostic("E0602", f"`{path.name}` cannot be imported", labels(span), why=why,
                   help=(way,))
    ]


def unknown_family(path: Path, span: Span | None, key: str, found: str) -> Imported:
    """Return the diagnostic of a model whose layers are not known."""
    close = nearest(found, FAMILIES)
    ways = (
        *((f"the nearest known is `{close}`: say so if the layers are alike",) if close else ()),
        f"known: {', '.join(sorted(FAMILIES))}",
        "or write the shape inline: `layers`, `hidden`, `ffn`, `heads`, `vocab`, `context`",
    )
    why = f"`{key}` is `{found}`, whose layers are not known" if found else f"it has no `{key}`"
    return None, [
        Diagnostic("E0602", f"`{path.name}` cannot be imported", labels(span), why=why, help=ways)
    ]


def labels(span: Span | None) -> tuple[Label, ...]:
    """Return the place where the user named the file, if it is known."""
    return (Label(span, "imported here"),) if span else ()


def listed(names: Iterable[str]) -> str:
    """Return names as text."""
    return ", ".join(f"`{n}`" for n in names)


def plain(reason: Exception) -> str:
    """Return an exception's reason as a person would say it."""
    if isinstance(reason, FileNotFoundError):
        return "there is no such file"
    text = str(reason) or type(reason).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
