"""The table of element names holds what models are made of, no more and no less."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import pytest

from llamasim import catalog
from llamasim.catalog.specs import Model
from llamasim.language.cells import TENSORS
from llamasim.language.names import NAMES, NAMES_OF, Place
from llamasim.language.vocabulary import OP_KINDS, SHARD_DIMS
from llamasim.model import resolve
from llamasim.model.graph import Block
from llamasim.techniques.elements import element_names, op_of

ELEMENTS = (*TENSORS, "op")


def variants() -> Iterator[Model]:
    """Every catalog model, and one with all optional parts in each combination that is built."""
    known = [m for i in catalog.ids("models") if (m := catalog.get_model(i))]
    yield from known
    base = next(m for m in known if m.id == "llama-3.1-8b")
    for gated, dropout, shared, latent in itertools.product((True, False), repeat=4):
        yield attrs.evolve(
            base, norm="layernorm", bias=True, gated=gated, dropout=dropout, post_norms=True,
            positions="rotary" if gated else "learned", tied=dropout, experts=8,
            experts_per_token=2, expert_ffn=512, shared_experts=int(shared), dense_layers=2,
            router_bias=True, kv_lora_rank=512 * latent, q_lora_rank=1024 * latent * gated,
            rope_head_dim=64 * latent, value_head_dim=128 * latent,
        )


BLOCKS = [b for m in variants() for b in resolve(m).blocks]
PLACES: dict[str, Place] = {"embed": "embed", "dense": "layer", "moe": "layer", "head": "head"}


def built(element: str) -> set[str]:
    """Full names that the models have, the layer's number as in the table."""
    found = set()
    for block in BLOCKS:
        prefix = "layers.<i>." if block.layers else ""
        found |= {prefix + n for n in element_names(block, element)}
    return found


@pytest.mark.parametrize("element", ELEMENTS)
def test_the_table_has_the_names_that_models_have(element: str) -> None:
    """Neither a name that no model has nor one that is missing, for each kind of element."""
    assert set(NAMES_OF[element]) == built(element)


def dims_built(place: Place, name: str, element: str) -> set[tuple[str, ...]]:
    """The dims of an element in all models that have it."""
    def parts(block: Block) -> Iterator[tuple[str, ...]]:
        if element == "weight" and name in block.weights:
            yield tuple(d.name for d in block.weights[name].dims)
        if element == "activation" and name in block.activations:
            yield tuple(d.name for d in block.activations[name].features)
        if element == "kv_cache" and name in block.caches:
            yield tuple(d.name for d in block.caches[name].features)

    return {d for b in BLOCKS if PLACES[b.kind] == place for d in parts(b)}


@pytest.mark.parametrize("name", NAMES, ids=lambda n: f"{n.place}-{n.text}")
def test_dims_are_those_of_the_models(name: object) -> None:
    """Weight, activation and cache have the dims that the table says, in its alternatives."""
    entry = next(n for n in NAMES if n is name)
    for element in ("weight", "activation", "kv_cache"):
        assert set(entry.of(element)) == dims_built(entry.place, entry.text, element)


@pytest.mark.parametrize("name", NAMES, ids=lambda n: f"{n.place}-{n.text}")
def test_the_kind_is_that_of_the_op_that_makes_or_uses_it(name: object) -> None:
    """`op.kind` of an element is what the table says, wherever the element has an op."""
    entry = next(n for n in NAMES if n is name)
    kinds = {
        op_of(b, e)[entry.text].kind
        for b in BLOCKS if PLACES[b.kind] == entry.place
        for e in ("weight", "activation", "kv_cache") if entry.text in op_of(b, e)
    }
    assert kinds <= {entry.kind}
    assert entry.kind in ("", *OP_KINDS)


def test_dims_of_the_table_are_dims_that_can_be_sharded() -> None:
    """Rules can name every dim but the ids of a token and its routes."""
    dims = {d for n in NAMES for e in ("weight", "activation", "kv_cache")
            for alternative in n.of(e) for d in alternative}
    assert dims - set(SHARD_DIMS) == {"ids", "routes"}


def test_every_name_says_what_it_is() -> None:
    """A description of each name, as a sentence."""
    for name in NAMES:
        assert name.doc[0].isupper(), name
        assert name.doc.endswith("."), name
