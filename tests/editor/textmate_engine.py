"""As much of a TextMate engine as the shipped grammar needs: single matches, and their captures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def scopes(grammar: Mapping[str, Any], line: str) -> list[tuple[str, str]]:
    """Return the coloured parts of a line with their scopes, without the language's name."""
    return [(text, scope.rpartition(".")[0]) for text, scope in _walk(grammar["patterns"], line)]


def _walk(patterns: Sequence[Mapping[str, Any]], line: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(line):
        found = [(m, p) for p in patterns if (m := re.compile(p["match"]).search(line, at))]
        if not found:
            return
        match, pattern = min(found, key=lambda f: f[0].start())
        if "name" in pattern:
            yield match.group(), pattern["name"]
        captures = pattern.get("captures", {})
        for number in sorted(captures, key=lambda n: match.start(int(n))):
            part, capture = match.group(int(number)), captures[number]
            if "name" in capture:
                yield part, capture["name"]
            yield from _walk(capture.get("patterns", ()), part or "")
        at = max(match.end(), at + 1)
