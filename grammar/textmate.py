"""Writes the TextMate grammar that editors colour rule files by, from the Lark grammar alone.

`python grammar/textmate.py` writes `grammar/vscode/syntaxes/llamasim-rules.tmLanguage.json` anew;
a test holds the file equal to what this makes. Words, signs and shapes of numbers and names are the
grammar's terminals; which words begin a statement or an effect, and which stand within expressions,
follows from its rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import PatternStr

HERE = Path(__file__).resolve().parent
SHIPPED = HERE / "vscode" / "syntaxes" / "llamasim-rules.tmLanguage.json"
NAME = "llamasim-rules"
#: Scopes by which themes colour.
_SCOPES = {
    "statements": "keyword.declaration", "effects": "keyword.control", "clauses": "keyword.other",
    "operators": "keyword.operator.word", "constants": "constant.language",
}


class Shapes:
    """What the grammar says of words and signs."""

    def __init__(self, grammar: str) -> None:
        lark = Lark(grammar, parser="lalr", maybe_placeholders=True)
        self.rules: list[Rule] = lark.rules
        self.text = {t.name: t.pattern.value for t in lark.terminals}
        self.regex = {t.name: _plain(t.pattern.to_regexp()) for t in lark.terminals}
        self.words = {
            t.name for t in lark.terminals
            if isinstance(t.pattern, PatternStr) and t.pattern.value.isalpha()
        }
        self.signs = {
            t.name for t in lark.terminals
            if isinstance(t.pattern, PatternStr) and t.name not in self.words
        }

    def of(self, *origins: str) -> list[Rule]:
        """Return the alternatives of some rules."""
        return [r for r in self.rules if str(r.origin.name) in origins]

    def below(self, origin: str) -> set[str]:
        """Return a rule's name and those of rules that it can consist of alone."""
        found = {origin}
        for rule in self.of(origin):
            last = rule.expansion[-1]
            if not last.is_term and len(rule.expansion) <= 2 and last.name not in found:
                found |= self.below(str(last.name)) if last.name != origin else set()
        return found

    def first_words(self, origins: Iterable[str]) -> set[str]:
        """Return the words by which rules begin."""
        return {
            str(r.expansion[0].name) for r in self.of(*origins)
            if r.expansion and r.expansion[0].name in self.words
        }

    def in_values(self) -> set[str]:
        """Return the terminals of expressions."""
        return {str(s.name) for r in self.of(*self.values()) for s in r.expansion if s.is_term}

    def values(self) -> set[str]:
        """Return the rules of expressions: an atom, and what can consist of one alone."""
        found = {"atom"}
        while more := {
            str(r.origin.name) for r in self.rules
            if len(r.expansion) == 1 and r.expansion[0].name in found
        } - found:
            found |= more
        return found


def _plain(regex: str) -> str:
    """Return a regular expression that captures nothing and has no line break in it."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", regex).replace("\n", r"\n")


def groups(shapes: Shapes) -> dict[str, set[str]]:
    """Return the grammar's words by what they are for, each word in one group."""
    effects = shapes.first_words(shapes.below("effect"))
    statements = shapes.first_words(
        {str(r.origin.name) for r in shapes.rules} - shapes.below("effect") - shapes.values()
        - {str(r.origin.name) for r in shapes.rules if "_star_" in r.origin.name}
        - {"bring_where"})
    constants = {str(r.expansion[0].name) for r in shapes.of("atom")
                 if len(r.expansion) == 1 and r.expansion[0].name in shapes.words}
    operators = (shapes.in_values() & shapes.words) - constants
    found = {"constants": constants, "effects": effects, "statements": statements - effects}
    taken = constants | effects | statements
    found["operators"] = operators - taken
    found["clauses"] = shapes.words - taken - operators
    return found


def generate(grammar: str) -> dict[str, Any]:
    """Return the TextMate grammar of a Lark grammar."""
    shapes = Shapes(grammar)
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "llamasim rules",
        "scopeName": f"source.{NAME}",
        "patterns": [
            _match(shapes.regex["DOC"], "comment.line.documentation"),
            _match(shapes.regex["COMMENT"], "comment.line.number-sign"),
            _match(shapes.regex["STRING"], "string.quoted.double"),
            *_declarations(shapes),
            _pattern_of_names(shapes),
            _quantity(shapes),
            _match(rf"\b{shapes.regex['NUMBER']}", "constant.numeric"),
            *_words(shapes),
            _match(rf"\b{shapes.regex['NAME']}(?=\()", "support.function"),
            _match(rf"\b{shapes.regex['NAME']}(?:\.{shapes.regex['NAME']})+",
                   "variable.other.property"),
            _match(rf"\b{shapes.regex['NAME']}\b", "variable.other"),
            _match(_signs(shapes), "keyword.operator"),
        ],
    }


