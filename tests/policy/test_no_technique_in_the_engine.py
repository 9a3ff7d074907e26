"""Techniques live in rule files; the engine knows none by name."""

from __future__ import annotations

import re

from tests.policy.source_tree import ENGINE, ROOT, RULES, SCENARIOS

_DECLARED = re.compile(r"^technique\s+([A-Za-z_]\w*)", re.MULTILINE)


def _names() -> set[str]:
    files = [*RULES.rglob("*.rules"), *SCENARIOS.rglob("*.rules")]
    return {n for f in files for n in _DECLARED.findall(f.read_text(encoding="utf-8"))}


def test_the_shipped_techniques_are_found() -> None:
    """A grep for no names would pass on anything."""
    assert len(_names()) >= 14


def test_no_techniques_name_occurs_under_engine() -> None:
    """Not in code, comments, docstrings, data, or messages; catalog data included."""
    names = re.compile(r"(?<!\w)(" + "|".join(sorted(_names())) + r")(?!\w)")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group(1)}"
        for path in sorted(ENGINE.rglob("*"))
        if path.suffix in (".py", ".toml", ".csv", ".json")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in [names.search(line)]
        if match
    ]
    assert found == []
