"""Catalog records in a scenario: an id, or a mapping of figures with or without a `base`."""

from __future__ import annotations

from typing import Any

import attrs

from llamasim import catalog
from llamasim.catalog.specs import Model
from llamasim.diagnostics import Span
from llamasim.scenario import problems
from llamasim.scenario.fields import Field
from llamasim.scenario.imports import import_model
from llamasim.scenario.nodes import Mapping, Node, Scalar
from llamasim.scenario.record_fields import record_fields
from llamasim.scenario.values import Reading, read_keys, shorten, what_is

_EXAMPLE_IDS = {"devices": "h100-sxm", "fabrics": "ib-ndr400", "hosts": "workstation",
                "models": "llama-3.1-8b", "runtimes": "vllm"}


def look_up(kind: str, name: str) -> Any:
    """Return the catalog's record of a kind by id or short name, or None."""
    return catalog.get(kind, name)


def find(reading: Reading, kind: str, name: str, span: Span) -> Any:
    """Return a catalog record, or None once the unknown id has been noted."""
    record = look_up(kind, name)
    if record is None:
        reading.add(problems.unknown_id(kind, shorten(name), catalog.ids(kind), span))
    return record


def read_record(reading: Reading, path: str, kind: str, node: Node, at: Span) -> Any:
    """Read a record of a catalog kind; None once what is wrong has been noted."""
    if isinstance(node, Scalar):
        return find(reading, kind, node.text, node.span)
    if not isinstance(node, Mapping):
        ways = (f"write `{path.rpartition('.')[2]}: ID`, or a mapping with `base: ID`",)
        reading.add(problems.wrong_kind(path, "a catalog id or a mapping", what_is(node), at, ways))
        return None
    return _inline(reading, path, kind, node, at)


def _inline(reading: Reading, path: str, kind: str, node: Mapping, at: Span) -> Any:
    fields = record_fields(kind)
    before = len(reading.found)
    optional = [attrs.evolve(f, required=False) for f in fields]
    given = read_keys(reading, path, node, optional, at)
    base = _base(reading, kind, given, node, at)
    if len(reading.found) > before or not _links_known(reading, path, fields, given, node):
        return None
    figures = {f.target: given[f.key] for f in fields if f.key in given}
    if base is None:
        return _from_scratch(reading, path, kind, figures, at)
    return _merged(base, figures, path, kind)


def _base(reading: Reading, kind: str, given: dict[str, Any], node: Mapping, at: Span) -> Any:
    """Return what an inline record starts from: a catalog record or an imported model."""
    name, file = given.pop("base", None), given.pop("import", None)
    if name is not None and file is not None:
        entry = node.get("import")
        reading.add(problems.error(
            "E0512", "`base` and `import` both say where the shape comes from",
            entry.key.span if entry else at, "one of the two", help=("delete one of them",)))
        return None
    if file is not None:
        entry = node.get("import")
        return import_model(reading, str(file), entry.value.span if entry else at)
    if name is None:
        return None
    entry = node.get("base")
    return find(reading, kind, str(name), entry.value.span if entry else at)


def _links_known(
    reading: Reading, path: str, fields: tuple[Field, ...], given: dict[str, Any], node: Mapping
) -> bool:
    """Check text fields that name another catalog record."""
    fine = True
    for field in fields:
        entry = node.get(field.key)
        if field.kind == "text" and field.catalog and field.key in given and entry is not None:
            fine = find(reading, field.catalog, given[field.key], entry.value.span) is not None
    return fine


def _merged(base: Any, figures: dict[str, Any], path: str, kind: str) -> Any:
    if not figures:
        return base
    for key in ("peaks", "formats"):
        if key in figures:
            figures[key] = {**getattr(base, key), **figures[key]}
    if kind == "models" and "head_dim" not in figures and {"hidden", "heads"} & set(figures):
        hidden, heads = figures.get("hidden", base.hidden), figures.get("heads", base.heads)
        if base.head_dim * base.heads == base.hidden and hidden % heads == 0:
            figures["head_dim"] = hidden // heads
    figures.setdefault("name", f"{base.name} (changed)")
    sources = {**base.sources, **dict.fromkeys(figures, f"the scenario, {path}")}
    return attrs.evolve(base, id=f"{base.id}-custom", sources=sources, **figures)


