"""The grammar itself: LALR(1) without conflicts, keywords as whole words."""

from __future__ import annotations

import re

import pytest
from lark import Lark

from llamasim.assets import grammar_path
from llamasim.diagnostics import Source
from llamasim.language import parse
from llamasim.language.ast import Let, Technique
from llamasim.language.keywords import KEYWORDS
from llamasim.language.parser import OPTIONS, lark_parser


def test_the_grammar_passes_strict_mode() -> None:
    pytest.importorskip("interegular")
    Lark(grammar_path().read_text(encoding="utf-8"), strict=True, **OPTIONS)


def test_the_list_of_keywords_is_that_of_the_grammar() -> None:
    words = {
        str(t.pattern.value): t.name for t in lark_parser().terminals
        if re.fullmatch(r"[a-z]+", str(t.pattern.value))
    }
    assert words == dict(KEYWORDS)


@pytest.mark.parametrize("line", [
    "onweight { drop }",
    "on weight ofembed { drop }",
    "on weight { gather over dp untilop_end }",
    "requires x elsewhere",
])
def test_keywords_end_at_word_boundaries(line: str) -> None:
    text = f"edition 2026\nmodule m\ntechnique t {{\n{line}\n}}\n"
    _, found = parse(Source("m", text))
    assert [d.code for d in found] in (["E0103"], ["E0104"])


def test_words_that_begin_like_keywords_are_names() -> None:
    text = "edition 2026\nmodule m\ntechnique t {\nlet toto = note_1 + index - ordinal\n}\n"
    module, found = parse(Source("m", text))
    assert not found
    assert module is not None
    technique = module.technique("t")
    assert isinstance(technique, Technique)
    member = technique.members[0]
    assert isinstance(member, Let)
    assert member.name == "toto"