def _match(regex: str, scope: str) -> dict[str, Any]:
    return {"name": f"{scope}.{NAME}", "match": regex}


def _captured(regex: str, *scopes: str) -> dict[str, Any]:
    captures = {str(k): {"name": f"{s}.{NAME}"} for k, s in enumerate(scopes, 1) if s}
    return {"match": regex, "captures": captures}


def _declarations(shapes: Shapes) -> Iterator[dict[str, Any]]:
    """Yield statements that begin with a word and a name, with the name's type where it has one."""
    name = shapes.regex["NAME"]
    kinds: dict[str, set[str]] = {"called": set(), "typed": set(), "named": set()}
    effects = shapes.below("effect") | shapes.values()
    for rule in shapes.rules:
        symbols = [str(s.name) for s in rule.expansion]
        if len(symbols) < 2 or symbols[1] != "NAME" or str(rule.origin.name) in effects:
            continue
        if symbols[0] in shapes.words:
            shape = "called" if symbols[2:3] == ["LPAR"] else (
                "typed" if symbols[2:4] == ["COLON", "NAME"] else "named")
            kinds[shape].add(shapes.text[symbols[0]])
    word, entity, kind = _SCOPES["statements"], "entity.name.type", "storage.type"
    formals = _captured(rf"({name})\s*:\s*({name})", "variable.parameter", kind)
    head = _captured(
        rf"\b({_any(kinds['called'])})\s+({name})\s*(\([^)]*\))\s*:\s*({name})",
        word, "entity.name.function", "", kind)
    head["captures"]["3"] = {"patterns": [formals]}
    yield head
    yield _captured(rf"\b({_any(kinds['typed'])})\s+({name})\s*:\s*({name})", word, entity, kind)
    yield _captured(rf"{_NOT_WITHIN}({_any(kinds['named'])})\s+({name})\b(?!\s*\.)", word, entity)


#: A word is no keyword within a dotted name, nor before a dot or a bracket.
_NOT_WITHIN = r"(?<![\w.])"
_NOT_A_NAME = r"\b(?!\s*[.(])"


def _words(shapes: Shapes) -> Iterator[dict[str, Any]]:
    for group, words in groups(shapes).items():
        regex = rf"{_NOT_WITHIN}(?:{_any(shapes.text[w] for w in words)})"
        # An operator may stand before a bracket.
        end = r"\b" if group == "operators" else _NOT_A_NAME
        yield _match(regex + end, _SCOPES[group])


def _pattern_of_names(shapes: Shapes) -> dict[str, Any]:
    """Return a pattern such as `*.attn.*`: with a star beside a dot, or where a pattern stands."""
    before = {
        str(r.expansion[k - 1].name) for r in shapes.rules
        for k, s in enumerate(r.expansion) if k and s.name == "pattern"
    }
    words = sorted(shapes.text[w] for w in before & shapes.words)
    behind = "|".join([r"(?<=[{,])", r"(?<=[{,] )", *(rf"(?<=\b{w} )" for w in words)])
    beside = r"(?<![\w*.])(?=[\w*.]*(?:\*\.|\.\*))"
    return _match(rf"(?:(?:{behind})(?=[\w.]*\*)|{beside}){shapes.regex['GLOB']}",
                  "string.unquoted")


def _quantity(shapes: Shapes) -> dict[str, Any]:
    """Return a number with its unit; a word behind a number is one unless it is a keyword."""
    words = _any(shapes.text[w] for w in shapes.words)
    unit = rf"{shapes.regex['NAME']}\b|{re.escape(shapes.text['PERCENT'])}"
    whole = r"(?![\d_]|\.\d|[eE][+-]?\d)"
    return _captured(rf"\b({shapes.regex['NUMBER']}){whole}[ \t]*(?!(?:{words})\b)({unit})",
                     "constant.numeric", "keyword.other.unit")


def _signs(shapes: Shapes) -> str:
    signs = [re.escape(shapes.text[s]) for s in shapes.in_values() & shapes.signs]
    brackets = {re.escape(b) for b in "(),."}
    return "|".join([shapes.regex["CMP"], *sorted(set(signs) - brackets)])


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=lambda w: (-len(w), w)))


def text() -> str:
    """Return the file as it should be."""
    grammar = (HERE / "rules.lark").read_text(encoding="utf-8")
    return json.dumps(generate(grammar), indent=2) + "\n"


if __name__ == "__main__":
    SHIPPED.write_text(text(), encoding="utf-8")
    print(f"wrote {SHIPPED.name}")
