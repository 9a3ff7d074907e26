"""The graph with every fact that the techniques in use contribute, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from llamasim.model.graph import Block, Graph
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.records import ClaimFact, LedgerRow

if TYPE_CHECKING:
    from llamasim.techniques.blocks import Space
    from llamasim.techniques.collect import Collector

Key = tuple[str, str]
"""An element of a block: its kind (`weight`) and its name (`attn.q`)."""


@attrs.frozen
class Merged:
    """All writes to one cell, folded: `min(cap, max(raise, (set or base) * scale + add))`.

    `add_per_token` is the part of the sum that grows with the tokens of a step.
    """

    value: float | str | bool | None = None
    scale: float = 1.0
    add: float = 0.0
    add_per_token: float = 0.0
    cap: float | None = None
    floor: float | None = None

    def number(self, base: float) -> float:
        """Return the cell's value, given its base value."""
        start = base if self.value is None else float(self.value)
        result = start * self.scale + self.add
        if self.floor is not None:
            result = max(result, self.floor)
        return result if self.cap is None else min(result, self.cap)


NOTHING = Merged()


@attrs.frozen
class Obligation:
    """A stated movement: reduce, gather, exchange, send, rotate.

    Attributes:
        hidden: share of it that may run beside compute.
        amount, amount_per_token: bits that one device exchanges in a step, and for each token.
        site: technique and place of the rule.

    """

    verb: str
    axis: str
    phases: tuple[str, ...]
    until: str | None = None
    amount: float = 0.0
    amount_per_token: float = 0.0
    site: str = ""


@attrs.frozen
class BlockFacts:
    """One class of layers for which every rule says the same (or embed, or head).

    Attributes:
        cells: merged writes by (element, name, phase or "", cell).
        shards: dim and axis pairs by element.
        obligations: by element.
        hidden: share that may overlap, by (element, name, verb, phase).
        dropped: activations not kept for the backward pass.
        places: where an element lies or runs, if not on the device.
        fused: fusion group by op.
        matched: how many elements of one such layer each rule applies to.
        collected: what each rule said, before it was merged.

    """

    name: str
    block: Block
    layers: tuple[int, ...]
    cells: Mapping[tuple[str, str, str, str], Merged]
    shards: Mapping[Key, tuple[tuple[str, str], ...]]
    obligations: Mapping[Key, tuple[Obligation, ...]]
    hidden: Mapping[tuple[str, str, str, str], float]
    dropped: frozenset[str]
    places: Mapping[Key, str]
    fused: Mapping[str, str]
    matched: Mapping[tuple[str, int], int] = attrs.field(factory=dict)
    collected: Collector | None = attrs.field(default=None, eq=False, repr=False)

    def number(self, element: str, name: str, cell: str, base: float, phase: str = "") -> float:
        """Return a cell's value in base units (bits, s, FLOP, tok)."""
        found = self.cells.get((element, name, phase, cell))
        return base if found is None else found.number(base)

    def merged(self, element: str, name: str, cell: str, phase: str = "") -> Merged:
        """Return the merged writes of a cell; `NOTHING` where no rule writes it."""
        return self.cells.get((element, name, phase, cell), NOTHING)

    def symbol(self, element: str, name: str, cell: str, base: str | None, phase: str = "",
               ) -> str | None:
        """Return a symbol cell's value."""
        found = self.cells.get((element, name, phase, cell))
        return base if found is None or found.value is None else str(found.value)

    def trainable(self, weight: str) -> bool:
        """Whether the optimizer updates a weight."""
        found = self.cells.get(("weight", weight, "", "trainable"))
        return found is None or found.value is not False

    def ways(self, element: str, name: str, dim: str, mesh: Mesh) -> int:
        """Return over how many devices a dim of an element is split."""
        n = 1
        for d, axis in self.shards.get((element, name), ()):
            if d == dim:
                n *= mesh.size(axis)
        return n


@attrs.frozen
class Applied:
    """A model with its techniques.

    Attributes:
        blocks: embed, the classes of layers, head.
        class_of: index into `blocks` for each layer.
        stage_of, chunk_of: pipeline stage and chunk order for each layer.
        step: merged writes to the step's cells by (phase or "", cell).
        space: the rules in use, and what they read of the scenario.
        step_collected: what each rule said of the step, before it was merged.

    """

    graph: Graph
    mesh: Mesh
    blocks: tuple[BlockFacts, ...]
    class_of: tuple[int, ...]
    stages: int
    chunks: int
    chunk_of: tuple[int, ...]
    step: Mapping[tuple[str, str], Merged]
    claims: tuple[ClaimFact, ...]
    ledger: tuple[LedgerRow, ...]
    techniques: tuple[str, ...]
    space: Space = attrs.field(eq=False, repr=False)
    step_collected: Collector = attrs.field(eq=False, repr=False)
