"""What amounts the cells take: checked where the parameters tell, and again when rules run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from llamasim.language.cells import CELLS
from llamasim.language.kinds import Kind
from llamasim.language.values import show_amount
from llamasim.units import NONE, Dimension


@attrs.frozen
class Bounds:
    """Between which values a number lies, in base units.

    Attributes:
        low, high: both included, `low` only where `above` is false.
        above: whether the number is above `low`.
        whole: whether it is a whole number of base units.

    """

    low: float = 0.0
    high: float = math.inf
    above: bool = False
    whole: bool = False

    def text(self, dimension: Dimension) -> str:
        """Return the bounds in words: `above 0 bit and at most 128 bit`."""
        parts = []
        if self.low > -math.inf:
            parts.append(f"{'above' if self.above else 'at least'} "
                         f"{show_amount(self.low, dimension)}")
        if self.high < math.inf:
            parts.append(f"at most {show_amount(self.high, dimension)}")
        return f"{'a whole number, ' if self.whole else ''}{' and '.join(parts)}"

    def hold(self, value: float) -> bool:
        """Whether a value is within."""
        if self.whole and value != math.floor(value):
            return False
        return (value > self.low if self.above else value >= self.low) and value <= self.high

    def can_fail(self, kind: Kind) -> bool:
        """Whether the ranges of parameters alone can put a number of some kind outside.

        An end that nothing bounds is left to the check when rules run.
        """
        if not kind.certain:
            return kind.zero and not kind.nonzero and self.above and self.low == 0
        at_low = self.above and kind.low == self.low and not (self.low == 0 and kind.nonzero)
        fraction = self.whole and kind.low == kind.high and not kind.whole
        return (-math.inf < kind.low < self.low or math.inf > kind.high > self.high
                or kind.high < self.low or kind.low > self.high or at_low or fraction)


AMOUNT = Bounds()
SHARE = Bounds(high=1.0)
COUNT = Bounds(1.0, whole=True)
_PART = Bounds(high=1.0, above=True)
_BITS = Bounds(high=128.0, above=True)
_NUMBER = Bounds(whole=True)
#: A scale, by which nothing is multiplied out of all proportion.
_SCALE = Bounds(high=1e9)

_CELLS: Mapping[str, Bounds] = MappingProxyType(
    {
        "layout.chunks": Bounds(1.0, 1024.0, whole=True),
        "layout.first_stage_relief": _NUMBER,
        "layout.last_stage_relief": _NUMBER,
        "layout.elements": Bounds(high=16.0, above=True),
        "layout.stored": SHARE,
        "layout.variants": Bounds(1.0, 65536.0, whole=True),
        "wire.elements": Bounds(high=16.0),
        "kv.tokens": Bounds(1.0),
        "kv.attended": Bounds(1.0),
        "numerics.bits": _BITS,
        "numerics.master_bits": Bounds(high=128.0),
        "wire.bits": _BITS,
        "saved.bits": _BITS,
        "cost.efficiency": _PART,
        "cost.hbm_efficiency": _PART,
        "op.pieces": Bounds(1.0, 65536.0, whole=True),
        "schedule.micro_batch": COUNT,
        "schedule.reduce_every": _NUMBER,
        "schedule.prefetch": _NUMBER,
        "schedule.token_budget": Bounds(1.0),
        "schedule.max_sequences": COUNT,
        "schedule.kv_block": Bounds(1.0),
        "schedule.prefill_replicas": _NUMBER,
        "schedule.swap_bytes": AMOUNT,
        "schedule.kept_bytes": AMOUNT,
        "schedule.replicas_least": _NUMBER,
        "schedule.replica_start": AMOUNT,
        "schedule.open_above": _NUMBER,
        "schedule.close_below": _NUMBER,
        "schedule.rows": Bounds(above=True),
        "schedule.tokens_out": Bounds(above=True),
    }
)


def bounds_of(cell: str, verb: str) -> Bounds:
    """Return what a cell takes by a verb; any amount that is not negative where nothing else is."""
    own = _CELLS.get(cell, AMOUNT)
    if verb == "scale":
        return attrs.evolve(_SCALE, high=min(own.high, _SCALE.high), above=own.above)
    return Bounds() if verb == "add" else own


def field_bounds(field: str) -> Bounds:
    """Return what a field of `bring` takes."""
    if field.startswith("dim_") or field == "count":
        return COUNT
    return _BITS if field == "bits" else AMOUNT


def told(cell: str) -> str:
    """Return in words what a cell takes where that is more than an amount; empty elsewhere."""
    own = _CELLS.get(cell)
    return "" if own is None else own.text(CELLS[cell].dimension or NONE)


def outside(cell: str, verb: str, value: float) -> str | None:
    """Return what is wrong with a number that a rule writes to a cell, or None."""
    bounds = bounds_of(cell, verb)
    if bounds.hold(value):
        return None
    dimension = NONE if verb == "scale" else CELLS[cell].dimension or NONE
    return (f"this is {show_amount(value, dimension, 6)} here, and `{cell}` takes "
            f"{bounds.text(dimension)}")

