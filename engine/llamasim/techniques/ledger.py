"""The ledger: which technique wrote what, of how many elements, from which line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from llamasim.language.ast import Effect, Write
from llamasim.language.cells import CELLS
from llamasim.language.values import show_value
from llamasim.techniques.applied import BlockFacts
from llamasim.techniques.blocks import Space
from llamasim.techniques.checks import source_text
from llamasim.techniques.collect import Collector, RuleUse, place
from llamasim.techniques.merge import Contribution
from llamasim.techniques.records import LedgerRow
from llamasim.units import Quantity

#: What identifies an effect: technique, instance, rule and effect.
Order = tuple[str, str, int, int]


def ledger_rows(
    space: Space, facts: Sequence[BlockFacts], step: Collector
) -> tuple[LedgerRow, ...]:
    """Return one row for each effect of each rule that applies to anything in this workload."""
    rows = []
    said = _said((step, *(f.collected for f in facts)))
    for use in space.rules:
        if not space.phases(use):
            continue
        rule, matched = use.rule, _matched(use, facts)
        if not matched:
            continue
        pattern = ", ".join(g.text for g in rule.globs) or "*"
        if rule.excepts:
            pattern += " except " + ", ".join(g.text for g in rule.excepts)
        if rule.where is not None:
            pattern += f" where {source_text(rule.where.span)}"
        instance = use.instance.use.instance
        rows += [
            LedgerRow(
                use.instance.name, instance, rule.element, pattern, matched, *_words(effect),
                place(effect.span),
                _evaluated(effect, said.get((use.instance.name, instance, use.number, k), ())),
            )
            for k, effect in enumerate(rule.effects)
        ]
    return tuple(sorted(rows, key=lambda r: (r.technique, r.instance, r.place, r.cell)))


def _matched(use: RuleUse, facts: Sequence[BlockFacts]) -> int:
    if use.rule.element in ("step", "layer"):
        return 1
    return sum(f.matched.get(use.key, 0) * max(1, len(f.layers)) for f in facts)


def _words(effect: Effect) -> tuple[str, str, str]:
    """Return cell, verb and value as text."""
    if isinstance(effect, Write):
        return effect.cell, effect.verb, source_text(effect.value.span)
    verb = type(effect).__name__.lower()
    return "", verb, source_text(effect.span).removeprefix(verb).strip()


def _said(collectors: Iterable[Collector | None]) -> Mapping[Order, list[Contribution]]:
    """Return what each effect came to on each of its elements."""
    found: dict[Order, list[Contribution]] = {}
    for collector in collectors:
        for writes in collector.cells.values() if collector else ():
            for write in writes:
                found.setdefault(write.order, []).append(write)
    return found


def _evaluated(effect: Effect, writes: Sequence[Contribution]) -> str:
    if not isinstance(effect, Write) or not writes:
        return ""
    numbers = [w.value for w in writes if not isinstance(w.value, bool | str)]
    if len(numbers) < len(writes):
        return ", ".join(sorted({written(effect.cell, effect.verb, w.value) for w in writes}))
    low, high = (written(effect.cell, effect.verb, v) for v in (min(numbers), max(numbers)))
    rates = [w.per_token for w in writes]
    each = written(effect.cell, effect.verb, max(rates)) if any(rates) else ""
    text = low if low == high else f"{low}..{high}"
    return f"{text} + {each} a token" if each else text


def written(cell: str, verb: str, value: float | str | bool) -> str:
    """Return what was written to a cell with its unit; a factor has none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    dimension = CELLS[cell].dimension
    if verb == "scale" or dimension is None:
        return f"{value:g}"
    return show_value(Quantity(value, dimension))
