"""How large a tensor is on one device: elements, bits, bytes."""

from __future__ import annotations

import attrs

from llamasim.language.ast import Drop
from llamasim.language.ast import Place as Place_
from llamasim.model.graph import Dim
from llamasim.plan.memory import optimizer_bits
from llamasim.study.explain.case import Case, Place
from llamasim.study.explain.cells import cell_node
from llamasim.study.explain.placement import placements
from llamasim.study.explain.sites import rule_sites, shards
from llamasim.study.explain.tree import Node, Site
from llamasim.techniques.defaults import MOMENTS

STATES = ("weight", "grad", "optimizer")


def elements_node(case: Case, place: Place, element: str) -> Node:
    """Return the elements of a weight, its gradient or its state on one device."""
    facts, mesh = case.facts(place), case.applied.mesh
    dims = [
        dim_node(dim, facts.ways("weight", place.name, dim.name, mesh),
                 rule_sites(case, place, "weight", shards(dim=dim.name)))
        for dim in facts.block.weights[place.name].dims
    ]
    formula = " x ".join(f"{{{d.name}}}" for d in dims)
    kept = cell_node(case, place, element, "layout.elements")
    if kept.value != 1.0:
        formula, dims = formula + " x {layout.elements}", [*dims, kept]
    flat = facts.ways(element, place.name, "flat", mesh)
    if flat > 1:
        sites = rule_sites(case, place, element, shards(dim="flat"))
        formula, dims = formula + " / {flat}", [*dims, Node("flat", float(flat), sites=sites,
                                                            note=_over(case, sites))]
    value = case.lowering(place).local.elements(element, place.name)
    return Node("elements", value, formula=formula, inputs=tuple(dims))


def dim_node(dim: Dim, ways: int, sites: tuple[Site, ...]) -> Node:
    """Return the part of a dim that one of `ways` devices holds."""
    value = float(dim.local(ways))
    if ways == 1:
        return Node(dim.name, value, note="whole", sites=sites)
    if value * ways == dim.size:
        return Node(dim.name, value, formula=f"{dim.size} / {ways}", sites=sites)
    whole = f"ceil({dim.size // dim.granule} / {ways})"
    formula = f"{whole} x {dim.granule}" if dim.granule > 1 else f"ceil({dim.size} / {ways})"
    note = f"{dim.granule} elements stay together" if dim.granule > 1 else "rounded up"
    return Node(dim.name, value, formula=formula, note=note, sites=sites)


def _over(case: Case, sites: tuple[Site, ...]) -> str:
    axes = dict.fromkeys(s.value for s in sites if s.value)
    return f"devices that share it: {', '.join(axes)}" if axes else ""


def bits_node(case: Case, place: Place, element: str) -> Node:
    """Return the bits of an element at rest, overhead included."""
    at_rest = cell_node(case, place, element, "numerics.bits")
    extra = cell_node(case, place, element, "numerics.bits_overhead")
    kept = cell_node(case, place, element, "layout.elements")
    inputs, formula = [at_rest], "{numerics.bits}"
    if extra.value:
        inputs, formula = [*inputs, extra], "{numerics.bits} + {numerics.bits_overhead}"
    if element not in STATES and kept.value != 1.0:
        formula = f"({formula}) x {{layout.elements}}" if extra.value else (
            formula + " x {layout.elements}")
        inputs.append(kept)
    if len(inputs) == 1:
        return at_rest
    value = case.lowering(place).local.bits(element, place.name)
    return Node("bits", value, "bit", formula=formula, inputs=tuple(inputs))


def bytes_node(case: Case, place: Place, element: str) -> Node:
    """Return a tensor's bytes on one device (of the cache: for one cached token)."""
    if element == "optimizer":
        return _optimizer(case, place)
    if element in STATES:
        return _state(case, place, element)
    return _cache(case, place) if element == "kv_cache" else activation_node(case, place)


def _none(case: Case, place: Place, element: str) -> Node | None:
    """Return a tensor of no bytes, where there is none to keep."""
    facts, name = case.facts(place), f"{element}.bytes"
    weight = facts.block.weights[place.name]
    if weight.tied:
        return Node(name, 0.0, "B", note="the storage is another weight's, used again")
    if element == "weight":
        return None
    if not case.training:
        return Node(name, 0.0, "B", note="inference keeps none")
    if not facts.trainable(place.name):
        frozen = cell_node(case, place, "weight", "trainable")
        return Node(name, 0.0, "B", note="the weight is not trained", inputs=(frozen,))
    return None


def _state(case: Case, place: Place, element: str) -> Node:
    none = _none(case, place, element)
    if none is not None:
        return none
    local = case.lowering(place).local
    elements, bits = elements_node(case, place, element), bits_node(case, place, element)
    value = local.elements(element, place.name) * local.bits(element, place.name) / 8
    return _resting(case, place, element, Node(
        f"{element}.bytes", value, "B", formula=f"{{elements}} x {{{bits.name}}} / 8",
        inputs=(elements, bits)))


def _optimizer(case: Case, place: Place) -> Node:
    none = _none(case, place, "optimizer")
    if none is not None:
        return none
    name = case.scenario.workload.optimizer
    moments = Node("moments", float(MOMENTS.get(name, 2)), note=f"values that {name} keeps")
    elements, bits = elements_node(case, place, "optimizer"), bits_node(case, place, "optimizer")
    master = cell_node(case, place, "optimizer", "numerics.master_bits")
    formula = f"{{moments}} x {{{bits.name}}}"
    inputs = [elements, moments, bits]
    if master.value:
        formula, inputs = formula + " + {numerics.master_bits}", [*inputs, master]
    formula = f"{{elements}} x ({formula}) / 8"
    local = case.lowering(place).local
    each = optimizer_bits(local, place.name, name)
    value = local.elements("optimizer", place.name) * each / 8
    return _resting(case, place, "optimizer",
                    Node("optimizer.bytes", value, "B", formula=formula, inputs=tuple(inputs)))


