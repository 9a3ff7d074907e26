"""Build hook: a wheel carries the parser's tables, so that its first run need not make them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class TablesHook(BuildHookInterface[Any]):
    """Puts the tables for the building Python and Lark beside the grammar."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the tables; an editable install reads the checkout and makes its own."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "engine"))
        from llamasim.language.parser import write_tables

        path = write_tables(Path(tempfile.mkdtemp()))
        build_data["force_include"][str(path)] = f"llamasim/grammar/{path.name}"
