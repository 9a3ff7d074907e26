"""No text makes the language room raise: mistakes become findings with a place."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.language.strategies import modules
from tests.language.test_parse import EXAMPLES

from llamasim.diagnostics import Source, render, to_json
from llamasim.language import Program, check, parse
from llamasim.language.ast import Module
from llamasim.language.format import format_text
from llamasim.language.keywords import KEYWORDS

TEXTS = [p.read_text(encoding="utf-8") for p in EXAMPLES]
PIECES = [*KEYWORDS, "{", "}", "(", ")", "=", ":", ",", "..", ".", "%", "4", "0.5", "bit", "x", '"',
          "*.attn.*", "#", "///", "\n", "weight", "numerics.bits", "==", "^", "-", "@", "\t", "é"]


def run(text: str) -> None:
    """Push a text through everything; nothing may raise."""
    source = Source("f.rules", text)
    module, found = parse(source)
    if module is not None:
        found = found + check(Program({module.name: module}))
    if module is None:
        assert found
    for diagnostic in found:
        assert diagnostic.labels
        assert diagnostic.help
    assert render(found).count("\n") >= 0
    assert len(to_json(found)) == len(found)
    format_text(source)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    run(text)
    run("edition 2026\nmodule m\n" + text)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_any_sequence_of_the_language_s_words(pieces: list[str]) -> None:
    run("edition 2026\nmodule m\ntechnique t {\n" + " ".join(pieces) + "\n}\n")
    run("edition 2026\nmodule m\n" + "\n".join(pieces))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(TEXTS), st.integers(0, 2**32))
def test_any_damage_to_a_sound_file(text: str, seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(text))
        cut = draw.randrange(0, 8)
        text = text[:at] + draw.choice(["", *PIECES]) + text[at + cut:]
    run(text)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(modules)
def test_any_tree_can_be_checked(module: Module) -> None:
    for diagnostic in check(Program({module.name: module})):
        assert diagnostic.message
