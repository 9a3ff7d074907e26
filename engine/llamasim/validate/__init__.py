"""Predictions of published measurements, row by row, and how far off they are."""

from llamasim.validate.files import Row, read_rows
from llamasim.validate.mapping import Mapped, Mapping, read_mapping

__all__ = ["Mapped", "Mapping", "Row", "read_mapping", "read_rows"]
