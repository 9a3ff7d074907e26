"""Reads a rule file word by word; every word keeps what the parser had read before it.

A file that is being written is unfinished most of the time. Where the text does not fit, what is
begun is finished or dropped, open blocks are closed before a word that begins a statement outside
them, and reading goes on; so the rest of the file still has its meaning. Nothing is reported here:
findings come from the language's own parser.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import attrs
from lark import Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput

from llamasim.diagnostics import Source, Span
from llamasim.editor.tables import Slot, tables
from llamasim.language.ast import Module
from llamasim.language.build import Builder, TooLarge
from llamasim.language.caps import MOST_BYTES
from llamasim.language.follow import Parser, accepted, fits
from llamasim.language.keywords import KEYWORDS, STATEMENTS
from llamasim.language.parser import lark_parser

#: A stack deeper than this is of no help to a reader, and costs memory for every word.
_MOST_STATES = 300
_MOST_ERRORS = 100
#: Words looked at in search of where to go on, in all.
_MOST_SKIPPED = 100_000
_OPENINGS = frozenset(KEYWORDS[w] for w in STATEMENTS)
#: What may follow a word that is an attribute or a call, and not a statement.
_NOT_A_STATEMENT = re.compile(r"[ \t]*[.(,]")


@attrs.frozen
class Word:
    """One token of a file.

    Attributes:
        kind: the grammar's name of it (`NAME`, `GLOB`, `SHARD`).
        start, end: where it stands in the text, from 0.
        states, values: the parser's stack before it.

    """

    kind: str
    text: str
    span: Span
    start: int
    end: int
    states: tuple[int, ...] = attrs.field(repr=False)
    values: tuple[Any, ...] = attrs.field(repr=False)

    def chain(self) -> list[Slot]:
        """Return the rules of the grammar that the word stands in, the innermost first."""
        return tables().chain(self.states, self.values, self.kind) if self.states else []


@attrs.frozen
class Point:
    """What the parser expects behind a text."""

    accepted: frozenset[str]
    states: tuple[int, ...] = attrs.field(repr=False)
    values: tuple[Any, ...] = attrs.field(repr=False)

    def chain(self, kind: str) -> list[Slot]:
        """Return the rules of the grammar that a word of this kind would stand in."""
        return tables().chain(self.states, self.values, kind)


def read_words(source: Source) -> tuple[tuple[Word, ...], Module | None]:
    """Return the words of a file, and the module that they make, if there is any."""
    if len(source.text) > MOST_BYTES:
        return (), None
    reader = _Reader(source, lark_parser().parse_interactive(source.text))
    reader.run()
    tree = reader.close()
    if tree is None:
        return tuple(reader.words), None
    try:
        return tuple(reader.words), Builder(source).module(tree)
    except TooLarge:
        return tuple(reader.words), None


def read_point(source: Source, fresh: bool = False) -> Point | None:
    """Return what may follow a text; None within a remark or a text in quotes.

    `fresh` asks for what may follow once an unfinished statement is given up.
    """
    if len(source.text) > MOST_BYTES or _inside_prose(source.text):
        return None
    reader = _Reader(source, lark_parser().parse_interactive(source.text))
    reader.run()
    state = reader.parser.parser_state
    while fresh and not _OPENINGS & accepted(reader.parser) and len(state.state_stack) > 1:
        _pop(reader.parser)
    if len(state.state_stack) > _MOST_STATES:
        return None
    return Point(
        frozenset(accepted(reader.parser)), tuple(state.state_stack), tuple(state.value_stack)
    )


@cache
def terminal(name: str) -> str:
    """Return the regular expression of a terminal of the grammar."""
    return str(lark_parser().get_terminal(name).pattern.to_regexp())


@cache
def pieces() -> re.Pattern[str]:
    """Return the pattern of texts, remarks, names and braces of the language."""
    parts = [*(f"(?P<{n}>{terminal(n)})" for n in ("STRING", "DOC", "COMMENT", "NAME")),
             r"(?P<OPEN>\{)", r"(?P<CLOSE>\})"]
    return re.compile("|".join(parts))


def _inside_prose(text: str) -> bool:
    """Whether the end of a text lies in a remark, a description or open quotes."""
    line = text[text.rfind("\n") + 1 :]
    end, last = 0, ""
    for match in pieces().finditer(line):
        end, last = match.end(), match.lastgroup or ""
    if last in ("DOC", "COMMENT"):
        return True
    return '"' in line[end:] or line.endswith("//")


@attrs.define
class _Reader:
    """One pass over a text."""

    source: Source
    parser: Parser
    words: list[Word] = attrs.field(factory=list)
    errors: int = 0
    skipped: int = 0

    def run(self) -> None:
        """Feed the parser all of the text that fits."""
        while self.errors < _MOST_ERRORS:
            try:
                for token in self.parser.lexer_thread.lex(self.parser.parser_state):
                    self._take(token)
                return
            except UnexpectedInput as error:
                self.errors += 1
                self._skip(error)

    def _take(self, token: Token) -> None:
        if token.type == "NAME" and self._begins(str(token), token.start_pos or 0):
            keyword = Token.new_borrow_pos(KEYWORDS[str(token)], str(token), token)
            if self._resume(keyword):
                return
        self._keep(token)
        try:
            self.parser.feed_token(token)
        except UnexpectedInput:
            self.words.pop()
            raise

    def _keep(self, token: Token) -> None:
        state = self.parser.parser_state
        known = len(state.state_stack) <= _MOST_STATES
        start, line, column = token.start_pos or 0, token.line or 1, token.column or 1
        self.words.append(Word(
            token.type, str(token),
            Span(self.source, line, column, line, column + len(token)),
            start, start + len(token),
            tuple(state.state_stack) if known else (), tuple(state.value_stack) if known else (),
        ))

    def _begins(self, word: str, start: int) -> bool:
        """Whether a word is a statement's keyword at the beginning of a line."""
        text = self.source.text
        if word not in STATEMENTS or _NOT_A_STATEMENT.match(text, start + len(word)):
            return False
        while start and text[start - 1] in " \t}":
            start -= 1
        return not start or text[start - 1] == "\n"

    def _resume(self, token: Token) -> bool:
        """Finish or drop what is begun, and close blocks, until a token fits; then take it."""
        probe = self.parser.copy(deepcopy_values=False)
        if not _settle(probe, token.type):
            return False
        state = self.parser.parser_state
        state.state_stack[:] = probe.parser_state.state_stack
        state.value_stack[:] = probe.parser_state.value_stack
        self._keep(token)
        self.parser.feed_token(token)
        return True

    def _skip(self, error: UnexpectedInput) -> None:
        """Go on behind the next word that begins a statement, or behind what does not fit."""
        counter = self.parser.lexer_thread.state.line_ctr
        token = getattr(error, "token", None)
        start = counter.char_pos if token is None else token.start_pos or 0
        if isinstance(error, UnexpectedCharacters):
            self._forward(start + 1)
            start += 1
        depth = 0
        for match in pieces().finditer(self.source.text, start):
            self.skipped += 1
            if self.skipped > _MOST_SKIPPED:
                return
            kind = match.lastgroup
            depth += kind == "OPEN"
            closes = kind == "CLOSE" and not depth
            depth -= kind == "CLOSE" and depth > 0
            if closes or (kind == "NAME" and self._begins(match.group(), match.start())):
                word = "RBRACE" if closes else KEYWORDS[match.group()]
                if self._resume(self._token(word, match)):
                    self._forward(match.end())
                    return

    def _token(self, kind: str, match: re.Match[str]) -> Token:
        text, start = self.source.text, match.start()
        line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        return Token(kind, match.group(), start, line, column, line,
                     column + len(match.group()), match.end())

    def _forward(self, to: int) -> None:
        counter = self.parser.lexer_thread.state.line_ctr
        if to > counter.char_pos:
            # Lark's lexer counts lines by what it is fed.
            counter.feed(self.source.text[counter.char_pos : to])

    def close(self) -> Tree[Token] | None:
        """Return the tree of all that was understood."""
        if len(self.parser.parser_state.state_stack) > _MOST_STATES:
            return None
        if not _settle(self.parser, "$END"):
            return None
        tree = self.parser.feed_token(Token("$END", ""))
        return tree if isinstance(tree, Tree) else None


def _settle(parser: Parser, terminal: str) -> bool:
    """Finish or drop what is begun, and close blocks, until a terminal fits; False if none does."""
    stack = parser.parser_state.state_stack
    least = len(stack) + 2
    while not fits(parser, terminal):
        if fits(parser, "RBRACE"):
            parser.feed_token(Token("RBRACE", "}"))
            if len(stack) < least:
                least = len(stack)
                continue
            _pop(parser)  # a block that was already closed in vain
        if len(stack) <= 1:
            return False
        _pop(parser)
    return True


def _pop(parser: Parser) -> None:
    parser.parser_state.state_stack.pop()
    parser.parser_state.value_stack.pop()
