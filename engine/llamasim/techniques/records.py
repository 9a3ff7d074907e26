"""Rows about who said what: the ledger and the accuracy claims."""

from __future__ import annotations

import attrs


@attrs.frozen
class ClaimFact:
    """A sourced accuracy interval that applies to this plan."""

    metric: str
    scope: str | None
    low: float
    high: float
    technique: str
    source: str
    note: str = ""


@attrs.frozen
class LedgerRow:
    """Who wrote which cell of which elements, and where the rule stands.

    Attributes:
        value: the expression as it is written; `evaluated` what it comes to here, a range where it
            differs between elements.

    """

    technique: str
    instance: str
    element: str
    pattern: str
    matched: int
    cell: str
    verb: str
    value: str
    place: str
    evaluated: str = ""
