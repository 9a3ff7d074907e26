"""Text to syntax tree."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llamasim import __version__
from llamasim.assets import grammar_path
from llamasim.diagnostics import Diagnostic, Label, Source, Span
from llamasim.language.ast import Module
from llamasim.language.caps import MOST_BYTES, MOST_WORDS

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

    from llamasim.language.recover import Recovery

_WORDS = re.compile(r'#[^\n]*|///[^\n]*|"[^"\n]*"|[\w*]+|[^\w\s]')


class _WholeWords:
    """Has the lexer always try names, so that a keyword never matches part of a longer word."""

    always_accept = ("NAME",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Return the tokens as they are."""
        return stream


#: How Lark is told to read the grammar; strict mode is a test of its own.
OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "parser": "lalr",
        "lexer": "contextual",
        "propagate_positions": True,
        "maybe_placeholders": True,
        "postlex": _WholeWords(),
    }
)


@cache
def lark_parser() -> Lark:
    """Return the parser, from tables made at installation or kept in the user's cache folder."""
    from lark import Lark

    grammar = grammar_path().read_text(encoding="utf-8")
    return Lark(grammar, cache=_tables_file(grammar) or False, **OPTIONS)


def write_tables(folder: Path) -> Path:
    """Write the parser's tables for this Python and this Lark into a folder; return the file."""
    from lark import Lark

    grammar = grammar_path().read_text(encoding="utf-8")
    path = folder / _tables_name(grammar)
    Lark(grammar, cache=str(path), **OPTIONS)
    return path


def _tables_name(grammar: str) -> str:
    import lark

    made_by = f"{__version__} {lark.__version__} {sys.version_info[:2]}"
    return f"rules-{hashlib.sha256(f'{made_by} {grammar}'.encode()).hexdigest()[:16]}.tables"


def _tables_file(grammar: str) -> str | None:
    name = _tables_name(grammar)
    shipped = grammar_path().with_name(name)
    if shipped.is_file():
        return str(shipped)
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("llamasim", ensure_exists=True)
    except OSError:
        return None
    return str(folder / name)


def parse(source: Source) -> tuple[Module | None, list[Diagnostic]]:
    """Parse a rule file; a module comes back where enough of it could be understood."""
    if len(source.text) > MOST_BYTES:
        return None, [too_large(start_of(source), "this file is larger than 1 MiB")]
    if (at := _one_word_too_many(source.text)) is not None:
        message = f"this file has more than {MOST_WORDS:,} words and signs"
        return None, [too_large(_place(source, at), message)]
    from llamasim.language.build import Builder, TooLarge

    tree, diagnostics = _tree_of(source)
    if tree is None:
        return None, diagnostics
    try:
        return Builder(source).module(tree), diagnostics
    except TooLarge as error:
        return None, [*diagnostics, too_large(error.span, error.message)]


def _tree_of(source: Source) -> tuple[Tree[Token] | None, list[Diagnostic]]:
    from lark.exceptions import UnexpectedInput

    recovery: list[Recovery] = []

    def on_error(error: UnexpectedInput) -> bool:
        if not recovery:  # most files are sound and need none of it
            from llamasim.language.recover import Recovery

            recovery.append(Recovery(source))
        return recovery[0].on_error(error)

    try:
        tree = lark_parser().parse(source.text, on_error=on_error)
    except UnexpectedInput as error:
        return recovery[0].finish(error), recovery[0].diagnostics
    return tree, recovery[0].diagnostics if recovery else []


def _one_word_too_many(text: str) -> int | None:
    """Return where a text exceeds the cap on words and signs, if it does."""
    if len(text) <= MOST_WORDS:
        return None
    words = (m.start() for m in _WORDS.finditer(text))
    return next(islice(words, MOST_WORDS, None), None)


def _place(source: Source, at: int) -> Span:
    line = source.text.count("\n", 0, at) + 1
    column = at - source.text.rfind("\n", 0, at)
    return Span(source, line, column, line, column + 1)


def start_of(source: Source) -> Span:
    """Return the first character of a source."""
    return Span(source, 1, 1, 1, 2)


def too_large(span: Span, message: str) -> Diagnostic:
    """Return the finding that a file exceeds a cap."""
    return Diagnostic(
        "E0107", message, (Label(span),),
        why="rule files are bounded, so that checking any of them ends quickly",
        help=("split it into several rule files, or name a part of it with `let`",),
    )
