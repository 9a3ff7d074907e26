"""The ledger: which technique wrote what, of how many elements, from which line."""

from __future__ import annotations

from collections.abc import Sequence

from llamasim.language.ast import Effect, Write
from llamasim.techniques.applied import BlockFacts
from llamasim.techniques.blocks import Space
from llamasim.techniques.checks import source_text
from llamasim.techniques.collect import RuleUse, place
from llamasim.techniques.records import LedgerRow


def ledger_rows(space: Space, facts: Sequence[BlockFacts]) -> tuple[LedgerRow, ...]:
    """Return one row for each effect of each rule that applies to anything in this workload."""
    rows = []
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
        rows += [
            LedgerRow(
                use.instance.name, use.instance.use.instance, rule.element, pattern, matched,
                *_said(effect), place(effect.span),
            )
            for effect in rule.effects
        ]
    return tuple(sorted(rows, key=lambda r: (r.technique, r.instance, r.place, r.cell)))


def _matched(use: RuleUse, facts: Sequence[BlockFacts]) -> int:
    if use.rule.element in ("step", "layer"):
        return 1
    return sum(f.matched.get(use.key, 0) * max(1, len(f.layers)) for f in facts)


def _said(effect: Effect) -> tuple[str, str, str]:
    """Return cell, verb and value as text."""
    if isinstance(effect, Write):
        return effect.cell, effect.verb, source_text(effect.value.span)
    verb = type(effect).__name__.lower()
    return "", verb, source_text(effect.span).removeprefix(verb).strip()
