"""Formatting as an edit of the whole text."""

from __future__ import annotations

import attrs

from llamasim.diagnostics import Span
from llamasim.editor.document import Document


@attrs.frozen
class Edit:
    """A part of the text and what stands there instead."""

    span: Span
    text: str


def formatted(document: Document) -> tuple[Edit, ...]:
    """Return the edit that brings a file into the one layout.

    There is none where the file has it already, or cannot be read.
    """
    from llamasim.language.format import format_text

    text, _ = format_text(document.source)
    if text is None or text == document.source.text:
        return ()
    lines = document.source.text.split("\n")
    whole = Span(document.source, 1, 1, len(lines), len(lines[-1]) + 1)
    return (Edit(whole, text),)