def _resting(case: Case, place: Place, element: str, node: Node) -> Node:
    """Say what of a tensor has storage of its own, and where it lies, if not on the device."""
    cells = ("layout.stored", "layout.variants") if element == "weight" else ("layout.stored",)
    for cell in cells:
        own = cell_node(case, place, element, cell)
        if own.value != 1.0:
            node = attrs.evolve(
                node, value=float(node.value or 0.0) * float(own.value or 0.0),
                formula=f"{node.formula} x {{{cell}}}", inputs=(*node.inputs, own))
    away = case.facts(place).away(element, place.name)
    sites = rule_sites(case, place, element, lambda e: isinstance(e, Place_))
    if not sites:
        return node
    lies = Node("elsewhere", 100 * away.share, "%", note=f"share of it on the {away.where}",
                sites=sites)
    return attrs.evolve(node, inputs=(*node.inputs, lies))


def _cache(case: Case, place: Place) -> Node:
    facts, local = case.facts(place), case.lowering(place).local
    dims = [
        dim_node(dim, facts.ways("kv_cache", place.name, dim.name, case.applied.mesh),
                 rule_sites(case, place, "kv_cache", shards(dim=dim.name)))
        for dim in facts.block.caches[place.name].features
    ]
    bits = bits_node(case, place, "kv_cache")
    formula = " x ".join(f"{{{d.name}}}" for d in dims) + f" x {{{bits.name}}} / 8"
    seq = facts.ways("kv_cache", place.name, "seq", case.applied.mesh)
    inputs = [*dims, bits]
    if seq > 1:
        sites = rule_sites(case, place, "kv_cache", shards(dim="seq"))
        formula, inputs = formula + " / {seq}", [*inputs, Node("seq", float(seq), sites=sites)]
    return _resting(case, place, "kv_cache", Node(
        "kv_cache.bytes", local.cache_bytes(place.name), "B", formula=formula,
        inputs=tuple(inputs)))


def activation_node(case: Case, place: Place) -> Node:
    """Return an activation's bytes for one micro-batch (in inference: one prefill)."""
    local, shape = case.lowering(place).local, case.shape(case.phases[0])
    made = case.facts(place).block.activations[place.name]
    rows = Node("pairs", shape.full_pairs, note="query-key pairs of a pass") if (
        made.per_context) else tokens_node(case)
    bits = bits_node(case, place, "activation")
    features = features_node(case, place)
    share = local.rows(place.name)
    inputs, formula = [features, rows], f"{{features}} x {{{rows.name}}}"
    if share != 1.0:
        formula += " / {split}"
        inputs.append(Node("split", 1 / share, note="devices that hold other tokens"))
    formula += f" x {{{bits.name}}} / 8"
    value = local.bytes_per_token(place.name) * (
        shape.full_pairs if made.per_context else shape.tokens)
    return _resting(case, place, "activation", Node(
        "activation.bytes", value, "B", formula=formula,
        inputs=(*inputs, bits, *placements(case, place), kept_node(case, place))))


def features_node(case: Case, place: Place) -> Node:
    """Return the elements of an activation for one token, on one device."""
    local = case.lowering(place).local
    placed = {a: f.stored.get(place.name, "") for a, f in local.flows.items()}
    dims = []
    for dim in case.facts(place).block.activations[place.name].features:
        ways = 1
        for axis, where in placed.items():
            ways *= case.applied.mesh.size(axis) if where == dim.name else 1
        dims.append(dim_node(dim, ways, ()))
    formula = " x ".join(f"{{{d.name}}}" for d in dims)
    return Node("features", local.features(place.name), formula=formula, inputs=tuple(dims))


def tokens_node(case: Case, phase: str = "") -> Node:
    """Return the tokens of one pass."""
    work, shape = case.scenario.workload, case.shape(phase or case.phases[0])
    if case.training:
        per = float(case.plan.schedule.micro_batch)
        inputs = (Node("schedule.micro_batch", per),
                  Node("workload.sequence", float(work.sequence)))
    elif phase == "decode":
        inputs = (Node("workload.batch", float(work.batch)),
                  Node("schedule.rows", float(case.plan.schedule.rows)))
    else:
        inputs = (Node("workload.batch", float(work.batch)),
                  Node("workload.prompt", float(work.prompt.mean)))
    formula = f"{{{inputs[0].name}}} x {{{inputs[1].name}}}"
    return Node("tokens", shape.tokens, formula=formula, inputs=inputs)


def kept_node(case: Case, place: Place) -> Node:
    """Return whether an activation is kept from its forward to its backward pass, and why."""
    sites = rule_sites(case, place, "activation", lambda e: isinstance(e, Drop))
    if not case.training:
        return Node("kept", False, note="inference has no backward pass")
    block = case.facts(place).block
    readers = [s.name for s in case.steps(place, "forward") if place.name in s.saves]
    if place.name in case.facts(place).dropped and readers:
        return Node("kept", False, sites=sites, note="made again in the backward pass")
    if place.name == block.input and block.layers:
        return Node("kept", True, note="what enters a layer is always kept")
    if not readers:
        return Node("kept", False, note="no backward pass needs it")
    return Node("kept", True, note=f"needed by the backward pass of {', '.join(readers)}")
