"""Checks that what techniques refine forms no ring: the `set`s of one replace those of the next."""

from __future__ import annotations

from collections import deque

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language.ast import Module, Refines, Technique
from llamasim.language.load import Program


def ring_through(technique: Technique, module: Module, program: Program) -> Diagnostic | None:
    """Return the finding that a technique refines itself through others, over all files."""
    start = f"{module.name}.{technique.name}"
    came_from: dict[str, tuple[str, Refines]] = {}
    queue = deque([(start, module, technique)])
    while queue:
        full, home, current = queue.popleft()
        for member in current.members:
            if not isinstance(member, Refines):
                continue
            other = home.full_name(member.other)
            if other == start and full != start:
                came_from[start] = (full, member)
                return _ring(start, came_from)
            if other in came_from or other == start:
                continue
            came_from[other] = (full, member)
            owner, _, last = other.rpartition(".")
            there = module if owner == module.name else program.known(owner)
            found = there.technique(last) if there else None
            if there is not None and found is not None:
                queue.append((other, there, found))
    return None


def _ring(start: str, came_from: dict[str, tuple[str, Refines]]) -> Diagnostic:
    steps = [came_from[start]]
    while steps[-1][0] != start:
        steps.append(came_from[steps[-1][0]])
    steps.reverse()
    labels = tuple(
        Label(m.span, f"`{n.rpartition('.')[2]}` refines this", primary=k == 0)
        for k, (n, m) in enumerate(steps)
    )
    return Diagnostic(
        "E0217", "these techniques refine each other: "
        + " -> ".join([*(n for n, _ in steps), start]), labels,
        why="each would replace what the others set, and nothing would be set at all",
        help=("remove one `refines`: the technique that is refined is the more general one",),
    )
