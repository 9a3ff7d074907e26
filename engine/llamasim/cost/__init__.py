"""Pure formulas from work and machine to seconds and bytes."""

from llamasim.cost.collectives import comm_cost, wire_bytes
from llamasim.cost.machine import Machine, Processor
from llamasim.cost.matmul import shape_efficiency
from llamasim.cost.ops import op_cost
from llamasim.cost.power import power_watts
from llamasim.cost.records import CommCost, OpCost, Row, SegmentCost
from llamasim.cost.segment import segment_cost
from llamasim.cost.steps import step_seconds

__all__ = [
    "CommCost",
    "Machine",
    "OpCost",
    "Processor",
    "Row",
    "SegmentCost",
    "comm_cost",
    "op_cost",
    "power_watts",
    "segment_cost",
    "shape_efficiency",
    "step_seconds",
    "wire_bytes",
]
