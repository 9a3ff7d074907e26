"""The model graph: ops and tensors with named dims, computed from a model's shape."""

from llamasim.model.graph import Block, Graph, Op
from llamasim.model.resolve import resolve

__all__ = ["Block", "Graph", "Op", "resolve"]
