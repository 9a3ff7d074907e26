"""Sizes on one device: features, rows and bytes after sharding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import attrs

from llamasim.model.graph import Dim
from llamasim.plan.flow import TOKEN_DIMS, Flow
from llamasim.techniques.applied import BlockFacts
from llamasim.techniques.defaults import base_bits
from llamasim.techniques.mesh import Mesh

P = ParamSpec("P")
R = TypeVar("R")


def _once(method: Callable[Concatenate[Local, P], R]) -> Callable[Concatenate[Local, P], R]:
    """Return a method that works out each size once: lowering asks for most of them many times."""
    name = method.__name__

    @wraps(method)
    def asked(self: Local, *args: P.args, **kwargs: P.kwargs) -> R:
        key = (name, *args, *kwargs.values())
        if key not in self.known:
            self.known[key] = method(self, *args, **kwargs)
        return cast(R, self.known[key])

    return cast(Callable[Concatenate["Local", P], R], asked)


@attrs.frozen
class Local:
    """One device's view of a block.

    Attributes:
        flows: placements by axis, for the phase at hand.
        pipeline: the axis whose members are at different layers, if any.
        known: sizes that were asked for before.

    """

    facts: BlockFacts
    mesh: Mesh
    dtype: str
    flows: Mapping[str, Flow]
    pipeline: str | None = None
    known: dict[tuple[object, ...], Any] = attrs.field(
        init=False, eq=False, repr=False, factory=dict)

    @property
    def on_one_host(self) -> int:
        """Return how many devices of a node work at one layer at the same time."""
        count = 1
        for axis in self.mesh.axes:
            skipped = axis.name == self.pipeline or axis.inside is not None
            count *= 1 if skipped else axis.group.per_node
        return count

    @_once
    def bits(self, element: str, name: str) -> float:
        """Return the bits an element holds at rest, overhead included."""
        base = base_bits(self.facts.block, element, name, self.dtype)
        at_rest = self.facts.number(element, name, "numerics.bits", base)
        bits = at_rest + self.facts.number(element, name, "numerics.bits_overhead", 0.0)
        if element in ("weight", "grad", "optimizer"):
            return bits  # their kept share is in `elements`
        return bits * self.facts.number(element, name, "layout.elements", 1.0)

    @_once
    def wire_bits(self, element: str, name: str) -> float:
        """Return the bits an element has on a link: at rest for gradients and weights, else the
        compute dtype's.
        """
        base = self.bits(element, name) if element in ("grad", "weight") else float(
            base_bits(self.facts.block, "weight", "", self.dtype)
        )
        bits = self.facts.number(element, name, "wire.bits", base)
        return bits * self.facts.number(element, name, "wire.elements", 1.0)

    def over_link(self, element: str, name: str) -> float:
        """Return the share of its bytes at rest that a copy of an element moves over a link."""
        facts, rest = self.facts, self.bits(element, name)
        bits = rest
        if facts.merged(element, name, "wire.bits").value is not None:
            bits = facts.number(element, name, "wire.bits", rest)
        return bits / rest * facts.number(element, name, "wire.elements", 1.0)

    def stored(self, element: str, name: str) -> float:
        """Return the share of a tensor that takes room of its own."""
        return self.facts.number(element, name, "layout.stored", 1.0)

    # --- weights and their like -------------------------------------------------------------

    @_once
    def weight_dim(self, name: str, *dims: str) -> int:
        """Return the local size of the first of `dims` that a weight has; 1 if it has none."""
        for dim in self.facts.block.weights[name].dims:
            if dim.name in dims:
                return dim.local(self.facts.ways("weight", name, dim.name, self.mesh))
        return 1

    @_once
    def elements(self, element: str, name: str) -> float:
        """Return how many elements of a weight (or its gradient, or state) one device keeps."""
        count = 1.0
        for dim in self.facts.block.weights[name].dims:
            count *= dim.local(self.facts.ways("weight", name, dim.name, self.mesh))
        kept = self.facts.number(element, name, "layout.elements", 1.0)
        return count * kept / self.facts.ways(element, name, "flat", self.mesh)

    def whole_elements(self, name: str) -> float:
        """Return a weight's elements on one device while it is gathered for use."""
        ways = self.facts.ways("weight", name, "flat", self.mesh)
        return self.elements("weight", name) * ways

    # --- activations -------------------------------------------------------------------------

    @_once
    def features(self, name: str, *, without: str | None = None) -> float:
        """Return an activation's local features as it is stored (whole along one axis if asked)."""
        placements = {a: f.stored.get(name, "") for a, f in self.flows.items() if a != without}
        return self._features(name, placements)

    @_once
    def features_used(self, index: int, name: str) -> float:
        """Return an activation's local features as a kernel reads it."""
        placements = {
            a: f.used.get((index, name), f.stored.get(name, "")) for a, f in self.flows.items()
        }
        return self._features(name, placements)

    def _features(self, name: str, placements: Mapping[str, str]) -> float:
        count = 1.0
        for dim in self.facts.block.activations[name].features:
            count *= self._local(dim, placements)
        return count

    def _local(self, dim: Dim, placements: Mapping[str, str]) -> int:
        ways = 1
        for axis, placement in placements.items():
            ways *= self.mesh.size(axis) if placement == dim.name else 1
        return dim.local(ways)

    @_once
    def rows(self, name: str, *, without: str | None = None) -> float:
        """Return the share of a step's tokens that one device keeps of an activation."""
        share = 1.0
        for axis, flow in self.flows.items():
            if axis != without and flow.stored.get(name, "") in TOKEN_DIMS:
                share /= self.mesh.size(axis)
        return share

    @_once
    def rows_used(self, index: int, name: str) -> float:
        """Return the share of a step's tokens that a kernel reads of an activation."""
        share = 1.0
        for axis, flow in self.flows.items():
            held = flow.used.get((index, name), flow.stored.get(name, ""))
            share /= self.mesh.size(axis) if held in TOKEN_DIMS else 1
        return share

    @_once
    def bytes_per_token(self, name: str) -> float:
        """Return an activation's stored bytes for one token of the step."""
        return self.features(name) * self.rows(name) * self.bits("activation", name) / 8

    def kept_bytes_per_token(self, name: str) -> float:
        """Return an activation's bytes for one token where it waits for the backward pass."""
        facts = self.facts
        bits = self.bits("activation", name)
        if facts.merged("activation", name, "saved.bits").value is not None:
            bits = facts.number("activation", name, "saved.bits", bits)
            bits *= facts.number("activation", name, "layout.elements", 1.0)
        return self.features(name) * self.rows(name) * bits / 8

    @_once
    def cache_bytes(self, name: str, ranged: str | None = None) -> float:
        """Return one cached token's bytes of a part of the cache, in a range of tokens if named."""
        count = 1.0
        for dim in self.facts.block.caches[name].features:
            count *= dim.local(self.facts.ways("kv_cache", name, dim.name, self.mesh))
        count /= self.facts.ways("kv_cache", name, "seq", self.mesh)
        bits = self.bits("kv_cache", name) if ranged is None else self._ranged_bits(name, ranged)
        return count * bits / 8

    def _ranged_bits(self, name: str, ranged: str) -> float:
        # Where a range has a width of its own, the scales of the rest are not its.
        facts = self.facts
        at_rest = facts.merged("kv_cache", ranged, "numerics.bits").value
        extra = facts.number("kv_cache", ranged, "numerics.bits_overhead", 0.0)
        kept = facts.number("kv_cache", ranged, "layout.elements", 1.0)
        if at_rest is None:
            return (self.bits("kv_cache", name) + extra) * kept
        return (float(at_rest) + extra) * kept
