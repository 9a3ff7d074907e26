"""Patterns of element names."""

from __future__ import annotations

import time

import pytest

from llamasim.language import glob_matches


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
    start = time.perf_counter()
    glob_matches("*a*a*a*a*a*a*a*a*b", "a" * 200)
    glob_matches("*a*a*a*a*a*b", "a" * 60)
    assert time.perf_counter() - start < 5
