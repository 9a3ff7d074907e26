"""The closed table of element names: what a pattern can match in any model.

The `model` room builds graphs; this table says what they can hold, so that rules are checked before
there is a model. A test holds it equal to what that room builds. The generated list of names reads
it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import attrs

from llamasim.language.cells import TENSORS

#: Where a name stands: bare, or below `layers.<i>`.
Place = Literal["embed", "layer", "head"]
#: Dims in order; several where models differ.
Dims = tuple[tuple[str, ...], ...]

WEIGHTS = ("weight", "grad", "optimizer")
ACTIVATIONS = ("activation", "activation_grad")


@attrs.frozen
class Name:
    """One name, and what stands behind it in models that have it.

    Attributes:
        text: the name within its block (`attn.q`); patterns see `layers.3.attn.q` for a layer's.
        place: the block that has it.
        kind: kind of the op that makes or uses it; empty for what enters a block.
        doc: meaning.
        weight: dims of the weight; () where there is none.
        result: dims of the activation besides tokens; () where there is none.
        cache: dims of the part of the KV cache; () where there is none.
        op: whether an op has this name; its first input is then called `NAME.input` too.

    """

    text: str
    place: Place
    kind: str
    doc: str
    weight: Dims = ()
    result: Dims = ()
    cache: Dims = ()
    op: bool = True

    @property
    def full(self) -> str:
        """The name that patterns see, with `<i>` for the number of the layer."""
        return f"layers.<i>.{self.text}" if self.place == "layer" else self.text

    def of(self, element: str) -> Dims:
        """Return the dims of the element of that kind; () where it has none by this name."""
        if element in WEIGHTS:
            return self.weight
        if element in ACTIVATIONS:
            return self.result
        return self.cache if element == "kv_cache" else ()


_HIDDEN: Dims = (("hidden",),)
_HEADS: Dims = (("heads",),)
_RANK: Dims = (("rank",),)
_FFN: Dims = (("ffn",),)
_ROUTED: Dims = (("ffn",), ("routes", "ffn"))
_MATRIX: Dims = (("dim_in", "dim_out"),)
_EXPERTS: Dims = (("dim_in", "dim_out"), ("experts", "dim_in", "dim_out"))
_VECTOR: Dims = (("dim_out",),)


def _linear(text: str, doc: str, result: Dims, weight: Dims = _MATRIX, cache: Dims = ()) -> Name:
    return Name(text, "layer", "matmul", doc, weight, result, cache)


def _norm(text: str, doc: str, place: Place = "layer", result: Dims = _HIDDEN) -> Name:
    return Name(text, place, "norm", doc, _VECTOR, result)


def _op(text: str, kind: str, doc: str, result: Dims, place: Place = "layer") -> Name:
    return Name(text, place, kind, doc, result=result)


def _bias(of: str, kind: str, place: Place = "layer") -> Name:
    return Name(f"{of}.bias", place, kind, f"Bias of `{of}`.", _VECTOR, op=False)


def _kept(text: str, kind: str, doc: str, result: Dims, place: Place = "layer") -> Name:
    return Name(text, place, kind, doc, result=result, op=False)


_EMBED = (
    _kept("entry", "", "Ids of the tokens.", (("ids",),), "embed"),
    Name("embed", "embed", "embedding", "Embedding of the tokens.", (("vocab", "dim_out"),),
         _HIDDEN),
    Name("positions", "embed", "embedding", "Learned positions.", (("positions", "dim_out"),),
         op=False),
    _op("embed_dropout", "dropout", "Dropout of the embedding.", _HIDDEN, "embed"),
    _kept("embed_dropout_mask", "dropout", "Its mask.", _HIDDEN, "embed"),
)
_ATTENTION = (
    _kept("entry", "", "What enters the layer.", _HIDDEN),
    _norm("norm1", "Norm before the attention."),
    _bias("norm1", "norm"),
    _linear("attn.q_a", "Down-projection of queries (latent attention).", _RANK),
    _norm("attn.q_norm", "Norm of the latent queries.", result=_RANK),
    _linear("attn.q", "Queries.", _HEADS),
    _bias("attn.q", "matmul"),
    _linear("attn.kv_a", "Down-projection of keys and values (latent attention).", _RANK,
            cache=_RANK),
    _norm("attn.kv_norm", "Norm of the latent keys and values.", result=_RANK),
    _linear("attn.k", "Keys.", _HEADS, cache=_HEADS),
    _bias("attn.k", "matmul"),
    _linear("attn.v", "Values.", _HEADS, cache=_HEADS),
    _bias("attn.v", "matmul"),
    _op("attn.rope_q", "rope", "Rotary positions of queries.", _HEADS),
    _op("attn.rope_k", "rope", "Rotary positions of keys.", _HEADS),
    _op("attn.cache", "cache", "Writing of the KV cache.", (("heads",), ("rank",))),
    _op("attn.scores", "scores", "Queries times keys; a row for each query and key.", _HEADS),
    _op("attn.softmax", "softmax", "Attention weights; a row for each query and key.", _HEADS),
    _op("attn.dropout", "dropout", "Dropout of the attention weights.", _HEADS),
    _kept("attn.dropout_mask", "dropout", "Its mask.", _HEADS),
    _op("attn.context", "context", "Attention weights times values.", _HEADS),
    _linear("attn.out", "Output projection of the attention.", _HIDDEN),
    _bias("attn.out", "matmul"),
    _op("dropout1", "dropout", "Dropout behind the attention.", _HIDDEN),
    _kept("dropout1_mask", "dropout", "Its mask.", _HIDDEN),
    _norm("post_norm1", "Norm behind the attention."),
    _bias("post_norm1", "norm"),
    _op("residual1", "residual", "The attention added to what entered.", _HIDDEN),
)
_MLP = (
    _norm("norm2", "Norm before the MLP."),
    _bias("norm2", "norm"),
    Name("mlp.router", "layer", "router", "Router of a mixture of experts.", _MATRIX,
         (("experts",),)),
    _bias("mlp.router", "router"),
    _linear("mlp.gate", "Gate of the MLP, or of all routed experts.", _ROUTED, _EXPERTS),
    _bias("mlp.gate", "matmul"),
    _linear("mlp.up", "Up-projection of the MLP, or of all routed experts.", _ROUTED, _EXPERTS),
    _bias("mlp.up", "matmul"),
    _op("mlp.act", "activation", "Activation of the MLP.", _ROUTED),
    _linear("mlp.down", "Down-projection of the MLP, or of all routed experts.", _HIDDEN, _EXPERTS),
    _bias("mlp.down", "matmul"),
    _linear("mlp.shared.gate", "Gate of the shared experts.", _FFN),
    _bias("mlp.shared.gate", "matmul"),
    _linear("mlp.shared.up", "Up-projection of the shared experts.", _FFN),
    _bias("mlp.shared.up", "matmul"),
    _op("mlp.shared.act", "activation", "Activation of the shared experts.", _FFN),
    _linear("mlp.shared.down", "Down-projection of the shared experts.", _HIDDEN),
    _bias("mlp.shared.down", "matmul"),
    _op("mlp.merge", "residual", "Shared and routed experts added.", _HIDDEN),
    _op("dropout2", "dropout", "Dropout behind the MLP.", _HIDDEN),
    _kept("dropout2_mask", "dropout", "Its mask.", _HIDDEN),
    _norm("post_norm2", "Norm behind the MLP."),
    _bias("post_norm2", "norm"),
    _op("residual2", "residual", "The MLP added to what entered it; what leaves the layer.",
        _HIDDEN),
)
_HEAD = (
    _kept("entry", "", "What leaves the last layer.", _HIDDEN, "head"),
    _norm("final_norm", "Norm before the head.", "head"),
    _bias("final_norm", "norm", "head"),
    Name("head", "head", "matmul", "Head: logits over the vocabulary. In tied models the "
         "embedding used again.", (("dim_in", "vocab"),), (("vocab",),)),
    _op("loss", "loss", "Cross-entropy of the logits.", (("vocab",),), "head"),
    _op("sample", "sample", "The next token.", (("ids",),), "head"),
)

#: Every name that some model has, in the order of execution.
NAMES = (*_EMBED, *_ATTENTION, *_MLP, *_HEAD)


def _full_names(element: str) -> tuple[str, ...]:
    if element == "layer":
        return ("layers.<i>",)
    if element == "op":
        return tuple(dict.fromkeys(n.full for n in NAMES if n.op))
    found = [n.full for n in NAMES if n.of(element)]
    if element in ACTIVATIONS:
        found += [f"{n.full}.input" for n in NAMES if n.op]
    return tuple(dict.fromkeys(found))


#: Full names by element, with `<i>` for the number of a layer; a step has none.
NAMES_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {e: _full_names(e) for e in (*TENSORS, "op", "layer")}
)
#: Full names of matrix products, beside which a weight can be brought.
PRODUCTS = tuple(dict.fromkeys(n.full for n in NAMES if n.kind == "matmul" and n.op))
