"""What names and amounts in scenarios are called elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from llamasim.units import TIME, UNITS, Dimension
from llamasim.units.spelling import units_meant

#: Keys and words of other programs by what they are here; each counts only where that is known.
_ELSEWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gpu": ("device",), "accelerator": ("device",), "gpus": ("devices_per_node",),
        "num_gpus": ("devices_per_node",), "interconnect": ("inner",), "nvlink": ("inner",),
        "network": ("outer",), "fabric": ("outer",), "cpu": ("host",), "hardware": ("cluster",),
        "techniques": ("use",), "engine": ("runtime",), "framework": ("runtime",),
        "job": ("workload",), "goal": ("optimize",), "serving": ("inference",),
        "serve": ("inference",), "pretraining": ("training",), "finetuning": ("training",),
        "float16": ("fp16",), "half": ("fp16",), "f16": ("fp16",), "bfloat16": ("bf16",),
        "float32": ("fp32",), "f32": ("fp32",), "float": ("fp32",), "input": ("prompt",),
        "input_len": ("prompt",), "output_len": ("output",), "max_tokens": ("output",),
        "seq_len": ("sequence",), "context": ("sequence",), "gaussian": ("lognormal",),
        "normal": ("lognormal",), "constant": ("fixed",), "sigma": ("cv",), "std": ("cv",),
        "spread": ("cv",), "qps": ("rate",), "rps": ("rate",), "users": ("concurrency",),
        "adam": ("adamw",), "axes": ("order",),
    }
)
_WORDS = re.compile(r"[a-z]*\d+[a-z0-9.]*|[a-z]+")


def meant(name: str, known: Collection[str]) -> str | None:
    """Return the known name that one of another program stands for."""
    return next((n for n in _ELSEWHERE.get(name.lower(), ()) if n in known), None)


def alike(name: str, ids: Sequence[str]) -> str | None:
    """Return the catalog's name that shares most words with a longer one from elsewhere, such as
    `h100-sxm` for `NVIDIA H100 80GB HBM3`; at least one of these words bears a digit.
    """
    words = set(_WORDS.findall(name.lower().rpartition("/")[2]))

    def shared(known: str) -> tuple[int, int]:
        own = _WORDS.findall(known.lower())
        return sum(w in words for w in own), -len(own)

    best = max(ids, key=shared, default=None)
    if best is None:
        return None
    same = [w for w in _WORDS.findall(best.lower()) if w in words]
    return best if any(any(c.isdigit() for c in w) for w in same) else None


def units_of(unit: str, wanted: Dimension) -> tuple[str, ...]:
    """Return the units of a dimension that a misspelt one may stand for."""
    found = tuple(u.replace(" / ", "/") for u in units_meant(unit))
    fit = tuple(u for u in found if _dimension(u) == wanted)
    if fit:
        return fit
    return tuple(f"{u}/s" for u in found if u in UNITS and _dimension(f"{u}/s") == wanted)


def _dimension(unit: str) -> Dimension | None:
    known = UNITS.get(unit.removesuffix("/s"))
    if known is None:
        return None
    return known.dimension / TIME if unit.endswith("/s") else known.dimension
