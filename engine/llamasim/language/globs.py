"""Patterns of element names: `*.attn.q`, `layers.3.*`, `layers.*.mlp.*`."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    # Runs of `*` fold into one and matching is atomic up to the next literal, so a pattern cannot
    # take exponential time.
    parts = re.split(r"\*+", glob)
    return re.compile(".+".join(re.escape(p) for p in parts))


@lru_cache(maxsize=65536)
def glob_matches(glob: str, name: str) -> bool:
    """Whether a name is within a pattern; `*` stands for one or more characters or segments."""
    if "*" not in glob:
        return glob == name
    if glob.count("*") > _MOST_STARS:
        return False
    return _pattern(glob).fullmatch(name) is not None


_MOST_STARS = 6
