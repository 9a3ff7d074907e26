"""Merge laws: what several rules say of one cell, folded in an order of their own.

Floats are not associative, so contributions are folded sorted by who made them; any order of `use`
then gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.techniques.applied import Merged
from llamasim.units.many import real


@attrs.frozen(order=False)
class Contribution:
    """One write of one rule to one cell.

    Attributes:
        order: (technique, instance, rule number, effect number): the order of folding.
        per_token: what an `add` grows by with each token of the step.

    """

    order: tuple[str, str, int, int]
    verb: str
    value: float | str | bool
    span: Span = attrs.field(eq=False, repr=False)
    use_span: Span = attrs.field(eq=False, repr=False)
    per_token: float = 0.0

    @property
    def technique(self) -> str:
        """Full name of the technique that writes."""
        return self.order[0]


def merge(
    contributions: Iterable[Contribution],
    *,
    conjunction: bool = False,
    preferred: str | None = None,
    refined: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Merged, tuple[Contribution, Contribution] | None]:
    """Fold the writes to one cell; also return two that contradict each other, if any do.

    Args:
        contributions: the writes.
        conjunction: whether the cell's law is `and`.
        preferred: the technique whose `set` the scenario prefers here.
        refined: for each technique the ones whose `set`s it replaces.

    """
    ordered = sorted(contributions, key=lambda c: c.order)
    sets = _live_sets([c for c in ordered if c.verb == "set"], preferred, refined or {})
    if conjunction:
        return Merged(value=all(bool(c.value) for c in sets)), None
    clash = next(((sets[0], c) for c in sets[1:] if c.value != sets[0].value), None)
    scale, add, per_token = 1.0, 0.0, 0.0
    caps: list[float] = []
    floors: list[float] = []
    for c in ordered:
        if c.verb == "scale":
            scale *= real(c.value)
        elif c.verb == "add":
            add += real(c.value)
            per_token += c.per_token
        elif c.verb == "cap":
            caps.append(real(c.value))
        elif c.verb == "raise":
            floors.append(real(c.value))
    merged = Merged(
        sets[0].value if sets else None, scale, add, per_token,
        min(caps, default=None), max(floors, default=None),
    )
    return merged, clash or _floor_over_cap(ordered, merged)


def _live_sets(
    sets: Sequence[Contribution], preferred: str | None, refined: Mapping[str, frozenset[str]]
) -> list[Contribution]:
    if preferred and any(c.technique == preferred for c in sets):
        return [c for c in sets if c.technique == preferred]
    replaced = {other for c in sets for other in refined.get(c.technique, ())}
    return [c for c in sets if c.technique not in replaced]


def _floor_over_cap(
    ordered: Sequence[Contribution], merged: Merged
) -> tuple[Contribution, Contribution] | None:
    if merged.floor is None or merged.cap is None or merged.floor <= merged.cap:
        return None
    floor = next(c for c in ordered if c.verb == "raise" and c.value == merged.floor)
    cap = next(c for c in ordered if c.verb == "cap" and c.value == merged.cap)
    return floor, cap


def conflict(
    cell: str, elements: Sequence[str], a: Contribution, b: Contribution, element: str
) -> Diagnostic:
    """Return E0301: two rules write different values to one cell."""
    names = (a.technique.rsplit(".", 1)[-1], b.technique.rsplit(".", 1)[-1])
    rest = len(elements) - 4
    shown = ", ".join(elements[:4]) + (f" and {rest} more" if rest > 0 else "")
    labels = [
        Label(a.span, f"{names[0]} says {_text(a)}"),
        Label(b.span, f"{names[1]} says {_text(b)}", primary=False),
        Label(a.use_span, "in `use`", primary=False),
    ]
    if b.use_span != a.use_span:
        labels.append(Label(b.use_span, "in `use`", primary=False))
    return Diagnostic(
        "E0301",
        f"two techniques set `{cell}` of the same elements to different values",
        tuple(labels),
        why=f"the order of `use` has no meaning, so neither can win; elements: {shown}",
        help=(
            'give them different elements with `scope: "*.attn.*"` under one of them',
            f'or settle it in the scenario: prefer: {{"{element}.{cell}": {a.technique}}}',
        ),
    )


def _text(c: Contribution) -> str:
    return f"{c.value:g}" if isinstance(c.value, float) else str(c.value)
