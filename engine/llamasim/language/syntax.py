"""Messages about text that the grammar does not allow."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lark import Token
from lark.exceptions import UnexpectedCharacters

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest
from llamasim.language.follow import Parser
from llamasim.language.follow import accepted as can_follow
from llamasim.language.habits import before_a_new_line, form, habit, unfinished
from llamasim.language.keywords import EFFECTS, ITEMS, KEYWORDS, MEMBERS, STATEMENTS
from llamasim.units import UNITS

_WORDS = {t: w for w, t in KEYWORDS.items()}

_GROUPS = (
    (frozenset(w.upper() for w in EFFECTS), "another effect"),
    (frozenset(w.upper() for w in MEMBERS), "another member of the technique"),
    (frozenset(w.upper() for w in ITEMS), "another declaration"),
    (frozenset(("PLUS", "MINUS", "STAR", "SLASH", "CIRCUMFLEX", "CMP", "AND", "OR", "DIVIDES")),
     "an operator"),
    (frozenset(("NUMBER", "NAME", "IF", "NOT", "MINUS", "LPAR", "TRUE", "FALSE")), "a value"),
    (frozenset(("NUMBER", "NAME", "NOT", "MINUS", "LPAR", "TRUE", "FALSE")), "a value"),
    (frozenset(("NUMBER", "NAME", "MINUS", "LPAR", "TRUE", "FALSE")), "a value"),
)
_SIGNS = {
    "LBRACE": "`{`", "RBRACE": "`}`", "LPAR": "`(`", "RPAR": "`)`", "COLON": "`:`",
    "COMMA": "`,`", "EQUAL": "`=`", "DOT": "`.`", "PERCENT": "`%`", "PLUS": "`+`", "MINUS": "`-`",
    "STAR": "`*`", "SLASH": "`/`", "CIRCUMFLEX": "`^`", "NAME": "a name", "NUMBER": "a number",
    "STRING": 'a text in `"`', "GLOB": "a pattern such as `*.attn.*`", "CMP": "a comparison",
    "__ANON_0": "`..`", "$END": "the end of the file", "DOC": "`///`",
}


def character_error(
    source: Source, error: UnexpectedCharacters, accepted: Iterable[str]
) -> Diagnostic:
    """Return the finding of a character that begins nothing."""
    line, column = max(error.line, 1), max(error.column, 1)
    text = source.line(line)
    char = text[column - 1 : column]
    if char == '"':
        span = Span(source, line, column, line, max(len(text.rstrip()) + 1, column + 1))
        return Diagnostic("E0106", "this text has no end", (Label(span, "begins here"),),
                          why="a text stays on one line", help=('put a `"` behind its last word',))
    char = char * 2 if text[column:].startswith(char) and char in "&|" else char
    span = Span(source, line, column, line, column + max(len(char), 1))
    return Diagnostic(
        "E0106", f"`{char}` has no meaning here", (Label(span, "not understood"),),
        why=f"expected {_expected(accepted)}", help=_character_help(char),
    )


def _character_help(char: str) -> tuple[str, ...]:
    ways = {
        "'": 'put texts in `"`', "/": "write a remark behind `#`, a description behind `///`",
        "!": "write `not`, or `!=`", "&": "write `and`", "|": "write `or`", ";": "leave it out",
        "&&": "write `and`", "||": "write `or`", "?": "write `if TEST then VALUE else VALUE`",
        "[": "write ranges as `1..8` and choices as `{32, 64}`", "=": "compare with `==`",
        "]": "write ranges as `1..8` and choices as `{32, 64}`", "<": "compare with `<` or `<=`",
    }
    return (ways.get(char, "remove it"),)


def token_error(
    source: Source, token: Token, ip: Parser
) -> tuple[Diagnostic, str | None]:
    """Return the finding of a word out of place, and the terminal that was probably meant."""
    accepted = can_follow(ip)
    span = _span(source, token)
    if token.type == "$END":
        return _end_error(source, accepted), None
    word = str(token)
    meant = _meant(word, accepted) if word.isidentifier() else None
    if meant is not None:
        keyword = _WORDS[meant]
        label = Label(span, f"expected {_expected(accepted)}")
        return Diagnostic("E0103", f"`{word}` is not a keyword", (label,),
                          help=(f"did you mean `{keyword}`?",)), meant
    special = _special(source, token, span, ip, accepted)
    if special is not None:
        return special, None
    return _out_of_place(source, token, span, ip, accepted), None


def _out_of_place(
    source: Source, token: Token, span: Span, ip: Parser, accepted: set[str]
) -> Diagnostic:
    """Return the finding of a word that no message of its own explains."""
    word, stack = str(token), ip.parser_state.value_stack
    statement = unfinished(stack)
    known = habit(source, token, stack, accepted)
    if known is not None:
        wide = Span(source, span.line, span.column, span.line, span.column + known.width)
        place = wide if known.width else span
        text = "" if known.message else f"found {_found(word)}"
        return Diagnostic("E0104", known.message or f"expected {_expected(accepted)}",
                          (Label(place, text),), help=(known.help,))
    label, begins = Label(span, f"found {_found(word)}"), word in STATEMENTS or word == "}"
    if statement is not None and begins and "RBRACE" not in accepted:
        end = before_a_new_line(source, token, stack)
        label = Label(end, f"`{statement}` breaks off here") if end else label
    return Diagnostic("E0104", f"expected {_expected(accepted)}", (label,),
                      help=_help(word, accepted, statement))


def _meant(word: str, accepted: Iterable[str]) -> str | None:
    """Return the accepted keyword that a word misspells."""
    words = [_WORDS[t] for t in sorted(accepted) if t in _WORDS]
    if word in words or word in KEYWORDS:
        return None
    cutoff = 0.74 if len(word) > _SHORT else 0.5
    close = [w for w in difflib.get_close_matches(word, words, n=3, cutoff=cutoff)
             if len(word) > _SHORT or (w[0] == word[0] and len(w) <= _SHORT)]
    return KEYWORDS[close[0]] if close else None


#: Words of so few letters are taken for one another only by their first letter.
_SHORT = 3


def _span(source: Source, token: Token) -> Span:
    line, column = token.line or 1, token.column or 1
    end_line, end = token.end_line or line, token.end_column or column + len(token)
    if end_line != line:
        end_line, end = line, len(source.line(line)) + 1
    return Span(source, line, column, end_line, max(end, column + 1))


def _end_error(source: Source, accepted: Iterable[str]) -> Diagnostic:
    lines = source.text.rstrip().split("\n")
    line = lines[-1].rstrip()
    span = Span(source, len(lines), max(len(line), 1), len(lines), max(len(line), 1) + 1)
    accepted = set(accepted)
    if not source.text.strip() or accepted & {"EDITION", "MODULE"}:
        missing = "`edition`" if "EDITION" in accepted else "`module`"
        return Diagnostic("E0101", f"this file ends before its {missing} line", (Label(span),),
                          help=("begin it with\nedition 2026\nmodule family.name",))
    if "RBRACE" in accepted:
        return Diagnostic("E0105", "the file ends before its last block does",
                          (Label(span, "ends here"),), help=("add `}`",))
    way = f"add {_expected(accepted)}"
    return Diagnostic("E0105", f"the file ends, and {_expected(accepted)} is still expected",
                      (Label(span, "ends here"),), help=(way,))


def _special(
    source: Source, token: Token, span: Span, ip: Parser, accepted: set[str]
) -> Diagnostic | None:
    """Return messages for mistakes that are common or that the legal set would not explain."""
    word = str(token)
    if "EDITION" in accepted:
        return Diagnostic("E0101", "a rule file begins with its edition",
                          (Label(span, f"found {_found(word)}"),),
                          help=("begin it with\nedition 2026\nmodule family.name",))
    if "MODULE" in accepted and "EDITION" not in accepted and len(accepted) == 1:
        return Diagnostic("E0101", "the second line of a rule file is its module",
                          (Label(span, f"found {_found(word)}"),),
                          help=("write `module family.name`, the path of this file",))
    before = ip.parser_state.value_stack[-1] if ip.parser_state.value_stack else None
    after_number = isinstance(before, Token) and before.type == "NUMBER"
    if after_number and word.isidentifier() and nearest(word, UNITS):
        return None
    if word in KEYWORDS and accepted == {"NAME"}:
        return Diagnostic("E0104", f"`{word}` is a keyword, and a name is expected",
                          (Label(span, "a keyword"),), help=(f"call it `{word}_` or so",))
    if word == "=" and "CMP" in accepted:
        return Diagnostic("E0104", "`=` does not compare", (Label(span),),
                          help=("write `==`",))
    return None


def _found(word: str) -> str:
    first = word.split("\n")[0]
    return f"`{first[:40]}`"


def _expected(accepted: Iterable[str]) -> str:
    """Return the legal continuations in words."""
    rest, parts = set(accepted) - {"DOC"}, []
    if "DOT" in rest and len(rest) > 1:
        rest -= {"DOT"}
    if "SLASH" in rest:  # behind a value: what could lengthen it is noise
        rest -= {"LPAR", "IN", "PERCENT"}
    for group, name in _GROUPS:
        if group <= rest:
            parts.append(name)
            rest -= group
    shown = sorted(_shown(t) for t in rest)
    words = [*shown, *parts]
    if len(words) > _MOST_WORDS:
        words = [*words[:_MOST_WORDS], "..."]
    if len(words) == 1:
        return words[0]
    return f"one of: {', '.join(words)}"


_MOST_WORDS = 7


def _shown(terminal: str) -> str:
    if terminal in _WORDS:
        return f"`{_WORDS[terminal]}`"
    return _SIGNS.get(terminal, terminal.lower())


def _help(word: str, accepted: set[str], statement: str | None) -> tuple[str, ...]:
    if "RBRACE" in accepted and word in STATEMENTS:
        return ("close the block before it with `}`",)
    way = form(statement)
    if way is None and (word in ITEMS or word in MEMBERS or word in EFFECTS):
        return (f"finish the statement before `{word}`",)
    words = [_WORDS[t] for t in accepted if t in _WORDS]
    close = nearest(word, sorted(words)) if word.isidentifier() else None
    if close:
        return (f"did you mean `{close}`?",)
    if way is not None:
        return (way,)
    if len(accepted) == 1:
        return (f"put {_expected(accepted)} before it",)
    return ("remove it, or finish the statement before it",)
