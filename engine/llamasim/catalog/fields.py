"""What each kind of record is made of, in a user's words: keys, dimensions, defaults, meaning.

The catalog's own files and a scenario's inline definitions use the same keys. A key names the
thing (`memory`), the record's attribute also names the engine's unit (`memory_bytes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import attrs

from llamasim.catalog.specs import Device, Fabric, Host, Instance, Model, Runtime
from llamasim.units import DATA, ENERGY, MONEY, NONE, TIME, WORK, Dimension, Quantity

RATE = WORK / TIME
BANDWIDTH = DATA / TIME
POWER = ENERGY / TIME
FREQUENCY = NONE / TIME
PRICE = MONEY / TIME
FLOP_ENERGY = ENERGY / WORK


@attrs.frozen
class Field:
    """One key of a record.

    Attributes:
        attribute: the record's attribute that it fills.
        type: `str`, `int`, `float`, `bool`, or `dict` (names to values of `dimension`).
        dimension: of the quantity; None where the value is not a quantity.
        required: whether a definition must give it; otherwise it is derived or has a default.
        default: what it is when left out; None where it is derived from the others.
        choices: the words allowed, where only some are.
        refers: the kind of record that its text names, if any.

    """

    key: str
    attribute: str
    type: type
    dimension: Dimension | None = None
    required: bool = False
    default: Any = None
    doc: str = ""
    choices: tuple[str, ...] = ()
    refers: str | None = None


Record = Device | Fabric | Host | Instance | Model | Runtime

CLASSES: Mapping[str, type[Record]] = MappingProxyType(
    {
        "devices": Device,
        "fabrics": Fabric,
        "hosts": Host,
        "instances": Instance,
        "models": Model,
        "runtimes": Runtime,
    }
)
KINDS = tuple(CLASSES)

_PEAKS = ("fp32", "tf32", "bf16", "fp16", "fp16_acc16", "fp8", "int8", "fp4")


def _text(key: str, doc: str, **more: Any) -> Field:
    return Field(key, key, str, doc=doc, **more)


def _count(key: str, doc: str, **more: Any) -> Field:
    return Field(key, key, int, doc=doc, **more)


def _flag(key: str, doc: str, **more: Any) -> Field:
    return Field(key, key, bool, doc=doc, default=more.pop("default", False), **more)


def _share(key: str, doc: str, **more: Any) -> Field:
    return Field(key, key, float, NONE, doc=doc, **more)


def _size(key: str, doc: str, attribute: str = "", **more: Any) -> Field:
    return Field(key, attribute or f"{key}_bytes", float, DATA, doc=doc, **more)


def _speed(key: str, doc: str, attribute: str = "", **more: Any) -> Field:
    return Field(key, attribute or key, float, BANDWIDTH, doc=doc, **more)


def _time(key: str, doc: str, **more: Any) -> Field:
    return Field(key, f"{key}_s", float, TIME, doc=doc, **more)


_NAMED = (
    _text("id", "name by which scenarios call it", default=""),
    _text("name", "name as people write it", default=""),
)
_NOTES = (_text("notes", "what a reader should know", default=""),)

_DEVICE = (
    *_NAMED,
    _text("vendor", "who makes it", default=""),
    _text("kind", "what it is", default="gpu", choices=("gpu", "cpu", "apu", "tpu", "asic")),
    _text("family", "architecture, by which fitted figures are shared", default=""),
    Field("peaks", "peaks", dict, RATE, True, doc="dense rate by arithmetic", choices=_PEAKS),
    _size("memory", "capacity that a program can see", required=True),
    _speed("memory_bandwidth", "of the device's own memory", required=True),
    _count("multiprocessors", "SMs, compute units, GPU cores or CPU cores"),
    Field("clock", "clock_hz", float, FREQUENCY, doc="sustained clock"),
    _size("l2", "last-level cache"),
    Field("tdp", "tdp_watts", float, POWER, doc="board power limit"),
    Field("idle", "idle_watts", float, POWER, doc="power when idle"),
    _share("sustained", "share of the peak that large matmuls sustain"),
    Field("flop_energy", "flop_energy_j", float, FLOP_ENERGY, default=0.0,
          doc="energy of a 16-bit matrix operation at full clock; 0: no power limit binds"),
    _share("spread", "deviation between devices of the rate they sustain", default=0.0),
    _share("memory_efficiency", "share of the bandwidth that a streaming kernel reaches"),
    _share("bytes_per_clock", "bytes a multiprocessor keeps in flight a clock"),
    _flag("unified", "whether it shares its memory with the host"),
    _text("peer", "fabric that joins the devices of a node", refers="fabrics"),
    _text("host_link", "fabric to the host's memory", refers="fabrics"),
    _text("host", "host that usually surrounds it", refers="hosts"),
    _time("mtbf", "device time between failures that end a job, of any cause; 0: not known",
          default=0.0),
    _count("year", "of introduction"),
    *_NOTES,
)

_FABRIC = (
    *_NAMED,
    _text("kind", "what it joins", default="intra-node",
          choices=("intra-node", "inter-node", "host")),
    _speed("bandwidth", "in one direction, for one device", required=True),
    _time("latency", "of one hop at small sizes"),
    _time("base_latency", "of starting a collective"),
    _share("efficiency", "share of the bandwidth that large messages reach"),
    _size("ramp", "message size that reaches half of the large-message bandwidth"),
    _text("topology", "how devices share it", default="switch",
          choices=("switch", "mesh", "shared", "ring")),
    _flag("reduces", "whether the switch reduces in flight"),
    *_NOTES,
)

_HOST = (
    *_NAMED,
    _text("cpu", "processors", default=""),
    _count("cores", "cores of all sockets", required=True),
    _size("memory", "RAM of the node", required=True),
    _speed("memory_bandwidth", "of all sockets", required=True),
    Field("peak_fp32", "peak_fp32", float, RATE, doc="of all cores"),
    Field("power", "watts", float, POWER, doc="processors and RAM under load"),
    _speed("disk_read", "sequential read of the local disks"),
    *_NOTES,
)

_INSTANCE = (
    *_NAMED[:1],
    _text("provider", "who rents it", required=True),
    _text("device", "device id", required=True, refers="devices"),
    _count("devices", "devices in the machine", required=True),
    _count("vcpus", "virtual processors"),
    _size("memory", "RAM"),
    _speed("network_bandwidth", "network of the whole machine", "network_bytes_per_s"),
    _text("network", "fabric between machines", refers="fabrics"),
    Field("price", "usd_per_hour", float, PRICE, doc="on demand, whole machine"),
    Field("price_spot", "usd_per_hour_spot", float, PRICE, doc="spot, whole machine"),
    _text("region", "where the price holds", default=""),
    _text("price_date", "when the price was read", default=""),
    *_NOTES,
)

_MODEL = (
    *_NAMED,
    _count("layers", "transformer layers", required=True),
    _count("hidden", "width of the residual stream", required=True),
    _count("ffn", "inner width of a dense MLP", required=True),
    _count("heads", "query heads", required=True),
    _count("kv_heads", "key and value heads; as many as `heads` when left out"),
    _count("head_dim", "width of a head; hidden / heads when left out"),
    _count("vocab", "rows of the embedding", required=True),
    _count("context", "longest context", required=True),
    _text("norm", "kind of norm", default="rmsnorm", choices=("rmsnorm", "layernorm")),
    _flag("gated", "whether the MLP has a gate", default=True),
    _text("activation", "of the MLP", default="silu"),
    _text("positions", "kind of positions", default="rotary",
          choices=("rotary", "learned", "none")),
    _flag("tied", "whether the head is the embedding"),
    _flag("bias", "biases on every linear layer"),
    _flag("qkv_bias", "biases on q, k and v only"),
    _flag("dropout", "whether training applies dropout"),
    _flag("post_norms", "further norms after attention and MLP"),
    _count("window", "sliding window of attention"),
    _count("experts", "routed experts of a layer (0: dense)", default=0),
    _count("experts_per_token", "experts that one token passes", default=0),
    _count("expert_ffn", "inner width of an expert", default=0),
    _count("shared_experts", "experts that every token passes", default=0),
    _count("dense_layers", "leading layers that stay dense", default=0),
    _count("q_lora_rank", "rank of compressed queries", default=0),
    _count("kv_lora_rank", "rank of compressed keys and values", default=0),
    _count("rope_head_dim", "rotary part of a head", default=0),
    _count("value_head_dim", "width of a value head, where it differs", default=0),
    _flag("router_bias", "whether the router has a bias"),
    *_NOTES,
)

_RUNTIME = (
    *_NAMED,
    _time("host", "host time a step that devices wait for", required=True),
    _time("sequence_host", "further host time a sequence of an inference step", default=0.0),
    _time("prefill_host", "further host time of a step that only prefills", default=0.0),
    _time("launch", "gap between dependent kernels", required=True),
    _flag("graphs", "whether a decode step is launched as one graph"),
    _time("graph_launch", "gap between kernels inside a graph", required=True),
    _time("dispatch", "time in which the host issues one op; 0: it never holds devices up",
          default=0.0),
    _share("kernels_per_op", "kernels launched for a modelled op", default=1.0),
    _share("matmul_efficiency", "over the sustained rate", default=1.0),
    _share("attention_efficiency", "of the sustained rate, fused attention", required=True),
    _share("memory_efficiency", "over the device's own", default=1.0),
    _share("gemv_concurrency", "over the device's bytes per clock", default=1.0),
    Field("formats", "formats", dict, NONE, default=MappingProxyType({}),
          doc="share of the rate that matmuls reach, by storage format of the weight"),
    _count("unpack_rows", "rows from which low-bit weights are unpacked to memory; 0: never",
           default=0),
    _share("unpack_ops", "operations that unpack a low-bit weight for few rows", default=0.0),
    _text("half_math", "arithmetic of 16-bit kernels, where the device has a rate for it",
          default=""),
    Field("on", "on", dict, None, default=MappingProxyType({}),
          doc="figures that differ on a family of devices"),
    _count("launch_queue", "kernels issued to a device before the host waits; 0: no bound",
           default=0),
    _share("product_kernels", "further kernels around a product of many rows", default=0.0),
    _share("pair_traffic", "bytes moved for each byte of 16-bit scores; 0: as they are",
           default=0.0),
    _share("overlap_tax", "share of multiprocessors a running collective takes", default=0.0),
    _share("gather_copies", "bytes copied for each byte of weights gathered for use", default=0.0),
    _share("reduce_copies", "bytes copied for each byte of gradients reduced to shares",
           default=0.0),
    _size("reserve", "context and libraries on each device", required=True),
    _share("fragmentation", "share of allocated memory lost", default=0.0),
    _share("memory_share", "share of device memory it may use", default=1.0),
    _share("cache_share", "share of the memory left that the cache takes", default=1.0),
    _count("token_budget", "tokens a serving step may process", required=True),
    _count("max_sequences", "sequences served together", required=True),
    _count("kv_block", "tokens in a block of the cache", required=True),
    *_NOTES,
)

_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        "devices": _DEVICE,
        "fabrics": _FABRIC,
        "hosts": _HOST,
        "instances": _INSTANCE,
        "models": _MODEL,
        "runtimes": _RUNTIME,
    }
)


def plural(kind: str) -> str:
    """Return the kind's name as the catalog's folders have it (`device` is `devices`)."""
    return kind if kind.endswith("s") else f"{kind}s"


@cache
def fields(kind: str) -> Mapping[str, Field]:
    """Return every key of a kind (`devices`, `models`, ...; the singular is understood too)."""
    return MappingProxyType({f.key: f for f in _FIELDS[plural(kind)]})


def engine_value(quantity: Quantity) -> float:
    """Return a quantity as the engine counts it: bytes for bits, prices by the hour, else base."""
    hours = 3600.0 if quantity.dimension == PRICE else 1.0
    return quantity.value * hours / 8.0 ** quantity.dimension.exponents[0]
