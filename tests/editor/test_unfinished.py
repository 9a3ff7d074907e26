"""Text that is being written never disturbs: everything has an answer, soon."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.editor.files import HERE, RULES, opened

from llamasim.editor import (
    complete,
    definition,
    findings,
    formatted,
    hover,
    outline,
    references,
    rename,
)

_SMALL = [p.read_text(encoding="utf-8") for p in RULES if p.stat().st_size < 2500]
_JUNK = ("{", "}", "(", '"', "\n", "model ", "on ", "technique x {", "= =", "..", "///", "#", "*",
         "ä", "😀", "\r\n", "\t", "given\n model", "overlap gath", "param", ".")


@st.composite
def unfinished(draw: st.DrawFn) -> str:
    """Return a shipped file with parts cut out, junk put in, and perhaps no end."""
    text = draw(st.sampled_from(_SMALL))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(st.sampled_from(_JUNK)) + text[start + draw(st.integers(0, 9)) :]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@settings(max_examples=60, deadline=None)
@given(unfinished(), st.randoms(use_true_random=False))
@example("edition 2026\nmodule m\ntechnique t {\n overlap gath\n}\n", random.Random(0))
@example("edition 2026\nmodule m\ntest \"x\" {\n given\n model", random.Random(0))
def test_every_question_has_an_answer_at_every_place(text: str, chosen: random.Random) -> None:
    document = opened(text)
    outline(document)
    formatted(document)
    findings(document)
    for _ in range(3):
        line, column = chosen.randint(0, text.count("\n") + 2), chosen.randint(0, 90)
        for question in (hover, definition, references, complete):
            question(document, line, column)
        rename(document, line, column, "renamed")


def test_hostile_texts_end_soon() -> None:
    """Deep nesting, long lines, many errors: caps hold, and no stack overflows."""
    head = "edition 2026\nmodule m\n"
    for body in (f"const x: Int = {'(' * 20_000}", "technique t {" * 3000, "= " * 20_000,
                 "on " * 20_000, '"' * 20_000, f"const x: Int = {'1 + ' * 8000}1"):
        document = opened(head + body)
        assert document.path == HERE
        outline(document)
        complete(document, 3, len(body))
        hover(document, 3, 20)
        references(document, 3, 7)
