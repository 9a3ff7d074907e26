"""Techniques applied to a graph: matching, merge laws, provenance."""

from llamasim.techniques.applied import Applied, BlockFacts, Merged, Obligation
from llamasim.techniques.apply import apply

__all__ = ["Applied", "BlockFacts", "Merged", "Obligation", "apply"]
