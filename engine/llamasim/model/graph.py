"""The model graph: blocks of ops and tensors with named dims, before any technique touches it.

A tensor's `features` are its dims apart from tokens. Activations and caches also have the token
dims `batch` and `seq`; their sizes come with the step (`StepShape`), not with the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from llamasim.catalog.specs import Model

OpKind = Literal[
    "matmul",
    "embedding",
    "scores",
    "softmax",
    "context",
    "norm",
    "rope",
    "activation",
    "residual",
    "dropout",
    "router",
    "loss",
    "cache",
    "elementwise",
]


@attrs.frozen
class Dim:
    """A named dim and its global size."""

    name: str
    size: int


@attrs.frozen
class Weight:
    """A parameter tensor.

    Attributes:
        dims: for a matmul `dim_in` and `dim_out` (`vocab` takes the place of one in embed and
            head; `experts` comes first in MoE weights); one `dim_out` for biases and norms.
        multiplicity: equal copies in the block (experts have their own dim instead).
        routed: the share of its elements that one token uses (MoE); 1 otherwise.

    """

    name: str
    dims: tuple[Dim, ...]
    routed: float = 1.0

    @property
    def elements(self) -> int:
        """Global element count."""
        count = 1
        for d in self.dims:
            count *= d.size
        return count


@attrs.frozen
class Activation:
    """An intermediate result, named by the op that makes it.

    Attributes:
        features: dims apart from tokens; `kv_seq` marks a dim as long as the context (scores).
        bits: bits an element has when nothing says otherwise; None is the workload's dtype.
        mask: whether it is a dropout mask or a statistic rather than a value that flows on.

    """

    name: str
    features: tuple[Dim, ...]
    bits: int | None = None
    per_context: bool = False


@attrs.frozen
class Op:
    """One operation of a block.

    Attributes:
        inputs: activations it reads; the first is `OP.input`.
        output: the activation it makes.
        weight: the weight it applies, if any.
        saves: activations its backward pass needs (inputs or its own output).
        extra_saved: further activations made only for the backward pass (masks, statistics).

    """

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    output: str
    weight: str | None = None
    saves: tuple[str, ...] = ()


@attrs.frozen
class Cache:
    """A part of the KV cache: `features` a token and layer."""

    name: str
    features: tuple[Dim, ...]


@attrs.frozen
class Block:
    """A kind of layer (or the embedding, or the head with the loss) in execution order.

    Attributes:
        kind: `embed`, `dense`, `moe` or `head`.
        layers: indices of the layers of this kind; () for embed and head.
        input: the activation that enters it.
        output: the activation that leaves it.

    """

    kind: Literal["embed", "dense", "moe", "head"]
    layers: tuple[int, ...]
    weights: Mapping[str, Weight]
    activations: Mapping[str, Activation]
    caches: Mapping[str, Cache]
    ops: tuple[Op, ...]
    input: str
    output: str

    @property
    def elements(self) -> int:
        """Parameters of one such block."""
        return sum(w.elements for w in self.weights.values())


@attrs.frozen
class Graph:
    """A whole model. Names of layer elements are `layers.<i>.<element>`; `embed`, `head`,
    `final_norm` and `loss` stand alone.
    """

    model: Model
    blocks: tuple[Block, ...]

    @property
    def params(self) -> int:
        """Exact parameter count."""
        return sum(b.elements * max(1, len(b.layers)) for b in self.blocks)
