"""Shipped techniques that would write a cell and are not in use."""

from __future__ import annotations

from collections.abc import Iterator

from llamasim.assets import rules_dir
from llamasim.language import glob_matches, load
from llamasim.language.ast import Effect, Module, Rule, Shard, Technique, Write
from llamasim.language.cells import CELLS
from llamasim.study.explain.case import Case
from llamasim.study.explain.names import Query
from llamasim.study.explain.tree import Node, Unused
from llamasim.techniques.checks import source_text


def unused(case: Case, query: Query, root: Node) -> tuple[Unused, ...]:
    """Return the shipped techniques that write one of the cells in a derivation, on its element."""
    if query.kind not in ("cell", "comm"):
        return ()
    cells = {n.name for n in root.walk()} & set(CELLS) | ({query.cell} & set(CELLS))
    moves = query.kind == "comm" or query.cell in ("bytes", "elements", "placement")
    used = set(case.applied.techniques)
    found = []
    for module, technique in shipped():
        full = f"{module.name}.{technique.name}"
        effect = None if full in used else _effect(technique, query, cells, moves=moves)
        if effect is not None:
            place = f"{module.name.replace('.', '/')}.rules:{effect.span.line}"
            found.append(Unused(full, place, source_text(effect.span)))
    return tuple(sorted(found, key=lambda u: u.technique))


def shipped() -> Iterator[tuple[Module, Technique]]:
    """Yield every shipped technique with its module."""
    root = rules_dir()
    names = [".".join(f.relative_to(root).with_suffix("").parts) for f in root.rglob("*.rules")]
    program, _ = load(names, [root])
    for module in program.modules.values():
        for item in module.items:
            if isinstance(item, Technique):
                yield module, item


def _effect(
    technique: Technique, query: Query, cells: set[str], *, moves: bool
) -> Effect | None:
    """Return the first effect of a technique on one of the cells of an element."""
    element = query.element or "step"
    for member in technique.members:
        if not isinstance(member, Rule) or member.element != element:
            continue
        if not _covers(member, query.place.full):
            continue
        for effect in member.effects:
            if isinstance(effect, Write) and effect.cell in cells:
                return effect
            if moves and isinstance(effect, Shard):
                return effect
    return None


def _covers(rule: Rule, name: str) -> bool:
    if not name:
        return True
    if rule.globs and not any(glob_matches(g.text, name) for g in rule.globs):
        return False
    return not any(glob_matches(g.text, name) for g in rule.excepts)
