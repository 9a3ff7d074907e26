"""From a model's shape to its graph."""

from __future__ import annotations

import attrs

from llamasim.catalog.specs import Model
from llamasim.model.graph import Activation, Block, Dim, Graph, Weight
from llamasim.model.layers import BlockBuilder, hidden, layer


def resolve(model: Model, owner: str = "model") -> Graph:
    """Return the graph: embedding, one block for each kind of layer, head with loss.

    `owner` is the name by which rules know the model.
    """
    blocks = [_embed(model)]
    moe_from = model.dense_layers if model.experts else model.layers
    if moe_from:
        blocks.append(layer(model, "dense", tuple(range(moe_from))))
    if moe_from < model.layers:
        blocks.append(layer(model, "moe", tuple(range(moe_from, model.layers))))
    blocks.append(_head(model))
    return Graph(model, tuple(attrs.evolve(b, owner=owner) for b in blocks))


def _embed(m: Model) -> Block:
    b = BlockBuilder(m)
    b.activations["entry"] = Activation("entry", (Dim("ids", 1),), bits=32)
    weight = Weight("embed", (Dim("vocab", m.vocab), Dim("dim_out", m.hidden)))
    out = b.add("embed", "embedding", ("entry",), (hidden(m),), weight=weight)
    if m.positions == "learned":
        b.weights["positions"] = Weight(
            "positions", (Dim("positions", m.context), Dim("dim_out", m.hidden))
        )
    if m.dropout:
        out = b.dropout("embed_dropout", out)
    return b.freeze("embed", (), out)


def _head(m: Model) -> Block:
    b = BlockBuilder(m)
    x = b.norm("final_norm", "entry")
    logits = (Dim("vocab", m.vocab),)
    dims = (Dim("dim_in", m.hidden), Dim("vocab", m.vocab))
    head = b.add("head", "matmul", (x,), logits, weight=Weight("head", dims), saves=(x,))
    if m.tied:
        # The matrix is the embedding's; it is counted there, and read here.
        b.weights["head"] = Weight("head", dims, tied=True)
    b.add("loss", "loss", (head,), (Dim("vocab", m.vocab),), saves=("loss",),
          phases=("forward", "backward"), bits=32)
    b.add("sample", "sample", (head,), (Dim("ids", 1),), phases=("prefill", "decode"), bits=32)
    return b.freeze("head", (), "loss")
