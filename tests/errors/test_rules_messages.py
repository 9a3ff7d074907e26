"""Every malformed rule file gives diagnostics with a place and a way out, word for word.

Set LLAMASIM_UPDATE_SNAPSHOTS=1 to write the texts anew after a deliberate change.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llamasim.diagnostics import Diagnostic, Source, render
from llamasim.language import Program, check, parse

FILES = sorted((Path(__file__).parent / "rules").glob("*.rules"))


def findings(path: Path) -> list[Diagnostic]:
    module, found = parse(Source(path.name, path.read_text(encoding="utf-8")))
    if module is None or found:
        return found
    return check(Program({module.name: module}))


def test_there_are_at_least_thirty_malformed_files() -> None:
    assert len(FILES) >= 30


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_message_is_as_recorded(path: Path) -> None:
    text = render(findings(path)) + "\n"
    recorded = path.with_suffix(".txt")
    if os.environ.get("LLAMASIM_UPDATE_SNAPSHOTS"):
        recorded.write_text(text, encoding="utf-8")
    assert text == recorded.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_finding_has_a_place_and_a_way_out(path: Path) -> None:
    found = findings(path)
    assert found
    lines = path.read_text(encoding="utf-8").split("\n")
    for diagnostic in found:
        assert diagnostic.help
        assert sum(label.primary for label in diagnostic.labels) == 1
        for label in diagnostic.labels:
            assert 1 <= label.span.line <= max(len(lines), 1)
            assert 1 <= label.span.column <= len(lines[label.span.line - 1]) + 2


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_messages_fit_a_hundred_columns_and_are_ascii(path: Path) -> None:
    for line in render(findings(path)).split("\n"):
        assert len(line) <= 100
        assert line.isascii()
