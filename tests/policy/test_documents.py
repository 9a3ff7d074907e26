"""What the documents say can be done, can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.policy.source_tree import ROOT, SCENARIOS

from llamasim.cli import COMMANDS
from llamasim.cli.support import find_scenario

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _id(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    """Relative links name files of the checkout."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [x for x in links if not (path.parent / x).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_commands_in_documents_exist(path: Path) -> None:
    """Every `llamasim WORD` is a command."""
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|\$ |bin/)llamasim ([a-z]+)\b", text))
    for block in re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        named |= set(re.findall(r"^llamasim ([a-z]+)", block, re.MULTILINE))
    assert named - set(COMMANDS) == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_scenarios_in_documents_exist(path: Path) -> None:
    """`llamasim run NAME` names a shipped scenario; `mine` is the reader's own."""
    text = path.read_text(encoding="utf-8")
    named = {n for ns in re.findall(r"`llamasim (?:run|plan) ([a-z][a-z/ -]*)", text)
             for n in ns.split(" --")[0].split()} - {"mine"}
    assert [n for n in named if find_scenario(n)[0] is None] == []


def test_two_commands_set_up_a_fresh_machine() -> None:
    """One installs and runs the main job, one runs the tests; there is no third step."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert [b.strip().count("\n") for b in blocks] == [0, 0]
    run, tests = blocks
    assert run.startswith("python3 -m venv .venv && ")
    assert "llamasim run scenarios/cluster.yaml" in run
    assert "pytest" in tests


def test_the_checks_run_the_tests_as_the_readme_says() -> None:
    """Who follows the README sees what the checks see."""
    command = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[1].strip()
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_rule_file_of_the_guide_is_the_shipped_one() -> None:
    """What a reader copies was checked and tested."""
    text = (ROOT / "docs" / "techniques.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```rules\n(.*?)```", text, re.DOTALL)
    assert shown == (SCENARIOS / "custom-rule" / "cache.rules").read_text(encoding="utf-8")
