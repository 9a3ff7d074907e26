"""Whatever a file holds, `read` answers with a scenario or with findings, never an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.scenario.scenario_texts import INFERENCE, TRAINING, read_text

from llamasim.diagnostics import Diagnostic, render
from llamasim.scenario.fields import FIELDS
from llamasim.scenario.record_fields import record_fields

KEYS = sorted(
    {part for path in FIELDS for part in path.split(".")}
    | {f.key for kind in ("devices", "models", "fabrics") for f in record_fields(kind)}
    | {"distribution", "mean", "cv", "a.b.c", "a.b.c as d", "<<", ""}
)
WORDS = ["2026", "llama-3.1-8b", "h100-sxm", "vllm", "training", "inference", "8 tok", "94 GiB",
         "p5.48xlarge", "poisson", "closed", "-1", "0", "1e999", "nan", "true", "~", "*", "&a",
         "4 req/s", "50 %", "1 USD/h per node", "maximize mfu", "\x00", "é", "[", "{", "- "]
SCALARS = st.sampled_from(WORDS) | st.text(max_size=8) | st.integers() | st.floats() | st.none()
TREES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)
LINES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(KEYS), st.sampled_from(WORDS)), max_size=14
)
FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def _sound(scenario: object, found: list[Diagnostic]) -> None:
    """An answer: something to run or something to mend, and a message that can be drawn."""
    assert (scenario is None) == any(d.is_error for d in found)
    render(found)
    for finding in found:
        assert finding.message
        for label in finding.labels:
            lines = label.span.source.text.splitlines() or [""]
            assert 1 <= label.span.line <= len(lines) + 1
            assert label.span.column >= 1


@FUZZ
@given(text=st.text(max_size=200))
def test_any_text(folder: Path, text: str) -> None:
    _sound(*read_text(folder, text.encode("utf-8", "ignore").decode()))


@FUZZ
@given(lines=LINES)
def test_any_lines_that_look_like_a_scenario(folder: Path, lines: list[Any]) -> None:
    text = "\n".join(" " * indent + f"{key}: {word}" for indent, key, word in lines)
    _sound(*read_text(folder, text))


@FUZZ
@given(tree=TREES)
def test_any_structure(folder: Path, tree: Any) -> None:
    _sound(*read_text(folder, yaml.safe_dump(tree, allow_unicode=True)))


@FUZZ
@given(path=st.sampled_from(sorted(FIELDS)), tree=TREES, training=st.booleans())
def test_any_value_at_any_key(folder: Path, path: str, tree: Any, training: bool) -> None:
    root = yaml.safe_load(TRAINING if training else INFERENCE)
    *parents, last = path.split(".")
    node = root
    for key in parents:
        node[key] = inner = dict(node[key]) if isinstance(node.get(key), dict) else {}
        node = inner
    node[last] = tree
    _sound(*read_text(folder, yaml.safe_dump(root, allow_unicode=True)))


@FUZZ
@given(
    path=st.lists(st.sampled_from(KEYS), min_size=1, max_size=4),
    word=st.sampled_from(WORDS) | st.text(max_size=8),
)
def test_any_change_from_the_command_line(folder: Path, path: list[str], word: str) -> None:
    _sound(*read_text(folder, INFERENCE, (f"{'.'.join(path)}={word}",)))
