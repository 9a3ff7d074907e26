"""Every `test` block of the shipped rules holds; their expectations are derived by hand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from llamasim.assets import rules_dir
from llamasim.diagnostics import Source, render
from llamasim.language import parse
from llamasim.study.ruletests import run_tests

FILES = sorted(rules_dir().rglob("*.rules"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_blocks_hold(path: Path) -> None:
    """All expectations of a rule file hold."""
    module, said = parse(Source(path.name, path.read_text()))
    assert module is not None, render(said)
    outcomes = run_tests(module, ())
    assert outcomes, "a rule file needs at least one test"
    failed = [f"{o.title}: got {o.actual}\n{render(list(o.diagnostics))}" for o in outcomes
              if not o.passed]
    assert not failed, "\n".join(failed)
