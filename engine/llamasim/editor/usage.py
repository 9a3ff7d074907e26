"""Words that other rule files use where the language leaves them open."""

from __future__ import annotations

from collections.abc import Iterator

from llamasim.editor.document import Document
from llamasim.language.ast import Call, Claim, Expr, Item, Technique, Test, children, paths_read


def metrics(document: Document) -> set[str]:
    """Return what claims are about."""
    return {
        m.metric for item in _items(document) if isinstance(item, Technique)
        for m in item.members if isinstance(m, Claim)
    }


def asked(document: Document) -> set[str]:
    """Return the attributes of results that tests ask for."""
    return {p for e in _expected(document) for p in paths_read(e) if "." in p}


def questions(document: Document) -> set[str]:
    """Return the functions by which tests ask."""
    return {c.name for e in _expected(document) for c in _calls(e)}


def targets(document: Document, what: str) -> set[str]:
    """Return the models, clusters or workloads that tests are given."""
    return {
        g.target for item in _items(document) if isinstance(item, Test)
        for g in item.givens if g.what == what and g.target
    }


def _items(document: Document) -> Iterator[Item]:
    for module in document.everything.modules.values():
        yield from module.items


def _expected(document: Document) -> Iterator[Expr]:
    for item in _items(document):
        if isinstance(item, Test):
            yield from (e.value for e in item.expects)


def _calls(expr: Expr) -> Iterator[Call]:
    if isinstance(expr, Call):
        yield expr
    for child in children(expr):
        yield from _calls(child)
