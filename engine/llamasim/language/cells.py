"""The closed list of cells that a technique may write: dimension, stratum, merge law, meaning.

This table is read by the checker, by the `techniques` room and by the generated reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Literal

import attrs

from llamasim.units import DATA, NONE, TIME, TOKEN, WORK, Dimension

Law = Literal["set", "and", "accumulate"]


class Stratum(IntEnum):
    """The passes of evaluation; a rule reads strictly below what it writes."""

    FACTS = 0
    LAYOUT = 1
    NUMERICS = 2
    COST = 3
    SCHEDULE = 4
    CLAIMS = 5


ELEMENTS = (
    "weight",
    "grad",
    "optimizer",
    "activation",
    "activation_grad",
    "kv_cache",
    "op",
    "layer",
    "step",
)
TENSORS = ("weight", "grad", "optimizer", "activation", "activation_grad", "kv_cache")
PHASES = ("prefill", "decode", "forward", "backward", "optimizer")
LIFETIMES = ("op_end", "layer_end", "phase_end", "step_end")
PLACES = ("device", "host", "disk")
#: Cells of a cache that may differ between ranges of its tokens.
RANGED = ("numerics.bits", "numerics.bits_overhead", "numerics.format", "layout.elements")


@attrs.frozen
class Cell:
    """One attribute of an element that rules may write.

    Attributes:
        elements: which elements have it.
        dimension: of its value; None where the value is a symbol or a boolean (see `kind`).
        kind: `number`, `symbol` or `bool`.
        law: `set` (one writer or equal values), `and`, or `accumulate`
            (`min(cap, max(raise, (set or base) * product(scale) + sum(add)))`).
        verbs: which of set, scale, add, cap, raise are allowed.
        phased: whether `during` restricts it; cells that are not phased hold for all phases.
        doc: meaning and base value.

    """

    name: str
    elements: tuple[str, ...]
    dimension: Dimension | None
    stratum: Stratum
    verbs: tuple[str, ...]
    doc: str
    kind: Literal["number", "symbol", "bool"] = "number"
    phased: bool = False
    symbols: tuple[str, ...] | None = None

    @property
    def law(self) -> Law:
        """How several writers merge."""
        if self.kind == "bool":
            return "and"
        return "set" if self.verbs == ("set",) else "accumulate"


_SET = ("set",)
_MULADD = ("set", "scale", "add", "cap", "raise")

MATH = ("fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4")

_CELLS = (
    Cell("trainable", ("weight",), None, Stratum.FACTS, _SET, "Whether the optimizer updates it; "
         "a frozen weight has neither gradient nor optimizer state. Base: true in training.",
         kind="bool"),
    Cell("layout.pipeline_axis", ("step",), None, Stratum.LAYOUT, _SET, "The mesh axis whose "
         "members hold consecutive pipeline stages. Base: none.", kind="symbol"),
    Cell("layout.chunks", ("step",), NONE, Stratum.LAYOUT, _SET,
         "Model chunks a pipeline stage holds (virtual stages). Base: 1."),
    Cell("layout.first_stage_relief", ("step",), NONE, Stratum.LAYOUT, _SET,
         "Layers fewer on the first stage, which also holds the embedding. Base: 0."),
    Cell("layout.last_stage_relief", ("step",), NONE, Stratum.LAYOUT, _SET,
         "Layers fewer on the last stage, which also holds the head and the loss. Base: 0."),
    Cell("layout.elements", TENSORS, NONE, Stratum.LAYOUT, ("scale",),
         "Share of the tensor's elements that is kept (sparsity). Base: 1."),
    Cell("layout.stored", TENSORS, NONE, Stratum.LAYOUT, ("scale",),
         "Share of the tensor that takes room of its own; the rest is another tensor's storage, "
         "used again. Base: 1."),
    Cell("layout.variants", ("weight",), NONE, Stratum.LAYOUT, _SET,
         "Alternatives of the weight that a device holds at a time, of all those that requests ask "
         "for (`workload.variants`). A step reads those that its requests use; one that is not "
         "there comes from the host, in place of the one used longest ago. Base: 1."),
    Cell("layout.lifetime", ("grad",), None, Stratum.LAYOUT, _SET,
         "How long a gradient's memory is held: for the whole run; from its backward pass to the "
         "end of the step; or only until its layer is updated, within the backward pass. Base: "
         "run.", kind="symbol", symbols=("run", "step_end", "layer_end")),
    Cell("layout.updated_on", ("optimizer",), None, Stratum.LAYOUT, _SET,
         "Where a weight is updated when its optimizer state lies elsewhere: by the host, where "
         "gradients go, or on the device, which brings the state over and back. Base: host.",
         kind="symbol", symbols=("host", "device")),
    Cell("kv.attended", ("kv_cache",), TOKEN, Stratum.LAYOUT, ("cap",),
         "Most cached tokens that a query reads, of those that the cache keeps. Base: all.",
         phased=True),
    Cell("kv.tokens", ("kv_cache",), TOKEN, Stratum.LAYOUT, ("cap",),
         "Most tokens of a sequence that the cache keeps. Base: no bound.", phased=True),
    Cell("numerics.bits", TENSORS, DATA, Stratum.NUMERICS, _SET, "Bits an element holds at rest. "
         "Base: the workload's dtype (gradients: the weight's; optimizer: 32 bit a moment; "
         "masks: 8 bit)."),
    Cell("numerics.bits_overhead", TENSORS, DATA, Stratum.NUMERICS, ("add",),
         "Further bits an element, such as scales and zero points. Base: 0 bit."),
    Cell("numerics.format", TENSORS, None, Stratum.NUMERICS, _SET, "Storage format by which the "
         "runtime catalog knows kernels (`int4_group`, `q4_k`, `e4m3`). Base: none.",
         kind="symbol"),
    Cell("numerics.master_bits", ("optimizer",), DATA, Stratum.NUMERICS, _SET,
         "Bits of a separate copy of the weight that the optimizer updates. Base: 0 bit."),
    Cell("saved.bits", ("activation",), DATA, Stratum.NUMERICS, _SET,
         "Bits an element has where it is kept from the forward to the backward pass, scales "
         "included. Base: as at rest."),
    Cell("numerics.math", ("op", "optimizer"), None, Stratum.NUMERICS, _SET,
         "Arithmetic the op runs in; of an optimizer: its `cost.flops` are matrix products in it. "
         "Base: the workload's dtype; an update is element by element in fp32.", kind="symbol",
         symbols=MATH, phased=True),
    Cell("wire.bits", TENSORS, DATA, Stratum.NUMERICS, _SET,
         "Bits an element has on a link. Base: the compute dtype (gradients: their own)."),
    Cell("wire.elements", TENSORS, NONE, Stratum.NUMERICS, ("scale",),
         "Share of the tensor's elements that goes over links (sparse, low-rank or rare "
         "exchanges). Base: 1."),
    Cell("cost.flops", ("op", "optimizer"), WORK, Stratum.COST, ("scale", "add"),
         "Arithmetic work of the op on one device (of an optimizer: of the weight's update). Base: "
         "from its shapes.", phased=True),
    Cell("cost.read", ("op", "optimizer"), DATA, Stratum.COST, ("scale", "add"),
         "Memory traffic in. Base: from its operands.", phased=True),
    Cell("cost.write", ("op", "optimizer"), DATA, Stratum.COST, ("scale", "add"),
         "Memory traffic out. Base: from its result.", phased=True),
    Cell("cost.efficiency", ("op",), NONE, Stratum.COST, ("cap",),
         "Most of the peak arithmetic rate that the op's kernel reaches. Base: 1.", phased=True),
    Cell("cost.hbm_efficiency", ("op",), NONE, Stratum.COST, ("cap",),
         "Most of the memory bandwidth that the op's kernel reaches. Base: 1.", phased=True),
    Cell("cost.launch", ("op",), TIME, Stratum.COST, ("scale", "add"),
         "Launch time of the op's kernel. Base: the runtime's.", phased=True),
    Cell("cost.host", ("step",), TIME, Stratum.COST, ("scale", "add"),
         "Time of the host per step that devices wait for. Base: the runtime's.", phased=True),
    Cell("cost.static_bytes", (*TENSORS, "step"), DATA, Stratum.COST, ("add",),
         "Further memory that stays for the whole run, on each device. Base: 0."),
    Cell("op.rows", ("op",), NONE, Stratum.COST, ("scale",),
         "Share of the rows (tokens) that the op handles. Base: 1.", phased=True),
    Cell("op.runs", ("op",), NONE, Stratum.COST, ("scale",),
         "How often the op runs in a step. Base: 1.", phased=True),
    Cell("op.pieces", ("op",), NONE, Stratum.COST, _SET,
         "Parts, one after another, that the op's rows are cut into; neighbours with as many hold "
         "only one part of what lies between them. Base: 1."),
    Cell("op.scratch", ("op",), DATA, Stratum.COST, ("add",),
         "Working memory while the op runs, in bits for each element of its result, beside what it "
         "reads and makes (training). Base: 0 bit.", phased=True),
    Cell("schedule.pipeline", ("step",), None, Stratum.SCHEDULE, _SET,
         "Order of micro-batches on pipeline stages. Base: one_forward_one_backward.",
         kind="symbol", symbols=("all_forward_all_backward", "one_forward_one_backward",
                                 "interleaved", "zero_bubble")),
    Cell("schedule.micro_batch", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Sequences in a micro-batch on one device. Base: the workload's."),
    Cell("schedule.reduce_every", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Micro-batches between two gradient reductions; 0 is once a step. Base: 0."),
    Cell("schedule.prefetch", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Layers whose gathered weights are in flight ahead of use. Base: 1."),
    Cell("schedule.admission", ("step",), None, Stratum.SCHEDULE, _SET,
         "When waiting requests join: as a whole batch, or at each iteration. Base: iteration.",
         kind="symbol", symbols=("batch", "iteration")),
    Cell("schedule.token_budget", ("step",), TOKEN, Stratum.SCHEDULE, _SET,
         "Most tokens of one serving iteration. Base: the runtime's."),
    Cell("schedule.max_sequences", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Most sequences that run together. Base: the runtime's."),
    Cell("schedule.cache", ("step",), None, Stratum.SCHEDULE, _SET,
         "How the cache is given out: whole sequences at once, blocks as they grow, or blocks that "
         "equal beginnings of prompts share. Base: paged.", kind="symbol",
         symbols=("contiguous", "paged", "prefix")),
    Cell("schedule.kv_block", ("step",), TOKEN, Stratum.SCHEDULE, _SET,
         "Tokens of a block of the cache. Base: the runtime's."),
    Cell("schedule.prefill_replicas", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Replicas that only prefill and hand requests with their cache to the others. Base: 0, "
         "all do both."),
    Cell("schedule.prompts", ("step",), None, Stratum.SCHEDULE, _SET,
         "Whether prompts that do not fit into an iteration's tokens are cut, or wait until they "
         "do. Base: cut.", kind="symbol", symbols=("cut", "whole")),
    Cell("schedule.mixing", ("step",), None, Stratum.SCHEDULE, _SET,
         "Whether prompts are processed beside decodes, or in iterations of their own that come "
         "first. Base: together.", kind="symbol", symbols=("together", "apart")),
    Cell("schedule.reserve", ("step",), None, Stratum.SCHEDULE, _SET,
         "What of the cache is set aside when a request starts: blocks as it grows, all that it "
         "will need, or as much as the longest context. Base: grown.", kind="symbol",
         symbols=("grown", "request", "context")),
    Cell("schedule.swap_bytes", ("step",), DATA, Stratum.SCHEDULE, _SET,
         "Host memory of each device for the cache of requests that give way; what finds no room "
         "is computed again. Base: 0 B."),
    Cell("schedule.kept_bytes", ("step",), DATA, Stratum.SCHEDULE, _SET,
         "Host memory of each device for beginnings of prompts, from where those come back that "
         "the device no longer has. Base: 0 B."),
    Cell("schedule.routing", ("step",), None, Stratum.SCHEDULE, _SET,
         "Which replica a request goes to: each in turn, the one with the fewest requests, the "
         "one that has most of its prompt cached, or one that holds the variant of the weights "
         "that it asks for. Base: round_robin.", kind="symbol",
         symbols=("round_robin", "least_outstanding", "prefix", "variant")),
    Cell("schedule.replicas_least", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Replicas that are always open; others open when requests pile up. Base: 0, all are."),
    Cell("schedule.replica_start", ("step",), TIME, Stratum.SCHEDULE, _SET,
         "Time until a replica that was asked for takes requests. Base: 0 s."),
    Cell("schedule.open_above", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Requests a replica above which one more is asked for. Base: none are."),
    Cell("schedule.close_below", ("step",), NONE, Stratum.SCHEDULE, _SET,
         "Requests a replica, without the last one, below which that one is closed. Base: 0."),
    Cell("schedule.pool_link", ("step",), None, Stratum.SCHEDULE, _SET,
         "The link over which replicas that prefill send the cache: within a node, between nodes, "
         "or by way of the hosts' memory. Base: nearest, which is between nodes if there are some.",
         kind="symbol", symbols=("nearest", "inner", "outer", "host")),
    Cell("schedule.rows", ("step",), TOKEN, Stratum.SCHEDULE, _SET,
         "Tokens that a decode step processes for each sequence. Base: 1 tok.", phased=True),
    Cell("schedule.tokens_out", ("step",), TOKEN, Stratum.SCHEDULE, _SET,
         "Tokens that a decode step yields for each sequence. Base: 1 tok.", phased=True),
)

#: Every cell by name.
CELLS: Mapping[str, Cell] = MappingProxyType({c.name: c for c in _CELLS})