def _from_scratch(
    reading: Reading, path: str, kind: str, figures: dict[str, Any], at: Span
) -> Any:
    missing = [f for f in record_fields(kind) if f.required and f.target not in figures]
    if missing:
        names = ", ".join(f"`{f.key}`" for f in missing)
        examples = ", ".join(f"{f.key}: {f.example}" for f in missing)
        reading.add(problems.error(
            "E0506", f"`{path}` lacks {names}", at, "no `base`, so these figures are needed",
            help=(f"take them from a similar one: `base: {_EXAMPLE_IDS[kind]}`",
                  f"or add `{examples}`")))
        return None
    return catalog.construct(kind, {"id": "custom", **figures}, {"*": f"the scenario, {path}"})


def check_model(reading: Reading, model: Model, span: Span) -> bool:
    """Hold a model's shape to what a transformer can be; True when it is sound."""
    if model.heads % model.kv_heads:
        message = f"{model.heads} heads cannot share {model.kv_heads} heads of keys and values"
        way = "give a `kv_heads` that divides `heads`"
    elif model.experts and not (1 <= model.experts_per_token <= model.experts):
        message = f"a token visits {model.experts_per_token} of {model.experts} experts"
        way = "give an `experts_per_token` between 1 and `experts`"
    elif model.experts and not model.expert_ffn:
        message = "a mixture model needs the inner width of an expert"
        way = "add `expert_ffn`"
    elif not model.experts and (left := _given(model, _OF_MIXTURES)):
        message = f"`{left}` is of a mixture, and this model has no experts"
        way = f"add `experts`, or leave `{left}` out"
    elif not model.kv_lora_rank and (left := _given(model, _OF_LATENTS)):
        message = f"`{left}` is of compressed keys and values, which this model does not have"
        way = f"add `kv_lora_rank`, or leave `{left}` out"
    elif model.kv_lora_rank and not (
        0 < model.rope_head_dim < model.head_dim and model.value_head_dim
    ):
        message = "compressed keys and values need the parts of a head"
        way = "give `value_head_dim`, and a `rope_head_dim` below `head_dim`"
    elif model.dense_layers > model.layers:
        message = f"{model.dense_layers} dense layers do not fit into {model.layers} layers"
        way = "lower `dense_layers`"
    elif model.layers > _MOST_LAYERS:
        message = f"{model.layers:,} layers are more than {_MOST_LAYERS:,}"
        way = "lower `layers`"
    elif _weights(model) > _MOST_WEIGHTS:
        message = f"this shape has about {_weights(model):.1e} weights"
        way = f"at most {_MOST_WEIGHTS:.0e} are simulated; lower the largest figures"
    else:
        return True
    reading.add(problems.error("E0509", message, span, "this shape", help=(way,)))
    return False


#: What belongs to models of one kind alone.
_OF_MIXTURES = ("experts_per_token", "expert_ffn", "shared_experts", "dense_layers", "router_bias")
_OF_LATENTS = ("q_lora_rank", "rope_head_dim", "value_head_dim")


def _given(model: Model, keys: tuple[str, ...]) -> str:
    """Return the first of the keys that a model has; empty where it has none."""
    return next((k for k in keys if getattr(model, k)), "")


#: A thousand times what is trained today; beyond it, sums of bytes are no longer exact.
_MOST_LAYERS, _MOST_WEIGHTS = 10_000, 1e15


def _weights(model: Model) -> float:
    """Return roughly how many weights a model has, from above."""
    inner = model.ffn + model.expert_ffn * (model.experts + model.shared_experts)
    width = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    latent = (model.q_lora_rank + model.kv_lora_rank) * (model.heads + 1) * model.head_dim * 2
    layer = model.hidden * (3.0 * inner + width) + latent
    return model.layers * layer + 2.0 * model.hidden * (model.vocab + model.context)
