"""The graph with every fact that the techniques in use contribute, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from llamasim.model.graph import Block, Graph
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.records import ClaimFact, LedgerRow
from llamasim.units.many import larger, real, smaller

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
        start = base if self.value is None else real(self.value)
        result = start * self.scale + self.add
        if self.floor is not None:
            result = larger(result, self.floor)
        return result if self.cap is None else smaller(result, self.cap)


NOTHING = Merged()


@attrs.frozen(order=True)
class Placed:
    """Where a share of an element lies: `device`, `host` or `disk`; the rest is on the device."""

    where: str
    share: float = 1.0


ON_DEVICE = Placed("device")


@attrs.frozen
class ExtraRun:
    """A further model that runs within the steps.

    Attributes:
        instance: the use of the technique that runs it.
        name: its name in the rules; `times` how often it runs, by phase.

    """

    instance: str
    name: str
    graph: Graph = attrs.field(eq=False, repr=False)
    times: Mapping[str, float]


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
        dropped: activations not kept for the backward pass; `kept` those kept though nothing in
            it reads them, to start replays from.
        places: where an element lies, if not on the device; of an op, where it runs in each phase,
            under `name@phase`.
        fused: fusion group by op.
        matched: how many elements of one such layer each rule applies to.
        collected: what each rule said, before it was merged.
        frozen: whether the whole model is only run, never trained.

    """

    name: str
    block: Block
    layers: tuple[int, ...]
    cells: Mapping[tuple[str, str, str, str], Merged]
    shards: Mapping[Key, tuple[tuple[str, str], ...]]
    obligations: Mapping[Key, tuple[Obligation, ...]]
    hidden: Mapping[tuple[str, str, str, str], float]
    dropped: frozenset[str]
    places: Mapping[Key, Placed]
    fused: Mapping[str, str]
    matched: Mapping[tuple[str, int], int] = attrs.field(factory=dict)
    frozen: bool = False
    kept: frozenset[str] = frozenset()
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

    def token_spans(self, cache: str) -> tuple[tuple[float, float, str], ...]:
        """Return the ranges of tokens of which rules say something else, each with the name that
        its facts have.
        """
        keys = {k[1] for k in self.cells if k[0] == "kv_cache"}
        keys |= {name for element, name in self.places if element == "kv_cache"}
        found = []
        for name in sorted(keys):
            base, _, span = name.partition("@")
            if base == cache and span:
                low, _, high = span.partition("..")
                found.append((float(low), float(high), name))
        return tuple(sorted(found))

    def place(self, element: str, name: str) -> str:
        """Return where most of an element lies."""
        found = self.places.get((element, name), ON_DEVICE)
        return found.where if found.share > 0.5 else "device"

    def on_host(self, op: str, phase: str) -> bool:
        """Whether an op runs on the host in a phase."""
        return self.place("op", f"{op}@{phase}") == "host"

    def never_on_device(self, op: str) -> bool:
        """Whether an op runs on the host in every phase of this workload."""
        return all(self.on_host(op, p) for p in ("prefill", "decode")) or self.on_host(
            op, "forward")

    def away(self, element: str, name: str) -> Placed:
        """Return the share of an element that is not on the device, and where it is."""
        found = self.places.get((element, name), ON_DEVICE)
        return Placed("device", 0.0) if found.where == "device" else found

    def trainable(self, weight: str) -> bool:
        """Whether the optimizer updates a weight."""
        if self.frozen:
            return False
        found = self.cells.get(("weight", weight, "", "trainable"))
        return found is None or found.value is not False

    def ways(self, element: str, name: str, dim: str, mesh: Mesh) -> int:
        """Return over how many devices a dim of an element is split."""
        shards = self.shards.get((element, name), ())
        beside = [a for _, a in shards]
        if element in ("grad", "optimizer"):
            beside += [a for _, a in self.shards.get(("weight", name), ())]
        n = 1
        for d, axis in shards:
            if d == dim:
                n *= mesh.ways(axis, beside)
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
        extras: further models that run within the steps.

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
    extras: tuple[ExtraRun, ...] = ()

    def step_number(self, cell: str, base: float, phase: str = "") -> float:
        """Return a cell of the step in base units."""
        return self.step.get((phase, cell), NOTHING).number(base)

    def step_symbol(self, cell: str, base: str) -> str:
        """Return a symbol cell of the step."""
        value = self.step.get(("", cell), NOTHING).value
        return base if value is None else str(value)
