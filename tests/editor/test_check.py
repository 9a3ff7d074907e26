"""Findings as a file is written, its layout and its outline."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command_line import call
from tests.editor.files import HEAD, ROOT, RULES, opened

from llamasim.editor import findings, formatted, open_document, outline, scenario_findings
from llamasim.editor.check import is_scenario

MISTAKES = sorted((ROOT / "tests" / "errors" / "rules").glob("*.rules"))
SCENARIOS = sorted((ROOT / "scenarios").rglob("*.yaml"))
WRONG = sorted((ROOT / "tests" / "errors" / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("path", MISTAKES, ids=lambda p: p.stem)
def test_an_editor_finds_what_check_finds(path: Path) -> None:
    """The same codes at the same places as `llamasim check`, without the file being saved."""
    said = call("check", str(path), "--json").json["diagnostics"]
    text = path.read_text(encoding="utf-8-sig")
    found = findings(open_document(text, path))
    assert [(d.code, d.message) for d in found] == [(d["code"], d["message"]) for d in said]
    lines = [d.labels[0].span.line for d in found if d.labels]
    assert lines == [d["labels"][0]["line"] for d in said if d["labels"]]


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_shipped_files_have_no_findings(path: Path) -> None:
    document = open_document(path.read_text(encoding="utf-8"), path)
    assert [d.message for d in findings(document)] == []


def test_the_text_counts_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.rules"
    path.write_text("edition 2026\nmodule a\n")
    found = findings(open_document("edition 2026\nmodule a\ntechnique t { drop }\n", path))
    assert [d.code for d in found] == ["E0104"]


def test_further_folders_hold_imports(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.rules").write_text("edition 2026\nmodule b\n")
    text, path = "edition 2026\nmodule a\nimport b\n", tmp_path / "a.rules"
    assert [d.code for d in findings(open_document(text, path))] == ["E0220"]
    assert findings(open_document(text, path, [tmp_path / "more"])) == []


def test_formatting_replaces_the_whole_text() -> None:
    text = f"{HEAD}technique   t {{\n param  n:Int=1 # how many\n requires n>0 }}"
    (edit,) = formatted(opened(text))
    assert "  param n: Int = 1  # how many\n  requires n > 0\n}\n" in edit.text
    assert (edit.span.line, edit.span.column) == (1, 1)
    assert edit.span.end_line == text.count("\n") + 1
    assert formatted(opened(edit.text)) == ()


def test_a_file_with_a_mistake_keeps_its_layout() -> None:
    assert formatted(opened(f"{HEAD}technique   t {{ param = }}")) == ()


def test_the_outline_has_declarations_and_members() -> None:
    text = (f"{HEAD}const c: Int = 1\ntechnique t {{\n  param n: Int = c\n"
            '  on weight of *.attn.q {{ }}\n}}\ntest "it" {{ }}\n').replace("{{", "{").replace(
                "}}", "}")
    found = outline(opened(text))
    assert [(s.kind, s.name) for s in found] == [
        ("source", "book"), ("constant", "c"), ("technique", "t"), ("test", "it")]
    assert [(s.kind, s.name) for s in found[2].children] == [
        ("parameter", "n"), ("rule", "on weight of *.attn.q")]
    assert found[2].name_span.text == "t"
    for symbol in (*found, *found[2].children):
        assert symbol.span.line <= symbol.name_span.line <= symbol.span.end_line


def test_an_unfinished_file_has_an_outline() -> None:
    text = (f"{HEAD}technique t {{\n  param a: Int =\n  param b: Int = 1\n  on weight {{\n"
            "technique u {")
    found = outline(opened(text))
    assert [s.name for s in found] == ["book", "t", "u"]
    assert [s.name for s in found[1].children] == ["a", "b", "on weight"]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_shipped_scenarios_have_no_findings(path: Path) -> None:
    assert scenario_findings(path.read_text(encoding="utf-8"), path) == []


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_scenarios_are_read_as_check_reads_them(path: Path) -> None:
    """What `check` says of the fields of a scenario is said of its text."""
    text = path.read_bytes().decode("utf-8-sig", "replace")
    wanted = call("check", str(path), "--json").json["diagnostics"] if is_scenario(text) else []
    found = scenario_findings(text, path)
    assert [d.message for d in found if d.code.startswith("E05")] == [
        d["message"] for d in wanted if d["code"].startswith("E05")]


def test_a_scenarios_techniques_and_parameters_are_known() -> None:
    path = ROOT / "scenarios" / "cluster.yaml"
    text = path.read_text(encoding="utf-8")
    wrong = text.replace("tensor_parallel:", "tensor_paralel:", 1)
    assert [d.code for d in scenario_findings(wrong, path)] == ["E0221"]
    wrong = text.replace("{degree:", "{degre:", 1)
    assert [d.code for d in scenario_findings(wrong, path)] == ["E0230"]


def test_other_yaml_is_left_alone() -> None:
    path = ROOT / "compose.yaml"
    assert scenario_findings("services: {}\n", path) == []
    assert scenario_findings("edition: 3\nname: x\n", path) == []
