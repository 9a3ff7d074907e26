"""Renames what a rule file declares for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from llamasim.diagnostics import Span
from llamasim.editor.define import declaration, occurrences, own_span
from llamasim.editor.document import Document
from llamasim.editor.layout import Edit
from llamasim.editor.roles import mention_at, mentions, named
from llamasim.editor.scope import Declared
from llamasim.editor.words import pieces, terminal
from llamasim.language.ast import (
    Const,
    ExtraModel,
    Function,
    Let,
    Param,
    SourceDecl,
    Technique,
)
from llamasim.language.keywords import KEYWORDS

#: What other files and scenarios cannot name, but for parameters.
_OWN = ("parameter", "let", "constant", "function", "argument", "source", "model")


@attrs.frozen
class CannotRename:
    """Why a name cannot be changed, in one sentence."""

    why: str


def renamed_span(document: Document, line: int, column: int) -> Span | CannotRename:
    """Return the name at a place (from 1) that can be changed, or why none can."""
    found = _found(document, line, column)
    return found if isinstance(found, CannotRename) else found[1]


def rename(
    document: Document, line: int, column: int, new: str
) -> tuple[Edit, ...] | CannotRename:
    """Return the edits that give what is declared under a name another name.

    Parameters, lets, constants, functions and their arguments, sources and further models can be
    renamed, with all that the file says of them, its tests among it. A scenario that gives a
    renamed parameter is another file and keeps the old name.
    """
    found = _found(document, line, column)
    if isinstance(found, CannotRename):
        return found
    what, _ = found
    problem = _unfit(new) or _taken(document, what, new) or _unread(document, what)
    if problem:
        return CannotRename(problem)
    return tuple(Edit(span, new) for span in occurrences(document, what))


def _found(
    document: Document, line: int, column: int
) -> tuple[Declared, Span] | CannotRename:
    mention = mention_at(document, line, column)
    found = declaration(document, mention) if mention else None
    if mention is None or found is None:
        return CannotRename("this is no name that a rule file declares")
    if found.what not in _OWN:
        return CannotRename(f"scenarios and other rule files name the {found.what} `{found.name}`")
    if found.module is not document.module:
        return CannotRename(f"`{found.name}` is declared in another file")
    return found, own_span(mention, found)


def _unfit(new: str) -> str:
    if re.fullmatch(terminal("NAME"), new) is None:
        return f"`{new}` is not a name"
    return f"`{new}` is a keyword" if new in KEYWORDS else ""


def _taken(document: Document, what: Declared, new: str) -> str:
    """Return why a name would mean something else here."""
    taken = dict(_names_beside(document, what))
    if new in taken:
        return f"there is already {taken[new]} `{new}`"
    if what.what in ("source", "function"):
        return ""
    for mention in mentions(document, new):
        if mention.role == "value" and mention.text.partition(".")[0] == new and (
            _reaches(what, named(mention.chain, "technique"), named(mention.chain, "function"))
        ):
            return f"`{new}` is already a word in line {mention.span.line}"
    return ""


def _reaches(what: Declared, technique: str, function: str) -> bool:
    """Whether a declaration is seen in a technique or in a function."""
    if what.what == "constant":
        return True
    if isinstance(what.node, Function):
        return function == what.node.name
    return any(
        isinstance(i, Technique) and i.name == technique and any(m is what.node for m in i.members)
        for i in what.module.items
    )


def _names_beside(document: Document, what: Declared) -> Iterator[tuple[str, str]]:
    """Yield the names that are taken where a declaration is seen."""
    for item in what.module.items:
        if isinstance(item, SourceDecl):
            if what.what == "source":
                yield item.name, "a source"
            continue
        if what.what == "source" or not isinstance(item, Const | Function | Technique):
            continue
        yield item.name, f"a {type(item).__name__.lower().replace('const', 'constant')}"
        if isinstance(item, Function) and what.what in ("constant", "argument"):
            yield from ((n, "an argument") for n, _ in item.formals
                        if what.what == "constant" or item is what.node)
        if isinstance(item, Technique) and what.what != "argument":
            yield from ((m.name, "a name in a technique") for m in item.members
                        if isinstance(m, Param | Let | ExtraModel)
                        and (what.what == "constant"
                             or any(m is what.node for m in item.members)))


def _unread(document: Document, what: Declared) -> str:
    """Return why not all of a name's places are known: a mistake hides one of them."""
    read = {w.start for w in document.words}
    for match in pieces().finditer(document.source.text):
        word = match.group()
        if match.lastgroup == "NAME" and word == what.name and match.start() not in read:
            line = document.span(match.start(), match.end()).line
            if not _within(document, match.start()):
                return f"mend the mistake in line {line} first: `{word}` stands there too"
    return ""


def _within(document: Document, offset: int) -> bool:
    """Whether a place lies in a word that was read, such as a pattern."""
    return any(w.start <= offset < w.end for w in document.words)
