"""What a rule reads about the element at hand: `op.kind`, `weight.dim_in`, `activation.elems`.

Sizes are one device's, after sharding, unless asked for the whole. Sizes of activations are for as
many tokens as the view is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from llamasim.language import Symbol, Value
from llamasim.model.graph import Activation, Block, Dim, Op, Weight
from llamasim.techniques.elements import op_of
from llamasim.techniques.environment import number
from llamasim.units import DATA, WORK, Quantity

#: Ways in which a dim of an element is split: (element, name, dim) -> devices.
Ways = Callable[[str, str, str], int]
#: Bits an element holds: (element, name) -> bits, None before the numerics are known.
Bits = Callable[[str, str], float | None]


@attrs.frozen
class ViewSource:
    """Where views of a block's elements get their sizes from."""

    block: Block
    ways: Ways
    bits: Bits
    tokens: float
    ops: Mapping[str, Mapping[str, Op]] = attrs.field(factory=dict)

    def of(self, element: str, name: str) -> Callable[[tuple[str, ...], bool], Value | None]:
        """Return the view of one element."""
        name = name.partition("@")[0]
        if element == "op":
            op = next((o for o in self.block.ops if o.name == name), None)
        else:
            op = op_of(self.block, element).get(name)

        def view(path: tuple[str, ...], unsharded: bool) -> Value | None:
            if len(path) != 2:
                return None
            owner, attribute = path
            if owner == "op":
                return None if op is None else self._op(op, attribute, unsharded)
            if owner in (element, "tensor"):
                return self._tensor(element, name, attribute, unsharded)
            if owner == "weight" and op is not None and op.weight:
                return self._tensor("weight", op.weight, attribute, unsharded)
            return None

        return view

    def _tensor(self, element: str, name: str, attribute: str, unsharded: bool) -> Value | None:
        dims = self._dims(element, name)
        if dims is None:
            return None
        if attribute in ("elems", "bytes"):
            count = self._elements(element, name, dims, unsharded)
            if attribute == "elems":
                return number(count)
            bits = self.bits(element, name)
            return None if bits is None else Quantity(count * bits, DATA)
        if attribute == "bits":
            bits = self.bits(element, name)
            return None if bits is None else Quantity(bits, DATA)
        for dim in dims:
            if dim.name == attribute:
                ways = 1 if unsharded else self.ways(element, name, dim.name)
                return number(dim.local(ways))
        return None

    def _dims(self, element: str, name: str) -> tuple[Dim, ...] | None:
        found: Weight | Activation | None
        if element in ("weight", "grad", "optimizer"):
            found = self.block.weights.get(name)
            return found.dims if found else None
        if element == "kv_cache":
            cache = self.block.caches.get(name)
            return cache.features if cache else None
        found = self.block.activations.get(name)
        return found.features if found else None

    def _elements(
        self, element: str, name: str, dims: tuple[Dim, ...], unsharded: bool
    ) -> float:
        count = 1.0
        if element not in ("weight", "grad", "optimizer"):
            count = self.tokens / (1 if unsharded else self.ways(element, name, "seq"))
        for dim in dims:
            count *= dim.local(1 if unsharded else self.ways(element, name, dim.name))
        return count if unsharded else count / self.ways(element, name, "flat")

    def _op(self, op: Op, attribute: str, unsharded: bool) -> Value | None:
        if attribute == "kind":
            return Symbol(op.kind)
        if attribute == "weight_elems":
            return self._tensor("weight", op.weight, "elems", unsharded) if op.weight else number(0)
        if attribute == "input_elems":
            return self._tensor("activation", op.inputs[0], "elems", unsharded)
        if attribute == "output_elems":
            return self._tensor("activation", op.output, "elems", unsharded)
        if attribute == "flops":
            return Quantity(self._flops(op, unsharded), WORK)
        return None

    def _flops(self, op: Op, unsharded: bool) -> float:
        if not op.weight or op.kind not in ("matmul", "router"):
            return 0.0
        dims = self._dims("weight", op.weight) or ()
        routed = self.block.weights[op.weight].routed
        return 2.0 * self.tokens * routed * self._elements("weight", op.weight, dims, unsharded)
