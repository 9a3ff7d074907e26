"""The list of messages that could be better names cases that there are."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
_LINE = re.compile(r"^\| `((?:rules|scenarios|plans)/\w+)` \| .+ \| .+ \|$")


def test_each_case_that_is_listed_as_poor_exists() -> None:
    text = (HERE / "poor_errors.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    listed = [_LINE.match(line) for line in lines]
    assert listed and all(listed)
    cases = [found[1] for found in listed if found]
    assert [c for c in cases if not (HERE / f"{c}.txt").is_file()] == []
    assert len(cases) == len(set(cases))


def test_the_collection_of_mistakes_is_large() -> None:
    """Messages stay good only where somebody looks at them."""
    assert len(list(HERE.glob("*/*.txt"))) >= 250
