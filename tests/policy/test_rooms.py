"""The house has an order: a room knows only the rooms before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.policy.source_tree import ENGINE, ROOMS, imported, modules, room

FILES = [p for p in modules() if room(p)]


def test_every_folder_of_the_engine_is_a_known_room() -> None:
    """A new room needs a place in the order."""
    assert {room(p) for p in FILES} <= set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ENGINE).as_posix())
def test_a_room_imports_only_rooms_before_it(path: Path) -> None:
    """Imports for type checking and imports inside functions count too."""
    own = ROOMS.index(str(room(path)))
    late = [
        f"line {line} imports {name}"
        for name, line in imported(modules()[path])
        if name not in ROOMS or ROOMS.index(name) > own
    ]
    assert not late


def test_nothing_imports_by_a_relative_name() -> None:
    """Relative imports would escape the walk above."""
    relative = [
        f"{path.relative_to(ENGINE)}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_an_import_out_of_order_would_be_seen() -> None:
    """The walk sees imports of modules, of names, and inside functions."""
    tree = ast.parse(
        "from llamasim.cli.run import command\nimport llamasim.report\n"
        "def f():\n    from llamasim import study\n"
    )
    assert sorted(imported(tree)) == [("cli", 1), ("report", 2), ("study", 4)]
