"""The engine's source as the policy tests see it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine" / "llamasim"
RULES = ROOT / "rules"
SCENARIOS = ROOT / "scenarios"

#: A room imports only from rooms before it. `assets` says where the shipped files lie and imports
#: nothing.
ROOMS = (
    "assets", "units", "diagnostics", "language", "catalog", "scenario", "model", "techniques",
    "plan", "cost", "simulate", "tables", "study", "validate", "report", "editor",
    "cli",
)


@cache
def modules() -> dict[Path, ast.Module]:
    """Return every module of the engine, parsed."""
    return {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ENGINE.rglob("*.py"))
    }


def room(path: Path) -> str | None:
    """Return the room that a file belongs to; None for the package's own `__init__`."""
    inside = path.relative_to(ENGINE)
    name = inside.parts[0] if len(inside.parts) > 1 else inside.stem
    return None if name in ("__init__", "__main__") else name


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the rooms that a module imports anywhere, with the line."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = node.module.split(".")
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if inside == ["llamasim"] else [node.module]
            )
        for name in names:
            parts = name.split(".")
            if parts[0] == "llamasim" and len(parts) > 1 and parts[1] != "__version__":
                yield parts[1], node.lineno
