"""Reports the syntax errors of a file, several in one run.

After an error the parser skips to the next word that can begin a statement and drops states until
that word fits; a misspelt keyword is taken as the keyword it resembles. So one mistake gives one
message, and the rest of the file is still checked.
"""

from __future__ import annotations

import re

import attrs
from lark import Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from llamasim.diagnostics import Diagnostic, Source
from llamasim.language.caps import MOST_ERRORS
from llamasim.language.follow import Parser, accepted, fits
from llamasim.language.keywords import EFFECTS, ITEMS, KEYWORDS, MEMBERS, STATEMENTS
from llamasim.language.syntax import character_error, token_error
from llamasim.units import UNITS

#: Work spent on finding where to go on; what has been found till then is reported.
_MOST_PROBES = 20_000
#: Unfinished parts within one another; the deepest sound text needs a third of it.
_MOST_STATES = 1000
_MOST_INDENT = 200

_SKIP = re.compile(
    r'(?P<string>"[^"\n]*")|(?P<comment>#[^\n]*|///[^\n]*)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<open>\{)|(?P<close>\})"
)
#: What may follow a word that is an attribute or a call, and not a statement.
_NOT_A_STATEMENT = re.compile(r"[ \t]*[.(,/*+^]")


#: A word that can stand wherever another begins a statement: `on` is also part of statements.
_BESIDE = {
    **dict.fromkeys((w.upper() for w in ITEMS), "CONST"),
    **dict.fromkeys((w.upper() for w in MEMBERS), "LET"),
    **dict.fromkeys((w.upper() for w in EFFECTS), "DROP"),
}


def _too_deep(ip: Parser) -> bool:
    return len(ip.parser_state.state_stack) > _MOST_STATES


def _pop(ip: Parser) -> None:
    ip.parser_state.state_stack.pop()
    ip.parser_state.value_stack.pop()


def _probe(ip: Parser) -> Parser:
    """Return a parser to try words on; Lark adds to lists of trees in place, so they are copied."""
    probe = ip.copy(deepcopy_values=False)
    values = probe.parser_state.value_stack
    values[:] = [Tree(v.data, list(v.children), v.meta) if isinstance(v, Tree) else v
                 for v in values]
    return probe


@attrs.define
class Recovery:
    """Decides after each error how the parse goes on; a tree comes of it where the end is reached.

    It is used for one text. `diagnostics` are its findings.
    """

    source: Source
    diagnostics: list[Diagnostic] = attrs.field(factory=list)
    _probes: int = 0

    def finish(self, error: UnexpectedInput) -> Tree[Token] | None:
        """Return the tree of what was understood before the parse gave up, if that is a file."""
        ip = getattr(error, "interactive_parser", None)
        if ip is None or _too_deep(ip):
            return None
        end = Token("$END", "")
        while len(ip.parser_state.state_stack) > 1:
            if fits(ip, "$END"):
                tree = ip.feed_token(end)
                return tree if isinstance(tree, Tree) else None
            _pop(ip)
        return None

    def on_error(self, error: UnexpectedInput) -> bool:
        """Note the error and bring the parser to where it can go on; False gives up."""
        ip: Parser = getattr(error, "interactive_parser", None)
        if len(self.diagnostics) >= MOST_ERRORS or self._probes > _MOST_PROBES:
            return False
        if isinstance(error, UnexpectedCharacters):
            at = ip.lexer_thread.state.line_ctr.char_pos
            self.diagnostics.append(character_error(self.source, error, accepted(ip)))
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
        if _too_deep(ip):
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
        probe = _probe(ip)
        _pop(probe)
        diagnostic, meant = token_error(self.source, behind[1], probe)
        if meant is None:
            return False
        keyword = Token.new_borrow_pos(meant, str(behind[1]), behind[1])
        probe.feed_token(keyword)
        if not fits(probe, token.type):
            return False
        self.diagnostics.append(diagnostic)
        _pop(ip)
        ip.feed_token(keyword)
        ip.feed_token(token)
        return True

    def _resume(self, ip: Parser, start: int) -> bool:
        """Skip from `start` to a word that fits, and leave the lexer behind it."""
        text, depth, at = self.source.text, 0, start
        while self._probes <= _MOST_PROBES and (match := _SKIP.search(text, at)):
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
        before = text[max(text.rfind("\n", 0, start) + 1, start - _MOST_INDENT) : start].rstrip()
        return not before or before[-1] in "{}"

    def _take(self, ip: Parser, token: Token, match: re.Match[str]) -> bool:
        """Drop states until a token fits, and feed it; False leaves the parser as it was."""
        depth = len(ip.parser_state.state_stack)
        beside = _BESIDE.get(token.type, token.type)
        drops = next((d for d in range(depth)
                      if fits(ip, token.type, d) and fits(ip, beside, d)), depth)
        self._probes += drops + 1
        if drops == depth:
            return False
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
        while not fits(ip, "$END"):
            if len(ip.parser_state.state_stack) <= 1:
                return False
            _pop(ip)
        return True


def _forward(ip: Parser, text: str, to: int) -> None:
    counter = ip.lexer_thread.state.line_ctr
    if to > counter.char_pos:
        # Lark's lexer counts lines by what it is fed.
        counter.feed(text[counter.char_pos : to])
