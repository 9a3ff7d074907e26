"""Every malformed scenario has a message with a place and a way out.

`NAME.txt` beside `NAME.yaml` is what the user sees. After a change of wording run this file as a
script to write the texts again, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llamasim.diagnostics import Diagnostic, render
from llamasim.scenario import read

FOLDER = Path(__file__).parent / "scenarios"
NAMES = sorted(p.stem for p in FOLDER.glob("*.yaml"))
#: Those that warn only.
WARNINGS = {"beyond_the_context"}
#: Those without a text that a label could point into.
WITHOUT_PLACE = {"not_utf8"}


def _findings(name: str) -> tuple[bool, list[Diagnostic]]:
    scenario, found = read(Path(f"{name}.yaml"))
    return scenario is not None, found


@pytest.mark.parametrize("name", NAMES)
def test_a_malformed_scenario_gets_its_message(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    usable, found = _findings(name)
    assert (FOLDER / f"{name}.txt").read_text(encoding="utf-8") == render(found) + "\n"
    assert usable == (name in WARNINGS)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_has_a_place_and_a_way_out(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    _, found = _findings(name)
    assert found
    for finding in found:
        assert finding.help, finding
        assert name in WITHOUT_PLACE or finding.labels, finding
        assert not finding.message.endswith(".")


def test_the_collection_is_large_enough() -> None:
    assert len(NAMES) >= 35


if __name__ == "__main__":
    os.chdir(FOLDER)
    for stem in NAMES:
        Path(f"{stem}.txt").write_text(render(_findings(stem)[1]) + "\n", encoding="utf-8")
