"""Dimensions and quantities: every number that a user writes or reads carries a unit."""

from llamasim.units.dimension import DATA, ENERGY, MONEY, NONE, TIME, TOKEN, WORK, Dimension
from llamasim.units.quantity import UNITS, Quantity, parse_quantity

__all__ = [
    "DATA",
    "ENERGY",
    "MONEY",
    "NONE",
    "TIME",
    "TOKEN",
    "UNITS",
    "WORK",
    "Dimension",
    "Quantity",
    "parse_quantity",
]
