"""Schemas of the result tables. Units are in the fields' metadata; a change raises `VERSION`."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from llamasim.tables.goodput import GOODPUT, RELIABILITY
from llamasim.tables.summary import FIELDS

VERSION = "3"

_S, _B, _F = "s", "byte", "FLOP"


def _field(name: str, kind: pa.DataType, unit: str = "", doc: str = "") -> pa.Field:
    metadata = {k: v for k, v in (("unit", unit), ("doc", doc)) if v}
    return pa.field(name, kind, metadata=metadata or None)


def _words(name: str, doc: str = "") -> pa.Field:
    return _field(name, pa.dictionary(pa.int32(), pa.string()), doc=doc)


_F8, _I4, _I8, _STR = pa.float64(), pa.int32(), pa.int64(), pa.string()

#: Fields of the summary that are not floating-point numbers.
_KINDS: Mapping[str, pa.DataType] = {
    "fits": pa.bool_(), "flops_convention": _STR, "plan_hash": _STR, "scenario": _STR,
    "preemptions": _I8, "swapped_blocks": _I8, "rejected_requests": _I8, "params": _I8,
    "devices": _I8, "seed": _I8,
}
SUMMARY = pa.schema([
    _field(name, _KINDS.get(name, _F8), unit, doc) for name, (unit, doc) in FIELDS.items()
])

OPS = pa.schema([
    _field("rank_class", _I4, doc="pipeline stage; all its devices do the same"),
    _field("micro_batch", _I4),
    _field("chunk", _I4, doc="model chunk of the stage"),
    _words("phase"),
    _words("block", "class of layers"),
    _field("layer", _I4, doc="layer index; -1 outside layers"),
    _words("op"),
    _words("kind"),
    _words("part", "forward, data_grad, weight_grad, recompute, optimizer or communication"),
    _words("stream"),
    _field("start_s", _F8, _S),
    _field("end_s", _F8, _S),
    _field("waited_s", _F8, _S, "time for which compute stood still for it"),
    _field("flops", _F8, _F),
    _field("bytes", _F8, _B, "memory traffic, or bytes sent"),
    _words("bound", "what its time is bound by"),
])

MEASURED = pa.schema([
    _field("job", _STR, doc="kind of figures: prompts, generation, serving or training"),
    _field("runs", _I4, doc="measured runs of this runtime that predictions were held against"),
    _field("of_device", _I4, doc="those of them on this device"),
    _field("error", _F8, doc="median of |predicted / measured - 1| of those on this device, or of "
           "all where they are few"),
    _field("held_out", _I4, doc="runs that no fitted figure has seen"),
    _field("held_out_error", _F8, doc="their median"),
    _field("beyond", pa.list_(_STR), doc="what of this run is outside of what was measured"),
])

MEMORY = pa.schema([
    _field("rank_class", _I4),
    _words("category"),
    _field("time_s", _F8, _S),
    _field("bytes", _F8, _B, "from this time on"),
])

LINKS = pa.schema([
    _field("rank_class", _I4),
    _words("name"),
    _words("axis"),
    _field("start_s", _F8, _S),
    _field("end_s", _F8, _S),
    _field("bytes", _F8, _B, "sent by each device"),
])

REQUESTS = pa.schema([
    _field("request", _I8, doc="number in order of arrival, those turned away included"),
    _field("arrived_s", _F8, _S),
    _field("admitted_s", _F8, _S),
    _field("first_token_s", _F8, _S),
    _field("finished_s", _F8, _S),
    _field("prompt_tokens", _I4, "tok"),
    _field("output_tokens", _I4, "tok"),
    _field("preemptions", _I4),
    _field("cached_tokens", _I4, "tok"),
    _field("variant", _I4, doc="of the weights that it asked for; null where there is one"),
    _field("replica", _I4, doc="number of the one that served it, or, of two pools, decoded it"),
])

REJECTED = pa.schema([
    _field("request", _I8, doc="number in order of arrival, those served included"),
    _field("arrived_s", _F8, _S),
    _field("prompt_tokens", _I4, "tok"),
    _field("output_tokens", _I4, "tok"),
    _field("reason", _STR),
])

ITERATIONS = pa.schema([
    _field("start_s", _F8, _S),
    _field("end_s", _F8, _S),
    _field("steps", _I4, doc="equal iterations that this row stands for"),
    _field("prefill_tokens", _I4, "tok"),
    _field("decode_sequences", _I4),
    _field("kv_tokens", _F8, "tok"),
    _field("waiting", _I4, doc="requests in the queue"),
    _field("running", _I4, doc="sequences under way, those in prefill too"),
    _field("kv_blocks", _I4, doc="blocks of the cache that they hold at the end"),
    _field("replica", _I4, doc="number of the one that ran it; with pipeline stages it holds "
           "several batches at once"),
])

CLAIMS = pa.schema([
    _field("technique", _STR), _field("metric", _STR), _field("scope", _STR),
    _field("low", _F8), _field("high", _F8), _field("source", _STR), _field("note", _STR),
])

LEDGER = pa.schema([
    _field("technique", _STR), _field("instance", _STR), _field("element", _STR),
    _field("pattern", _STR), _field("matched", _I8), _field("cell", _STR), _field("verb", _STR),
    _field("value", _STR, doc="as it is written"), _field("place", _STR),
    _field("evaluated", _STR, doc="what it comes to here; a range where elements differ"),
])

COSTS = pa.schema([
    _field("cause", _STR, doc="compute, or what a device waited for"),
    _field("seconds", _F8, _S, "mean over devices"),
    _field("share", _F8),
    _field("usd", _F8, "USD", "of the whole cluster; null without a price"),
])

FITS = pa.schema([
    _field("rank_class", _I4), _field("devices", _I8), _field("category", _STR),
    _field("peak_bytes", _F8, _B), _field("capacity_bytes", _F8, _B),
])

SCHEMAS: Mapping[str, pa.Schema] = {
    "summary": SUMMARY, "ops": OPS, "memory": MEMORY, "links": LINKS, "requests": REQUESTS,
    "rejected": REJECTED, "iterations": ITERATIONS, "claims": CLAIMS, "ledger": LEDGER,
    "costs": COSTS, "fits": FITS, "measured": MEASURED, "goodput": GOODPUT,
    "reliability": RELIABILITY,
}
