"""Applies what a message tells a user to write, at the place that it underlines."""

from __future__ import annotations

import re

from llamasim.diagnostics import Diagnostic

_PASTE = re.compile(r"(?:did you mean|write) `([^`]+)`(?: or `[^`]+`)?(?: or so)?\??")
#: What stands for something that only the user knows.
_PLACEHOLDER = re.compile(r"\b[A-Z]{3,}\b|\.\.\.(?!\*)")
#: Words that hold units and other names.
_UNIT = re.compile(r"[A-Za-z%]+$")
_STATEMENTS = ("set", "scale", "add", "cap", "raise", "edition")


def pasted(finding: Diagnostic) -> str | None:
    """Return the text that the first help line gives to paste, if it gives any."""
    found = _PASTE.fullmatch(finding.help[0].replace("\n", " ")) if finding.help else None
    if found is None or (_PLACEHOLDER.search(found[1]) and finding.code != "E0203"):
        return None
    return found[1]


def mended(text: str, finding: Diagnostic) -> str | None:
    """Return a file with the pasted text in place of what the finding underlines; None where the
    message gives none, or where it belongs elsewhere.
    """
    new = pasted(finding)
    span = next((label.span for label in finding.labels if label.primary), None)
    if new is None or span is None or span.line != span.end_line:
        return None
    lines = text.split("\n")
    line = lines[span.line - 1]
    old = line[span.column - 1 : span.end_column - 1]
    key, colon, value = new.partition(": ")
    if finding.code in ("E0203", "E0508") and finding.help[0].startswith("did"):
        new = _UNIT.sub(new, old)
    elif colon and line[: span.column - 1].rstrip(" ").endswith(f"{key}:"):
        new = value
    elif len(old.split()) > 1 and new.split()[0] in _STATEMENTS:
        return None  # a part of the statement is underlined, and the form of all of it is told
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return "\n".join(lines)
