"""Traces as Arrow tables, written and read back."""

from llamasim.tables.store import is_results, read, write
from llamasim.tables.summary import summarize
from llamasim.tables.tabulate import Tables, tabulate

__all__ = ["Tables", "is_results", "read", "summarize", "tabulate", "write"]
