"""Why a value is what it is: its derivation, down to the line of a rule and its source."""

from llamasim.study.explain.derive import explain
from llamasim.study.explain.tree import Answer, Node, Site

__all__ = ["Answer", "Node", "Site", "explain"]
