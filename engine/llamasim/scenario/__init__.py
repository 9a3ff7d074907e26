"""Scenarios: what a user asks, read from YAML into frozen records with spans."""

from llamasim.scenario.read import read
from llamasim.scenario.schema import json_schema
from llamasim.scenario.spec import (
    Arrivals,
    Choice,
    Cluster,
    Length,
    Objective,
    Scenario,
    Use,
    Workload,
)

__all__ = [
    "Arrivals",
    "Choice",
    "Cluster",
    "Length",
    "Objective",
    "Scenario",
    "Use",
    "Workload",
    "json_schema",
    "read",
]
