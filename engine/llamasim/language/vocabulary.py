"""What rules may read: every attribute with its type, its stratum and who has it.

The checker reads this table, and so does the generated reference. What rules may write is in
`cells.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs

from llamasim.language.cells import MATH, TENSORS, Stratum
from llamasim.units import DATA, NONE, TIME, TOKEN, WORK, Dimension


@attrs.frozen
class Attribute:
    """One readable attribute.

    Attributes:
        path: as rules write it.
        doc: its meaning.
        kind: `number`, `bool` or `symbol`.
        dimension: of a number.
        stratum: the pass after which it is known; a rule reads strictly below what it writes.
        low: the least it can be.
        symbols: all words it can be, where the engine knows them.
        elements: rules on which elements may read it; None is all rules and `requires`.

    """

    path: str
    doc: str
    kind: Literal["number", "bool", "symbol"] = "number"
    dimension: Dimension = NONE
    stratum: Stratum = Stratum.FACTS
    low: float = 0.0
    symbols: tuple[str, ...] | None = None
    elements: tuple[str, ...] | None = None


OP_KINDS = (
    "matmul", "embedding", "scores", "softmax", "context", "norm", "rope", "activation", "residual",
    "dropout", "router", "loss", "cache", "elementwise", "sample",
)
LAYER_KINDS = ("embed", "dense", "moe", "head")
#: Dims along which a tensor can be sharded; `flat` is all of them as one, `seq` and `batch` tokens.
SHARD_DIMS = (
    "flat", "dim_in", "dim_out", "vocab", "experts", "heads", "seq", "batch", "ffn", "hidden",
    "rank", "positions",
)
#: Axes that are there without a declaration: the devices that other axes leave, and the group over
#: which a weight is replicated.
BUILTIN_AXES = ("dp", "replicas")
STREAMS = ("compute", "communication", "copy")
OVERLAPPABLE = ("gather", "reduce", "exchange", "send", "rotate", "copy")
BRING_FIELDS: Mapping[str, tuple[str, Dimension | None]] = MappingProxyType(
    {
        "dim_in": ("number", NONE),
        "dim_out": ("number", NONE),
        "count": ("number", NONE),
        "bits": ("number", DATA),
        "flops": ("number", WORK),
        "read": ("number", DATA),
        "write": ("number", DATA),
        "trainable": ("bool", None),
        "when": ("bool", None),
        "kind": ("symbol", None),
    }
)

_OWNED = (*TENSORS, "op")


def _count(path: str, doc: str, low: float = 1.0) -> Attribute:
    return Attribute(path, doc, low=low)


def _flag(path: str, doc: str) -> Attribute:
    return Attribute(path, doc, "bool")


_MODEL = (
    _count("model.layers", "Transformer layers."),
    _count("model.hidden", "Width of the residual stream."),
    _count("model.ffn", "Inner width of the MLP."),
    _count("model.heads", "Query heads."),
    _count("model.kv_heads", "Key and value heads."),
    _count("model.head_dim", "Width of a head."),
    _count("model.vocab", "Entries of the vocabulary."),
    _count("model.context", "Longest context the model was made for, in tokens."),
    _count("model.params", "All parameters."),
    _count("model.active_params", "Parameters that one token passes."),
    _count("model.experts", "Routed experts of an MoE layer; 0 in a dense model.", 0.0),
    _count("model.experts_per_token", "Routed experts that a token passes.", 0.0),
    _flag("model.tied", "Whether the head is the embedding used again."),
    _flag("model.gated", "Whether the MLP has a gate."),
)
_CLUSTER = (
    _count("cluster.devices", "All devices."),
    _count("cluster.nodes", "Nodes."),
    _count("cluster.devices_per_node", "Devices of a node."),
    Attribute("cluster.memory", "Memory of all devices.", dimension=DATA),
    Attribute("cluster.host.memory", "Memory of a node's host.", dimension=DATA),
    Attribute("cluster.device.memory", "Memory of a device.", dimension=DATA),
    Attribute("cluster.device.memory_bandwidth", "Bandwidth of a device's memory.",
              dimension=DATA / TIME),
    Attribute("cluster.device.kind", "What kind of device.", "symbol",
              symbols=("gpu", "cpu", "apu", "tpu", "asic")),
    Attribute("cluster.device.vendor", "Who makes the device.", "symbol"),
    _flag("cluster.device.unified", "Whether device and host share their memory."),
    *(_flag(f"cluster.device.supports_{m}", f"Whether the device computes in {m}.")
      for m in MATH if m != "int4"),
)
_WORKLOAD = (
    Attribute("workload.mode", "What the job is.", "symbol", symbols=("training", "inference")),
    Attribute("workload.dtype", "Arithmetic and storage of what no technique changes.", "symbol"),
    Attribute("workload.optimizer", "The optimizer.", "symbol",
              symbols=("adamw", "sgd", "momentum", "adafactor")),
    _flag("workload.serving", "Whether requests arrive over time."),
    Attribute("workload.sequence", "Tokens of a sequence.", dimension=TOKEN),
    Attribute("workload.prompt", "Mean tokens of a prompt.", dimension=TOKEN),
    Attribute("workload.shared_prefix", "First tokens that prompts share.", dimension=TOKEN),
    Attribute("workload.output", "Mean tokens of an answer.", dimension=TOKEN),
    _count("workload.global_batch", "Sequences of an optimizer step."),
    _count("workload.micro_batch", "Sequences of a forward pass on one device."),
    _count("workload.batch", "Sequences that decode together."),
    _count("workload.variants", "Variants of the model that requests ask for."),
)
_LAYER = (
    Attribute("layer.index", "Number of the layer, from 0.", elements=(*_OWNED, "layer")),
    Attribute("layer.kind", "What kind of block this is.", "symbol", symbols=LAYER_KINDS,
              elements=(*_OWNED, "layer")),
    Attribute("layer.stage", "Pipeline stage that holds the layer.", stratum=Stratum.LAYOUT,
              elements=(*_OWNED, "layer")),
)
_OP = (
    Attribute("op.kind", "What the op does; for a tensor, the op that uses or makes it.", "symbol",
              symbols=OP_KINDS, elements=_OWNED),
    *(
        Attribute(f"op.{n}", f"{d}, on one device.", stratum=Stratum.LAYOUT, elements=_OWNED)
        for n, d in (("weight_elems", "Elements of the op's weight"),
                     ("input_elems", "Elements of its first input"),
                     ("output_elems", "Elements of its result"))
    ),
    Attribute("op.flops", "Its arithmetic work, on one device.", dimension=WORK,
              stratum=Stratum.LAYOUT, elements=_OWNED),
)


def _tensor(owner: str) -> tuple[Attribute, ...]:
    readers = {"weight": (*TENSORS, "op"), "tensor": TENSORS}.get(owner, (owner,))
    sizes = ("elems", "dim_in", "dim_out", "vocab", "experts", "heads", "hidden", "ffn", "rank")
    return (
        *(
            Attribute(f"{owner}.{n}", "Elements on one device." if n == "elems" else
                      f"Size of its dim `{n}` on one device.", stratum=Stratum.LAYOUT, low=0.0,
                      elements=readers)
            for n in sizes
        ),
        Attribute(f"{owner}.bits", "Bits of an element at rest.", dimension=DATA,
                  stratum=Stratum.NUMERICS, elements=readers),
        Attribute(f"{owner}.bytes", "Its size at rest on one device.", dimension=DATA,
                  stratum=Stratum.NUMERICS, elements=readers),
    )


#: Every readable attribute by path.
VOCABULARY: Mapping[str, Attribute] = MappingProxyType(
    {
        a.path: a
        for a in (
            *_MODEL, *_CLUSTER, *_WORKLOAD, *_LAYER, *_OP,
            *(a for owner in (*TENSORS, "tensor") for a in _tensor(owner)),
        )
    }
)
#: First parts of readable paths.
ROOTS = tuple(dict.fromkeys(p.partition(".")[0] for p in VOCABULARY))
