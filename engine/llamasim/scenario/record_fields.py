"""Keys of a record written inline (a device, a model, ...), from the catalog's own table of keys.

What the catalog's table does not say, because its files are checked by tests, stands here: ranges,
and examples to paste.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from llamasim import catalog
from llamasim.scenario.fields import Field, Kind
from llamasim.units import DATA, ENERGY, NONE, TIME, TOKEN, WORK, Dimension

#: What the catalog alone says: names of families, and what only readers make use of.
_NOT_WRITTEN = ("id", "family", "notes", "on", "year", "l2", "cpu", "power", "activation")
_TOKENS = ("context", "window", "token_budget", "kv_block")
_SHARES = ("sustained", "memory_efficiency", "efficiency", "matmul_efficiency",
           "attention_efficiency", "memory_share", "cache_share", "overlap_tax", "fragmentation")
#: Keys that may be zero; all other numbers are above it.
_ZERO = ("prefill_host", "sequence_host",
         "latency", "base_latency", "ramp", "host", "launch", "graph_launch", "reserve",
         "overlap_tax", "fragmentation", "idle", "experts", "experts_per_token",
         "expert_ffn", "shared_experts", "dense_layers", "q_lora_rank", "kv_lora_rank",
         "rope_head_dim", "value_head_dim", "flop_energy", "spread", "mtbf",
         "launch_queue", "product_kernels", "pair_traffic", "unpack_rows", "unpack_ops", "dispatch",
         "gather_copies", "reduce_copies")
#: No figure of a machine comes near it, and no product of several overflows below it.
_HIGHEST = 1e24
_EXAMPLES: Mapping[str, str] = MappingProxyType({
    "prefill_host": "5 ms", "sequence_host": "10 us",
    "memory": "24 GiB", "memory_bandwidth": "1 TB/s", "clock": "2 GHz",
    "tdp": "300 W", "flop_energy": "1 J/TFLOP", "idle": "30 W", "mtbf": "50000 h",
    "bandwidth": "50 GB/s", "latency": "2 us",
    "base_latency": "10 us", "ramp": "1 MiB", "disk_read": "5 GB/s",
    "peak_fp32": "2 TFLOPS", "host": "1 ms", "launch": "3 us", "dispatch": "10 us",
    "graph_launch": "1 us",
    "reserve": "1 GiB", "peaks": "{bf16: 100 TFLOPS}", "formats": "{q4_k: 0.85}", "layers": "32",
    "hidden": "4096", "ffn": "14336", "heads": "32", "vocab": "128256", "context": "8192 tok",
    "cores": "16", "attention_efficiency": "0.6", "token_budget": "2048", "max_sequences": "256",
    "kv_block": "16",
})
_UNITS = ((DATA, "GiB"), (DATA / TIME, "GB/s"), (TIME, "us"), (WORK / TIME, "TFLOPS"),
          (ENERGY / TIME, "W"), (ENERGY / WORK, "J/TFLOP"), (NONE / TIME, "GHz"))


@cache
def record_fields(kind: str) -> tuple[Field, ...]:
    """Return the keys that an inline record of a catalog kind may have."""
    extra = [Field("base", "text", "A catalog id that gives every figure not written here.",
                   default="none", example="a catalog id")]
    if kind == "models":
        extra.append(Field("import", "text", "A Hugging Face `config.json` or a `.gguf` file, "
                           "relative to the scenario.", default="none", example="./config.json"))
    rest = (_field(f) for f in catalog.fields(kind).values() if f.key not in _NOT_WRITTEN)
    return (*extra, *rest)


def _field(entry: catalog.Field) -> Field:
    kind, dimension = _kind(entry), _dimension(entry)
    scale = 1 / 8 if dimension is not None and dimension.exponents[0] == 1 else 1.0
    zero = entry.key in _ZERO
    whole = kind == "integer"
    return Field(
        entry.key, kind, entry.doc[:1].upper() + entry.doc[1:] + ".", dimension,
        plain=whole or (dimension is not None and dimension.is_ratio), scale=scale,
        attr=entry.attribute, default=_default_text(entry), required=entry.required,
        low=1.0 if whole and not zero else 0.0, above=not whole and not zero,
        high=1.0 if entry.key in _SHARES else 1e9 if whole else _HIGHEST,
        options=entry.choices if kind in ("choice", "rates") else (),
        catalog=entry.refers or "", example=_example(entry, kind, dimension),
    )


def _kind(entry: catalog.Field) -> Kind:
    if entry.type is str:
        return "choice" if entry.choices else "text"
    kinds: dict[type, Kind] = {int: "integer", float: "number", bool: "flag", dict: "rates"}
    return kinds[entry.type]


def _dimension(entry: catalog.Field) -> Dimension | None:
    if entry.type is int:
        return TOKEN if entry.key in _TOKENS else NONE
    return entry.dimension


def _default_text(entry: catalog.Field) -> str:
    if entry.required:
        return ""
    if entry.default is None:
        return "derived"
    if isinstance(entry.default, bool):
        return str(entry.default).lower()
    return f"{entry.default:g}" if isinstance(entry.default, float | int) else str(entry.default)


def _example(entry: catalog.Field, kind: Kind, dimension: Dimension | None) -> str:
    if entry.key in _EXAMPLES:
        return _EXAMPLES[entry.key]
    if kind in ("choice", "flag"):
        return entry.choices[0] if entry.choices else "true"
    unit = next((u for d, u in _UNITS if d == dimension), "")
    return f"1 {unit}".strip() if kind in ("number", "integer") else ""
