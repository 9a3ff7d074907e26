"""Where names are declared, and renaming them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.editor.files import HEAD, ROOT, RULES, marked, opened, place, within

from llamasim.diagnostics import Span
from llamasim.editor import (
    CannotRename,
    Document,
    Edit,
    definition,
    findings,
    open_document,
    references,
    rename,
    renamed_span,
)
from llamasim.editor.roles import Mention, mentions

FILE = f"""{HEAD}
const group: Int = 64
fn half(x: Data, group_: Int): Data = x / group_

technique mine {{
  param ways: Int in 1..8 = 2
  param draft: Model
  let double = ways * group
  requires draft.vocab == model.vocab and double > 1
  on weight of {{*.attn.q, draft.layers.*}} where ways > 1 {{
    add half(16 bit, ways) / group to numerics.bits_overhead
  }}
  claim loss_delta: 0..0 from book
}}
technique other {{
  param ways: Int = 1
  requires ways == 1
}}
test "it works" {{
  given model llama_3_1_8b, use mine(ways: 3), use quantization.mine.other(ways: 1)
  expect ways == 1
}}
"""


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits made."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda e: (e.span.line, e.span.column), reverse=True):
        line = lines[edit.span.line - 1]
        lines[edit.span.line - 1] = (
            line[: edit.span.column - 1] + edit.text + line[edit.span.end_column - 1 :])
    return "\n".join(lines)


def renamed(words: str, new: str, nth: int = 1, text: str = FILE) -> str:
    """Return a file with what stands at some words renamed."""
    found = rename(opened(text), *place(text, words, nth), new)
    assert not isinstance(found, CannotRename), found.why
    return applied(text, found)


def refused(words: str, new: str, nth: int = 1, text: str = FILE) -> str:
    """Return why something is not renamed."""
    found = rename(opened(text), *place(text, words, nth), new)
    assert isinstance(found, CannotRename)
    return found.why


def at(document: Document, words: str, nth: int = 1) -> Span | None:
    found = definition(document, *place(document.source.text, words, nth))
    return found.span if found else None


@pytest.mark.parametrize(
    ("words", "nth", "line"),
    [("ways * group", 1, "param ways"), ("group\n", 1, "const group"), ("half(16", 1, "fn half"),
     ("double > 1", 1, "let double"), ("draft.vocab", 1, "param draft"),
     ("book\n}", 1, "source book"), ("x / group_", 1, "fn half"),
     ("mine(ways", 1, "technique mine"),
     ("ways: 3", 1, "param ways"), ("quantization.mine.other", 1, "technique other"),
     ("draft.layers", 1, "param draft")],
)
def test_a_name_leads_to_its_declaration(words: str, nth: int, line: str) -> None:
    document = opened(FILE)
    span = at(document, words, nth)
    assert span is not None
    assert document.source.line(span.line).strip().startswith(line)


def test_the_same_name_in_two_techniques_is_two_parameters() -> None:
    document = opened(FILE)
    first, second = at(document, "ways: 3"), at(document, "ways: 1")
    assert first is not None
    assert second is not None
    assert first.line < second.line


def test_techniques_axes_and_modules_lead_to_other_files() -> None:
    tensor = ROOT / "rules" / "parallelism" / "tensor.rules"
    for body, text in (("conflicts with par.tensor_par|allel", "tensor_parallel"),
                       ("on weight { shard dim_in over t|p }", "tp")):
        found = definition(*within(body))
        assert found is not None
        assert found.path == tensor
        assert found.span is not None
        assert found.span.text == text
    found = definition(*marked(HEAD.replace("parallelism.tensor", "parallelism.ten|sor")))
    assert found is not None
    assert (found.path, found.span) == (tensor, None)


def test_unsaved_texts_of_other_files_count(tmp_path: Path) -> None:
    """What another window shows is newer than what lies on the disk."""
    (tmp_path / "a.rules").write_text("edition 2026\nmodule a\n")
    path = tmp_path / "b.rules"
    text = "edition 2026\nmodule b\nimport a\ntechnique t { conflicts with a.u }\n"
    other = "edition 2026\nmodule a\n\ntechnique u { }\n"
    texts = {(tmp_path / "a.rules").resolve(): other}
    document = open_document(text, path, (), texts)
    found = definition(document, *place(text, "a.u"))
    assert found is not None
    assert found.span is not None
    assert found.span.line == 4
    assert findings(document) == []
    assert [d.code for d in findings(open_document(text, path))] == ["E0221"]


def test_what_the_language_declares_leads_nowhere() -> None:
    document = opened(FILE)
    assert at(document, "model.vocab") is None
    assert at(document, "numerics.bits_overhead") is None
    assert at(document, "16 bit") is None


def test_references_are_all_places_of_one_declaration() -> None:
    document = opened(FILE)
    found = references(document, *place(FILE, "ways: 3"))
    assert len(found) == 5
    assert {s.text for s in found} == {"ways"}


def test_a_parameter_is_renamed_with_its_rules_and_its_tests() -> None:
    text = renamed("ways: Int in", "degree")
    assert text.count("degree") == 5
    assert "use mine(degree: 3), use quantization.mine.other(ways: 1)" in text
    assert "param ways: Int = 1\n  requires ways == 1" in text
    assert "expect ways == 1" in text


def test_a_model_is_renamed_in_paths_and_patterns() -> None:
    text = renamed("draft.vocab", "small")
    assert "param small: Model" in text
    assert "requires small.vocab == model.vocab" in text
    assert "small.layers.*" in text


def test_constants_functions_arguments_lets_and_sources_are_renamed() -> None:
    assert renamed("group: Int", "group_size").count("group_size") == 3
    assert renamed("half(16", "part").count("part(") == 2
    assert "fn half(x: Data, n: Int): Data = x / n" in renamed("group_", "n")
    assert "requires draft.vocab == model.vocab and twice > 1" in renamed("double", "twice")
    assert "from paper" in renamed("book =", "paper")


@pytest.mark.parametrize(
    ("words", "new", "why"),
    [("ways: Int", "set", "keyword"), ("ways: Int", "1a", "not a name"),
     ("ways: Int", "double", "already"), ("ways: Int", "group", "already a constant"),
     ("group: Int", "ways", "already"), ("mine {", "yours", "scenarios and other rule files"),
     ("numerics.bits", "x", "no name"), ("par.", "x", "")],
)
def test_a_name_that_would_mean_something_else_is_refused(words: str, new: str, why: str) -> None:
    text = FILE.replace("  claim", "  conflicts with par.tensor_parallel\n  claim")
    assert why in refused(words, new, text=text)


def test_a_name_that_is_used_as_a_word_is_refused() -> None:
    """Renamed to `matmul`, a parameter would take the place of the word."""
    text = FILE.replace("where ways > 1", "where ways > 1 and op.kind == matmul")
    line = place(text, "matmul")[0]
    assert f"already a word in line {line}" in refused("ways: Int", "matmul", text=text)


def test_nothing_is_renamed_where_a_mistake_hides_a_place() -> None:
    text = FILE.replace("requires draft", "requires = = ways\n  requires draft")
    line = place(text, "= = ways")[0]
    assert f"mend the mistake in line {line} first" in refused("ways: Int", "degree", text=text)


def test_mistakes_elsewhere_do_not_hinder_renaming() -> None:
    text = FILE.replace("technique other {", "technique other {\n  param = = 3")
    assert renamed("ways: Int in", "degree", text=text).count("degree") == 5


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_all_names_of_a_shipped_file_can_be_renamed(path: Path) -> None:
    """All of them to no finding, and back to the same text."""
    text = path.read_text(encoding="utf-8")
    names = [m.text for m in _own(open_document(text, path))]
    assert names
    changed = _with(open_document(text, path), [f"renamed_{k}" for k in range(len(names))])
    assert findings(changed) == []
    assert not set(re.findall(r"\bparam (\w+)", changed.source.text)) & set(names)
    assert _with(changed, names).source.text == text


def _own(document: Document) -> list[Mention]:
    """Return the declarations of a file that can be renamed."""
    return [
        m for m in mentions(document) if m.role == "declaration"
        and not isinstance(renamed_span(document, m.span.line, m.span.column), CannotRename)
    ]


def _with(document: Document, names: list[str]) -> Document:
    """Return a file whose names that can be renamed are others, in their order."""
    edits: list[Edit] = []
    for mention, name in zip(_own(document), names, strict=True):
        found = rename(document, mention.span.line, mention.span.column, name)
        assert not isinstance(found, CannotRename), found.why
        edits += found
    return open_document(applied(document.source.text, edits), document.path)
