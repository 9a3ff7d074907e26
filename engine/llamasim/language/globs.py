"""Patterns of element names: `*.attn.q`, `layers.3.*`, `layers.*.mlp.*`."""

from __future__ import annotations

import re
from functools import lru_cache

#: More stars than this match nothing (and the checker refuses them): matching stays cheap.
MOST_STARS = 6


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = re.split(r"\*+", glob)
    return re.compile(".+".join(re.escape(p) for p in parts))


@lru_cache(maxsize=65536)
def glob_matches(glob: str, name: str) -> bool:
    """Whether a name is within a pattern; `*` stands for one or more characters or segments."""
    if "*" not in glob:
        return glob == name
    if glob.count("*") > MOST_STARS:
        return False
    return _pattern(glob).fullmatch(name) is not None
