"""The content hash of a plan: the same plan and seed give the same results, byte for byte."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import attrs

from llamasim.plan.spec import Plan
from llamasim.scenario.spec import Scenario

#: Parts of a scenario that say how it was written rather than what it asks.
_LEFT_OUT = {"spans", "rule_paths", "sources", "notes", "arg_spans", "span", "name", "choices",
             "objective", "use", "prefer", "seed", "price_source", "usd_per_hour", "ledger",
             "claims", "hash", "techniques", "mesh_order", "inferred", "known", "recording"}


def plan_hash(plan: Plan, scenario: Scenario) -> str:
    """Return 16 hexadecimal digits that identify work, machine and workload."""
    digest = hashlib.sha256(_canonical(plan).encode())
    digest.update(_canonical(scenario).encode())
    return digest.hexdigest()[:16]


def _canonical(value: object) -> str:
    kind: type[Any] = type(value)
    if attrs.has(kind):
        inner = (
            f"{a.name}={_canonical(getattr(value, a.name))}"
            for a in attrs.fields(kind) if a.name not in _LEFT_OUT
        )
        return f"{kind.__name__}({','.join(inner)})"
    if isinstance(value, Mapping):
        inner = (f"{k}:{_canonical(v)}" for k, v in sorted(value.items()))
        return "{" + ",".join(inner) + "}"
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    return repr(value)
