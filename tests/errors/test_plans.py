"""Every scenario that cannot be planned has a message with a place and a way out.

Here are mistakes that show only with all rules at hand: parameters, meshes, conflicts, imports.
`NAME.txt` is what the user sees of `NAME.yaml`, whose own rules lie beside it. After a change of
wording run this file as a script to write the texts again, and read the difference.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from llamasim.diagnostics import Diagnostic, render
from llamasim.plan import compile_plan
from llamasim.scenario import read

FOLDER = Path(__file__).parent / "plans"
NAMES = sorted(p.stem for p in FOLDER.glob("*.yaml"))
#: Those that warn only.
WARNINGS = {"matches_nothing_here"}


def findings(name: str) -> list[Diagnostic]:
    """Return what is wrong with a scenario, from its text to its plan."""
    scenario, found = read(Path(f"{name}.yaml"))
    assert scenario is not None, render(found)
    _, more = compile_plan(scenario)
    return [*found, *more]


def shown(name: str) -> str:
    """Return the messages as a user sees them, but for the numbers of lines: those of shipped rules
    change with every rule that is added above.
    """
    text = _GUTTER.sub("|", render(findings(name)))
    return _SHIPPED.sub(r"\1", text) + "\n"


_GUTTER = re.compile(r"^ *\d* +\|", re.MULTILINE)
_SHIPPED = re.compile(r"(rules/[\w/]+\.rules):\d+:\d+")


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_that_cannot_be_made_gets_its_message(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    assert (FOLDER / f"{name}.txt").read_text(encoding="utf-8") == shown(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_has_a_way_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FOLDER)
    found = findings(name)
    assert any(f.is_error for f in found) == (name not in WARNINGS)
    for finding in found:
        assert finding.help, finding
        assert not finding.message.endswith(".")


if __name__ == "__main__":
    os.chdir(FOLDER)
    for stem in NAMES:
        Path(f"{stem}.txt").write_text(shown(stem), encoding="utf-8")
