"""Colours follow the grammar."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest
from tests.editor.files import ROOT, RULES, opened
from tests.editor.textmate_engine import scopes

from llamasim.language.keywords import KEYWORDS


def _load() -> ModuleType:
    path = ROOT / "grammar" / "textmate.py"
    spec = importlib.util.spec_from_file_location("textmate", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


textmate = _load()


@pytest.fixture(scope="module")
def shipped() -> Any:
    return json.loads(textmate.SHIPPED.read_text(encoding="utf-8"))


def test_the_shipped_file_is_the_generated_one() -> None:
    """`python grammar/textmate.py` writes it anew."""
    assert textmate.SHIPPED.read_text(encoding="utf-8") == textmate.text()


def test_its_words_are_the_keywords_each_in_one_group() -> None:
    shapes = textmate.Shapes((ROOT / "grammar" / "rules.lark").read_text(encoding="utf-8"))
    grouped = [shapes.text[w] for words in textmate.groups(shapes).values() for w in words]
    assert sorted(grouped) == sorted(KEYWORDS)


def test_another_grammar_gives_other_words() -> None:
    """A new effect is coloured as effects are, without a list of words to keep."""
    grammar = (ROOT / "grammar" / "rules.lark").read_text(encoding="utf-8")
    more = grammar.replace('drop: "drop"', 'drop: "drop" | "forget" NAME')
    shapes = textmate.Shapes(more)
    assert "forget" in {shapes.text[w] for w in textmate.groups(shapes)["effects"]}
    assert "forget" in json.dumps(textmate.generate(more))


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_words_of_shipped_files_have_their_colours(path: Any, shipped: Any) -> None:
    """What the parser takes for a keyword is coloured as one, and a text as a text."""
    document = opened(path.read_text(encoding="utf-8"), path)
    wanted = {
        "STRING": ("string",), "NUMBER": ("constant.numeric",), "GLOB": ("string", "variable"),
        **dict.fromkeys(KEYWORDS.values(), ("keyword", "constant.language")),
    }
    wrong = []
    for number, line in enumerate(document.source.text.split("\n"), 1):
        words = [w for w in document.words if w.span.line == number and w.kind in wanted]
        coloured = iter(scopes(shipped, line))
        for word in words:
            scope = next((s for text, s in coloured if text == word.text), "")
            if not scope.startswith(wanted[word.kind]) and not _as_a_name(word.text, scope):
                wrong.append((number, word.text, scope))
    assert wrong == []


def _as_a_name(text: str, scope: str) -> bool:
    """Whether a pattern is the name of one element, which looks like any name."""
    return "*" not in text and scope.startswith(("variable", "keyword", "entity"))


@pytest.mark.parametrize(
    ("line", "part", "scope"),
    [
        ("/// Doc of on.", "/// Doc of on.", "comment.line.documentation"),
        ("set a = 1 # on", "# on", "comment.line.number-sign"),
        ('else "on weight"', '"on weight"', "string.quoted.double"),
        ("technique mine {", "mine", "entity.name.type"),
        ("fn half(x: Data): Data = x", "half", "entity.name.function"),
        ("fn half(x: Data): Data = x", "x", "variable.parameter"),
        ("fn half(x: Data): Rate = x", "Rate", "storage.type"),
        ("param ways: Int in 1..8 = 2", "Int", "storage.type"),
        ("param ways: Int in 1..8 = 2", "in", "keyword.operator.word"),
        ("requires model.layers > 1", "model.layers", "variable.other.property"),
        ("requires model.layers > 1", ">", "keyword.operator"),
        ("set numerics.bits = 4 bit", "bit", "keyword.other.unit"),
        ("set x = 85 %", "%", "keyword.other.unit"),
        ("requires 3 divides ways", "divides", "keyword.operator.word"),
        ("shard dim_in over tp", "shard", "keyword.control"),
        ("shard dim_in over tp", "over", "keyword.other"),
        ("on weight of *.attn.*", "*.attn.*", "string.unquoted"),
        ("let x = max(1, 2)", "max", "support.function"),
        ("param b: Bool = true", "true", "constant.language"),
    ],
)
def test_each_kind_of_word_has_its_scope(line: str, part: str, scope: str, shipped: Any) -> None:
    assert (part, scope) in scopes(shipped, line)
