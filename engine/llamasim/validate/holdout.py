"""Rows that no fit has seen."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping as Map
from functools import cache
from pathlib import Path
from typing import Any

from llamasim.assets import rules_dir
from llamasim.validate.mapping import matches
from llamasim.validate.score import Scored


def held_out(row: Scored) -> bool:
    """Whether no fitted figure has seen a row."""
    return any(matches(entry["when"], {**row.groups, "row": row.row}) for entry in _entries())


@cache
def _entries() -> tuple[Map[str, Any], ...]:
    path = Path(rules_dir()) / "validation" / "holdout.toml"
    return tuple(tomllib.loads(path.read_text(encoding="utf-8"))["held_out"])
