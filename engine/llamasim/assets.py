"""Where the grammar, the shipped rules and the shipped scenarios lie.

In a wheel they are folders of the package; in a checkout they stand beside `engine/`.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent.parent / name


def grammar_path() -> Path:
    """Return the Lark grammar of the rules language."""
    return _folder("grammar") / "rules.lark"


def rules_dir() -> Path:
    """Return the folder of the shipped techniques."""
    return _folder("rules")


def scenarios_dir() -> Path:
    """Return the folder of the shipped scenarios."""
    return _folder("scenarios")
