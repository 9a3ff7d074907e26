"""Makes a failing input small: removes ever smaller pieces while it fails alike."""

from __future__ import annotations

import time
from collections.abc import Callable


def minimise(text: str, fails: Callable[[str], bool], seconds: float = 20.0) -> str:
    """Return a short text for which `fails` still holds; lines first, then characters."""
    end = time.monotonic() + seconds
    lines = _shrink(text.splitlines(keepends=True), lambda p: fails("".join(p)), end)
    return "".join(_shrink(list("".join(lines)), lambda p: fails("".join(p)), end))


def _shrink(pieces: list[str], fails: Callable[[list[str]], bool], end: float) -> list[str]:
    size = max(1, len(pieces) // 2)
    while size and time.monotonic() < end:
        at, before = 0, len(pieces)
        while at < len(pieces) and time.monotonic() < end:
            rest = pieces[:at] + pieces[at + size :]
            if len(rest) < len(pieces) and fails(rest):
                pieces = rest
            else:
                at += size
        if size > 1 or len(pieces) == before:
            size //= 2
    return pieces
