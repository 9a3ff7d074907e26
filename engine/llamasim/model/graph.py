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
    "sample",
]


BlockKind = Literal["embed", "dense", "moe", "head"]


@attrs.frozen
class Dim:
    """A named dim, its global size, and the smallest number of elements that stay together.

    A dim of 1024 elements with a granule of 128 (eight heads) splits into at most eight parts;
    beyond that the parts are replicated.
    """

    name: str
    size: int
    granule: int = 1

    def local(self, ways: int) -> int:
        """Return the elements one of `ways` devices holds."""
        return -(-self.size // self.granule // ways) * self.granule if ways > 1 else self.size


@attrs.frozen
class Weight:
    """A parameter tensor.

    Attributes:
        dims: for a matmul `dim_in` and `dim_out` (`vocab` takes the place of one in embed and
            head; `experts` comes first in MoE weights); one `dim_out` for biases and norms.
        routed: the share of its elements that one token uses (MoE); 1 otherwise.
        tied: whether it is another weight's storage used again (a tied head).

    """

    name: str
    dims: tuple[Dim, ...]
    routed: float = 1.0
    tied: bool = False

    @property
    def elements(self) -> int:
        """Global element count, of the tensor itself (a tied weight's too)."""
        count = 1
        for d in self.dims:
            count *= d.size
        return count


@attrs.frozen
class Activation:
    """An intermediate result, named by the op that makes it.

    Attributes:
        features: dims apart from tokens.
        bits: bits an element has when nothing says otherwise; None is the workload's dtype.
        per_context: whether it has one row for each query and each key (attention scores).

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
        saves: activations its backward pass needs (inputs, its own output, or a mask that it
            makes). A matmul needs its input only for its weight's gradient.
        phases: phases in which it runs; empty is all.

    """

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    output: str
    weight: str | None = None
    saves: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()


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
        owner: the model that it belongs to, by the name that rules know it by.

    """

    kind: BlockKind
    layers: tuple[int, ...]
    weights: Mapping[str, Weight]
    activations: Mapping[str, Activation]
    caches: Mapping[str, Cache]
    ops: tuple[Op, ...]
    input: str
    output: str
    owner: str = "model"

    @property
    def elements(self) -> int:
        """Parameters of one such block."""
        return sum(w.elements for w in self.weights.values() if not w.tied)


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

    @property
    def active_params(self) -> int:
        """Parameters that one token passes (of routed experts only its own)."""
        count = 0.0
        for b in self.blocks:
            each = sum(w.elements * w.routed for w in b.weights.values() if not w.tied)
            count += each * max(1, len(b.layers))
        return round(count)
