"""Reports the syntax errors of a file, several in one run.

After an error the parser skips to the next word that can begin a statement and drops states until
that word fits; a misspelt keyword is taken as the keyword it resembles. So one mistake gives one
message, and the rest of the file is still checked.
"""

from __future__ import annotations

import re

import attrs
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from llamasim.diagnostics import Diagnostic, Source
from llamasim.language.keywords import KEYWORDS, STATEMENTS
from llamasim.language.syntax import Parser, character_error, token_error
from llamasim.units import UNITS

MOST_ERRORS = 20

_SKIP = re.compile(
    r'(?P<string>"[^"\n]*")|(?P<comment>#[^\n]*|///[^\n]*)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<open>\{)|(?P<close>\})"
)
#: What may follow a word that is an attribute or a call, and not a statement.
_NOT_A_STATEMENT = re.compile(r"[ \t]*[.(,/*+^]")


def parse_with_errors(
    parser: Lark, source: Source
) -> tuple[Tree[Token] | None, list[Diagnostic]]:
    """Parse a text that is known to have a mistake; a tree comes back where the end was reached."""
    recovery = _Recovery(source)
    try:
        return parser.parse(source.text, on_error=recovery.on_error), recovery.diagnostics
    except UnexpectedInput as error:
        return _finish(error), recovery.diagnostics


def _finish(error: UnexpectedInput) -> Tree[Token] | None:
    """Return the tree of what was understood before the parse gave up, if that is a file."""
    ip = getattr(error, "interactive_parser", None)
    if ip is None:
        return None
    end = Token("$END", "")
    while len(ip.parser_state.state_stack) > 1:
        if _fits(ip, end):
            tree = ip.feed_token(end)
            return tree if isinstance(tree, Tree) else None
        _pop(ip)
    return None


def _fits(ip: Parser, token: Token) -> bool:
    """Whether a token can follow; tried without building anything."""
    return token.type in ip.choices() and token.type in ip.accepts()


def _pop(ip: Parser) -> None:
    ip.parser_state.state_stack.pop()
    ip.parser_state.value_stack.pop()


@attrs.define
class _Recovery:
    """Decides after each error how the parse goes on."""

    source: Source
    diagnostics: list[Diagnostic] = attrs.field(factory=list)

    def on_error(self, error: UnexpectedInput) -> bool:
        """Note the error and bring the parser to where it can go on; False gives up."""
        ip: Parser = getattr(error, "interactive_parser", None)
        if len(self.diagnostics) >= MOST_ERRORS:
            return False
        if isinstance(error, UnexpectedCharacters):
            at = ip.lexer_thread.state.line_ctr.char_pos
            self.diagnostics.append(character_error(self.source, error, ip.accepts()))
            return self._resume(ip, at + 1)
        if not isinstance(error, UnexpectedToken):
            return False
        token = error.token
        if self._taken_for_a_unit(ip, token):
            return True
        diagnostic, meant = token_error(self.source, token, ip)
        self.diagnostics.append(diagnostic)
        if token.type == "$END":
            return False
        if meant is not None:
            ip.feed_token(Token.new_borrow_pos(meant, str(token), token))
            return True
        return self._resume(ip, token.start_pos or 0)

    def _taken_for_a_unit(self, ip: Parser, token: Token) -> bool:
        """Mend a misspelt keyword that stands behind a number and was read as its unit."""
        behind = ip.parser_state.value_stack[-2:]
        if [getattr(v, "type", "") for v in behind] != ["NUMBER", "NAME"] or behind[1] in UNITS:
            return False
        probe = ip.copy(deepcopy_values=False)
        _pop(probe)
        diagnostic, meant = token_error(self.source, behind[1], probe)
        if meant is None:
            return False
        keyword = Token.new_borrow_pos(meant, str(behind[1]), behind[1])
        probe.feed_token(keyword)
        if not _fits(probe, token):
            return False
        self.diagnostics.append(diagnostic)
        _pop(ip)
        ip.feed_token(keyword)
        ip.feed_token(token)
        return True

    def _resume(self, ip: Parser, start: int) -> bool:
        """Skip from `start` to a word that fits, and leave the lexer behind it."""
        text, depth, at = self.source.text, 0, start
        while match := _SKIP.search(text, at):
            at = match.end()
            kind = match.lastgroup
            if kind == "open":
                depth += 1
            elif kind == "close" and depth:
                depth -= 1
            else:
                token = self._opening(match) if not depth else None
                if token is not None and self._take(ip, token, match):
                    return True
        _forward(ip, text, len(text))
        return self._take_end(ip)

    def _opening(self, match: re.Match[str]) -> Token | None:
        """Return the token at which the parse can go on, if this is one."""
        if match.lastgroup == "close":
            return Token("RBRACE", "}")
        if match.lastgroup == "word" and self._begins(match):
            return Token(KEYWORDS[match.group()], match.group())
        return None

    def _begins(self, match: re.Match[str]) -> bool:
        """Whether a word is a statement's keyword at the beginning of a line or a block."""
        text, start = self.source.text, match.start()
        if match.group() not in STATEMENTS or _NOT_A_STATEMENT.match(text, match.end()):
            return False
        before = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
        return not before or before[-1] in "{}"

    def _take(self, ip: Parser, token: Token, match: re.Match[str]) -> bool:
        """Drop states until a token fits, and feed it; False leaves the parser as it was."""
        probe = ip.copy(deepcopy_values=False)
        drops = 0
        while not _fits(probe, token):
            if len(probe.parser_state.state_stack) <= 1:
                return False
            _pop(probe)
            drops += 1
        for _ in range(drops):
            _pop(ip)
        text = self.source.text
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        ip.feed_token(Token(
            token.type, str(token), match.start(), line, column, line,
            column + len(token), match.end(),
        ))
        _forward(ip, text, match.end())
        return True

    @staticmethod
    def _take_end(ip: Parser) -> bool:
        """At the end of the text: drop what is unfinished; the parser then sees the end."""
        end = Token("$END", "")
        while not _fits(ip, end):
            if len(ip.parser_state.state_stack) <= 1:
                return False
            _pop(ip)
        return True


def _forward(ip: Parser, text: str, to: int) -> None:
    counter = ip.lexer_thread.state.line_ctr
    if to > counter.char_pos:
        # Lark's lexer counts lines by what it is fed.
        counter.feed(text[counter.char_pos : to])
