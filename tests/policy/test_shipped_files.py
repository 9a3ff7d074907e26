"""What ships is complete: rules have sources and tests, scenarios are valid, text is tidy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.policy.source_tree import ROOT, RULES, SCENARIOS

from llamasim.diagnostics import Source
from llamasim.language import parse
from llamasim.language.ast import SourceDecl, Technique
from llamasim.language.ast import Test as RuleTest
from llamasim.scenario import read

RULE_FILES = sorted([*RULES.rglob("*.rules"), *SCENARIOS.rglob("*.rules")])
SCENARIO_FILES = sorted(SCENARIOS.rglob("*.yaml"))


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", RULE_FILES, ids=_id)
def test_a_rule_file_has_a_technique_a_source_and_a_test(path: Path) -> None:
    """A technique without a source or a test does not ship."""
    module, said = parse(Source(str(path), path.read_text(encoding="utf-8")))
    assert module is not None, [d.message for d in said]
    kinds = {type(item) for item in module.items}
    assert {Technique, SourceDecl, RuleTest} <= kinds


@pytest.mark.parametrize("path", SCENARIO_FILES, ids=_id)
def test_a_shipped_scenario_is_read_without_a_finding(path: Path) -> None:
    """Neither errors nor warnings."""
    scenario, said = read(path)
    assert scenario is not None
    assert [d.message for d in said] == []


def test_the_five_scenarios_of_the_readme_ship() -> None:
    """They are what a newcomer runs first."""
    names = {p.stem for p in SCENARIO_FILES}
    assert {"cluster", "cloud", "workstation", "laptop", "finetune"} <= names


def _tracked() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                                check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_no_tracked_text_names_a_place_of_one_machine() -> None:
    """Paths of whoever wrote a file mean nothing to who reads it."""
    private = re.compile(r"/(?:root|home/\w+|Users/\w+|work)/|/tmp/\w")
    texts = [p for p in _tracked() if p.suffix in (".py", ".md", ".toml", ".rules")
             or SCENARIOS in p.parents]
    own = Path(__file__)
    found = [p.relative_to(ROOT).as_posix() for p in texts
             if p.is_file() and p != own and private.search(p.read_text(encoding="utf-8"))]
    assert found == []
