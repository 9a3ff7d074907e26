"""Patterns of element names."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamasim.language import glob_matches
from llamasim.language.globs import MOST_STARS


@pytest.mark.parametrize(("glob", "name", "matches"), [
    ("*.attn.q", "layers.3.attn.q", True),
    ("*.attn.q", "layers.3.attn.q.bias", False),
    ("*.attn.*", "layers.3.attn.q.bias", True),
    ("layers.*", "layers.3.mlp.up", True),
    ("layers.*", "layers.3", True),
    ("layers.*", "layers", False),
    ("layers.3.*", "layers.30.attn.q", False),
    ("*.norm1", "layers.0.norm1", True),
    ("*.attn.*_norm", "layers.0.attn.q_norm", True),
    ("embed", "embed", True),
    ("embed", "embedding", False),
    ("*", "head", True),
    ("a.b", "aXb", False),
])
def test_a_star_stands_for_one_or_more_characters(glob: str, name: str, matches: bool) -> None:
    assert glob_matches(glob, name) is matches


def test_no_pattern_takes_long() -> None:
    start = time.process_time()
    glob_matches("*a*a*a*a*a*a*a*a*b", "a" * 200)
    glob_matches("*a*a*a*a*a*b", "a" * 5000)
    assert time.process_time() - start < 1


@given(st.text("ab.*", min_size=1, max_size=9), st.text("ab.", min_size=1, max_size=14))
def test_a_pattern_matches_as_the_plain_expression_does(glob: str, name: str) -> None:
    """Places of parts are tried once only, and none is missed by it."""
    plain = ".+".join(re.escape(p) for p in re.split(r"\*+", glob))
    stars = glob.count("*")
    assert glob_matches(glob, name) is (
        stars <= MOST_STARS and re.fullmatch(plain, name) is not None)
