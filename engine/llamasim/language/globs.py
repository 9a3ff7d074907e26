"""Patterns of element names: `*.attn.q`, `layers.3.*`, `layers.*.mlp.*`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

#: More stars than this match nothing, and the checker refuses them.
MOST_STARS = 6


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(pattern_of([re.escape(p) for p in re.split(r"\*+", glob)]))


def pattern_of(parts: Sequence[str]) -> str:
    """Return a regular expression of parts with a star between each two.

    The nearest place of a part is as good as any later one, so none is ever tried again, and
    matching takes no longer than the name is.
    """
    first, *inner = parts
    if not inner:
        return first
    return first + "".join(f"(?>.+?{p})" for p in inner[:-1]) + ".+" + inner[-1]


@lru_cache(maxsize=65536)
def glob_matches(glob: str, name: str) -> bool:
    """Whether a name is within a pattern; `*` stands for one or more characters or segments."""
    if "*" not in glob:
        return glob == name
    if glob.count("*") > MOST_STARS:
        return False
    return _pattern(glob).fullmatch(name) is not None
