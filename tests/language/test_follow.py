"""What may follow at a point is told as the parser itself would tell it."""

from __future__ import annotations

import pytest
from lark.exceptions import UnexpectedInput
from tests.language.test_fuzz import TEXTS

from llamasim.language.follow import accepted
from llamasim.language.parser import lark_parser


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_the_same_words_follow_as_when_each_is_tried(text: str) -> None:
    """After every so many characters of the examples, whole words or not."""
    for end in range(0, len(text), 41):
        parser = lark_parser().parse_interactive(text[:end])
        try:
            parser.exhaust_lexer()
        except UnexpectedInput:
            continue
        assert accepted(parser) == parser.accepts()
