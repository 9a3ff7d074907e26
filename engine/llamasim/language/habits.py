"""Ways out of mistakes that habits of other languages make, and the form of each statement."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import attrs
from lark import Token, Tree

from llamasim.diagnostics import Source, Span
from llamasim.language.keywords import STATEMENTS

#: How each statement is written; what may be left out is left out where it is rare.
FORMS: Mapping[str, str] = MappingProxyType(
    {
        "edition": "edition 2026",
        "module": "module FAMILY.FILE",
        "import": "import FAMILY.FILE",
        "source": 'source NAME = "TEXT"',
        "const": "const NAME: TYPE = VALUE",
        "fn": "fn NAME(ARGUMENT: TYPE): TYPE = VALUE",
        "technique": "technique NAME { ... }",
        "test": 'test "WHAT HOLDS" { ... }',
        "param": "param NAME: TYPE in LOW..HIGH = DEFAULT",
        "let": "let NAME = VALUE",
        "axis": "axis NAME size VALUE` or `axis NAME size VALUE inside AXIS",
        "model": "model NAME = PARAMETER",
        "bring": "bring weight NAME on PATTERN { dim_in: VALUE, dim_out: VALUE }` or "
                 "`bring op NAME after PATTERN { kind: KIND }",
        "requires": 'requires TEST else "WHY"',
        "advise": 'advise TEST else "WHY"',
        "conflicts": 'conflicts with TECHNIQUE because "WHY"',
        "refines": 'refines TECHNIQUE because "WHY"',
        "claim": 'claim METRIC: LOW..HIGH for "CONDITIONS" from SOURCE',
        "on": "on ELEMENT of PATTERN during PHASE, PHASE where TEST { ... }",
        "set": "set CELL = VALUE",
        "scale": "scale CELL by VALUE",
        "add": "add VALUE to CELL",
        "cap": "cap CELL at VALUE",
        "raise": "raise CELL to VALUE",
        "shard": "shard DIM over AXIS",
        "reduce": "reduce over AXIS",
        "gather": "gather over AXIS until LIFETIME",
        "exchange": "exchange AMOUNT over AXIS",
        "send": "send over AXIS",
        "rotate": "rotate over AXIS",
        "place": "place on PLACE` or `place SHARE on PLACE",
        "drop": "drop",
        "fuse": "fuse as NAME",
        "run": "run MODEL times VALUE",
        "overlap": "overlap MOVE with compute up to SHARE",
        "given": "given model NAME`, `given cluster NAME`, `given workload NAME` or "
                 "`given use TECHNIQUE(PARAMETER: VALUE)",
        "expect": "expect VALUE within LOW..HIGH",
    }
)
#: Statements that hold others in braces.
_BLOCKS = ("technique", "on", "test")
_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "if": "narrow a rule by `where TEST`, or choose a value: `if TEST then VALUE else VALUE`",
        "for": "a rule holds for all that it names: `on weight of layers.* { ... }`",
        "while": "a rule holds for all that it names: `on weight of layers.* { ... }`",
        "when": "narrow a rule by `where TEST`",
        "return": "leave it out, or write `fn NAME(X: TYPE): TYPE = VALUE`",
    }
)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_NOT_IN_NAMES = re.compile(r"\W+")


@attrs.frozen
class Habit:
    """What a mistake of habit is called, and what to write; `message` is empty where the list of
    what is expected says it as well.
    """

    help: str
    message: str = ""
    width: int = 0


def unfinished(stack: Sequence[object]) -> str | None:
    """Return the statement within which the parse stands, from what it has put together so far."""
    braces = False
    for value in reversed(stack):
        if isinstance(value, Tree) and (
            (braces and value.data in STATEMENTS)
            or str(value.data).startswith(_LISTS_OF_STATEMENTS)
        ):
            return None
        if isinstance(value, Token):
            word = str(value)
            if value.type == "LBRACE":
                braces = True
            elif word in FORMS and value.type == word.upper():
                return None if braces and word in _BLOCKS else word
    return None


_LISTS_OF_STATEMENTS = ("__technique", "__rule", "__test", "__start")


def form(statement: str | None) -> str | None:
    """Return the way out that shows how a statement is written."""
    return None if statement is None else f"write `{FORMS[statement]}`"


def end_of(stack: Sequence[object]) -> tuple[int, int] | None:
    """Return line and column behind what the parse has read."""
    for value in reversed(stack):
        if isinstance(value, Token) and value.end_line and value.end_column:
            return value.end_line, value.end_column
        meta = getattr(value, "meta", None)
        if meta is not None and not meta.empty:
            return meta.end_line, meta.end_column
    return None


def before_a_new_line(source: Source, token: Token, stack: Sequence[object]) -> Span | None:
    """Return the end of a statement that breaks off before a token on a later line."""
    end = end_of(stack)
    if end is None or end[0] >= (token.line or 1):
        return None
    line, column = end
    return Span(source, line, max(column - 1, 1), line, max(column, 2))


def habit(
    source: Source, token: Token, stack: Sequence[object], accepted: Iterable[str]
) -> Habit | None:
    """Return what a token out of place is in other languages, if it is known from there."""
    word, legal, statement = str(token), set(accepted), unfinished(stack)
    known = _sign(source, token, statement, legal)
    if known is not None:
        return known
    if word == "," and statement in ("requires", "advise"):
        return Habit("write `and`", "conditions are joined by `and`")
    if word in _STEPS and legal & {"ON", "SET"}:
        return Habit(_STEPS[word], "rules hold facts, not steps")
    if "ELSE" in legal and any(getattr(v, "type", "") == "THEN" for v in stack):
        return Habit("add `else VALUE`", "an `if` gives a value in either case")
    if legal == {"LBRACE"} and getattr(stack[-1], "type", "") == "IN":
        return Habit(f"{form(statement)}" if statement in ("axis", "add") else
                     "write `in {VALUE, VALUE}`", "`in` asks whether a value is one of several")
    if word.startswith('"') and statement == "claim" and "NAME" in legal:
        return Habit(f"add `source paper = {word}` above, and write `from paper`",
                     "a claim names a source that the file declares")
    if word.startswith('"'):
        return _without_quotes(word, statement, legal)
    if legal == {"STRING"}:
        return Habit('put `"` around the text')
    if "SET" in legal and word.isidentifier():
        return _bare_cell(source.text[token.start_pos or 0 :][:_LONGEST])
    return None


#: Letters that are looked at for a name.
_LONGEST = 80


def _sign(source: Source, token: Token, statement: str | None, legal: set[str]) -> Habit | None:
    """Return what a sign out of place is in other languages."""
    word = str(token)
    at = token.start_pos or 0
    text = source.text[at : at + 80]
    before = source.text[max(at - 1, 0) : at]
    if text[:2] in ("//", "/*") or (word == "/" and before == "/"):
        sign = text[:2] if text[:2] in ("//", "/*") else "//"
        return Habit("write a remark behind `#`, a description behind `///`",
                     f"`{sign}` begins no remark", 2 if text.startswith(sign) else 1)
    if re.match(r"[-+*/]=", text):
        verb = "scale CELL by VALUE" if text[0] in "*/" else "add VALUE to CELL"
        return Habit(f"write `{verb}`", f"there is no `{text[:2]}`", 2)
    if word == "==" and "EQUAL" in legal:
        return Habit("write `=`", "`==` compares, and a value is given here")
    if word == ":" and "EQUAL" in legal:
        return Habit("write `=`", "a value is given with `=` here")
    if statement in ("const", "param", "fn") and legal == {"COLON"}:
        return Habit(f"{form(statement)}", "a type is missing")
    if word == "=" and "COLON" in legal and "EQUAL" not in legal:
        return Habit("write `:`", "a value is given with `:` here")
    if word in ("and", "or") and "COMMA" in legal and "AND" not in legal:
        return Habit("write `,`", "names are listed with `,` here")
    if token.type == "CMP" and "AND" in legal:
        return Habit("join two comparisons by `and`: `1 <= x and x <= 8`",
                     "comparisons form no chain")
    return None


def _without_quotes(word: str, statement: str | None, legal: set[str]) -> Habit | None:
    if not legal & {"NAME", "GLOB"} or "STRING" in legal:
        return None
    bare = word.strip('"')
    if "GLOB" in legal and "NAME" not in legal:
        return Habit(f"write `{bare}`", "patterns stand without quotes")
    bare = ".".join(
        _NOT_IN_NAMES.sub("_", p)
        for p in (bare.removesuffix(".rules").split("/") if statement == "import" else [bare])
    )
    if bare and not bare[0].isdigit():
        return Habit(f"write `{bare}`", "names stand without quotes")
    return None


def _bare_cell(text: str) -> Habit | None:
    found = _DOTTED.match(text)
    if found is None or "." not in found.group():
        return None
    return Habit(f"write `set {found.group()} = ...`",
                 f"`{found.group()}` alone does nothing; a verb says what is done with it",
                 len(found.group()))
