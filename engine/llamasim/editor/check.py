"""What is wrong with a file that is being written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from llamasim.assets import rules_dir
from llamasim.catalog import unknown_in_tests
from llamasim.diagnostics import Diagnostic
from llamasim.editor.document import Document
from llamasim.language import bind, check_module, load, load_file
from llamasim.scenario import Scenario, read
from llamasim.scenario.nodes import MAX_BYTES

_EDITION = re.compile(r"^edition[ \t]*:", re.MULTILINE)
_SECTION = re.compile(r"^(model|cluster|workload|runtime)[ \t]*:", re.MULTILINE)


def findings(document: Document) -> list[Diagnostic]:
    """Return what `llamasim check` would say of a rule file if it were saved as it is."""
    own = document.path.resolve()
    texts = {**document.texts, own: document.source.text}
    module, program, said = load_file(
        document.path, [*document.folders, rules_dir()], texts)
    if module is None:
        return said
    return [*said, *check_module(module, program, said), *unknown_in_tests(module)]


def is_scenario(text: str) -> bool:
    """Whether a YAML text means to be a scenario: it names an edition and a part of one."""
    return bool(_EDITION.search(text) and _SECTION.search(text))


def scenario_findings(
    text: str, path: Path, folders: Sequence[Path] = ()
) -> list[Diagnostic]:
    """Return what is wrong with a scenario's fields, and with the techniques that it names.

    Whether techniques go together and fit the model is worked out by `llamasim check` alone.
    """
    if not is_scenario(text) or len(text) > MAX_BYTES:
        return []
    scenario, said = read(path, (), text)
    return said if scenario is None else said + _uses(scenario, folders)


def _uses(scenario: Scenario, folders: Sequence[Path]) -> list[Diagnostic]:
    search = [*(Path(p) for p in scenario.rule_paths), *folders, rules_dir()]
    tried = [u for c in scenario.choices for _, uses in c.options for u in uses]
    spans = {u.technique: u.span for u in (*tried, *scenario.use)}
    program, said = load(list(spans), search, spans)
    for use in scenario.use:
        found = program.technique(use.technique)
        if found is not None:
            said += bind(*found, use.args, use.arg_spans, use.span)[1]
    return said
