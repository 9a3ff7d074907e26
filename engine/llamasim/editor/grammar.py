"""What the grammar and the syntax tree say of a keyword."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache

from llamasim.assets import grammar_path
from llamasim.editor.tables import Slot, values_of
from llamasim.language import ast, ast_effects, ast_expr

_RULE = re.compile(r"^[?!]?([a-z_]+): *(.*(?:\n[ \t]+\|.*)*)", re.MULTILINE)


@cache
def _alternatives() -> Mapping[str, tuple[str, ...]]:
    """Return the right sides of the grammar's rules as they are written."""
    text = re.sub(r"//.*", "", grammar_path().read_text(encoding="utf-8"))
    return {
        name: tuple(a.strip() for a in re.split(r"\n?[ \t]+\| ", body))
        for name, body in _RULE.findall(text)
    }


def form(chain: Sequence[Slot], keyword: str) -> str:
    """Return the statement or expression that a keyword belongs to, as it is written."""
    for slot in chain:
        for text in _alternatives().get(slot.origin, ()):
            if f'"{keyword}"' in text:
                return _plain(text)
    return ""


def _plain(text: str) -> str:
    shown = re.sub(r'"([^"]*)"', r"\1", text.partition(" -> ")[0]).strip()
    return re.sub(r"[a-z]+", lambda m: "expr" if m.group() in values_of() else m.group(), shown)


def meaning(chain: Sequence[Slot], keyword: str) -> str:
    """Return what the syntax tree says of the statement or expression that a keyword is of."""
    text = form(chain, keyword)
    first = re.match(r"[a-z]+", text)
    words = [first.group() if first else keyword, keyword]
    rules = [s.rule.strip("_") for s in chain[:2]]
    for test in (_opens, _is_called, _mentions):
        for word in (*words, *rules):
            for name, doc in _documented().items():
                if test(name, doc, word):
                    return doc
    return ""


def _opens(name: str, doc: str, word: str) -> bool:
    """Whether a text begins with a form of the word, as in "`shard DIM over AXIS`"."""
    begun = re.match(r"`([a-z|]+)", doc)
    return begun is not None and word in begun.group(1).split("|")


def _is_called(name: str, doc: str, word: str) -> bool:
    return len(word) > 1 and name.lower().startswith(word.replace("_", ""))


def _mentions(name: str, doc: str, word: str) -> bool:
    return any(word in quoted.split() for quoted in re.findall(r"`([^`]+)`", doc))


@cache
def _documented() -> Mapping[str, str]:
    """Return what each node of the syntax tree says of itself, by its name."""
    found: dict[str, str] = {}
    for module in (ast, ast_effects, ast_expr):
        for name, thing in vars(module).items():
            if inspect.isclass(thing) and thing.__module__.startswith("llamasim.language.ast"):
                found[name] = inspect.getdoc(thing) or ""
    return found
