"""Which declarations a place in a rule file sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from llamasim.diagnostics import Span
from llamasim.editor.document import Document
from llamasim.editor.roles import formals_of, named
from llamasim.editor.tables import Slot
from llamasim.language.ast import (
    Axis,
    Bring,
    Const,
    ExtraModel,
    Function,
    Import,
    Let,
    Module,
    Param,
    SourceDecl,
    Technique,
)
from llamasim.language.scope import name_in
from llamasim.language.vocabulary import BUILTIN_AXES

Statement: TypeAlias = (
    Axis | Bring | Const | ExtraModel | Function | Import | Let | Param | SourceDecl | Technique
)

_WHAT = {
    Axis: "axis", Bring: "brought", Const: "constant", ExtraModel: "model", Function: "function",
    Import: "module", Let: "let", Param: "parameter", SourceDecl: "source", Technique: "technique",
}


@attrs.frozen
class Declared:
    """A name that is declared in a rule file.

    Attributes:
        what: `parameter`, `let`, `constant`, `function`, `argument`, `axis`, `source`, ...
        module: the module that declares it.
        node: its statement; of an argument, its function.

    """

    what: str
    name: str
    module: Module
    node: Statement

    @property
    def span(self) -> Span:
        """The place of its name."""
        return name_in(self.node.span, self.name)

    @property
    def doc(self) -> str:
        """What the rule file says of it."""
        return "" if self.what == "argument" else str(getattr(self.node, "doc", ""))


def declare(module: Module, node: Statement, name: str = "") -> Declared:
    """Return a statement as what it declares."""
    own = node.alias or node.module if isinstance(node, Import) else node.name
    return Declared("argument" if name else _WHAT[type(node)], name or own, module, node)


def technique_of(document: Document, chain: Sequence[Slot]) -> Technique | None:
    """Return the technique in which a place lies."""
    name = named(chain, "technique")
    return next((t for t in document.own_techniques() if t.name == name), None)


def names_in(document: Document, chain: Sequence[Slot]) -> dict[str, Declared]:
    """Return the names that an expression at a place can use, but for functions."""
    module = document.module
    if module is None:
        return {}
    found = {i.name: declare(module, i) for i in module.items if isinstance(i, Const)}
    technique = technique_of(document, chain)
    for member in technique.members if technique else ():
        if isinstance(member, Param | Let | ExtraModel):
            found[member.name] = declare(module, member)
    function = functions_in(document).get(named(chain, "function"))
    for name in formals_of(chain):
        if function is not None:
            found[name] = declare(module, function.node, name)
        else:
            found.pop(name, None)
    return found


def functions_in(document: Document) -> dict[str, Declared]:
    """Return the functions of a file."""
    module = document.module
    items = module.items if module else ()
    return {i.name: declare(module, i) for i in items if module and isinstance(i, Function)}


def sources_in(document: Document) -> dict[str, Declared]:
    """Return the sources of a file."""
    module = document.module
    items = module.items if module else ()
    return {i.name: declare(module, i) for i in items if module and isinstance(i, SourceDecl)}


def axes_in(document: Document) -> dict[str, Declared | None]:
    """Return the axes that a file can name; those that are always there have no declaration."""
    found: dict[str, Declared | None] = dict.fromkeys(BUILTIN_AXES)
    for module, technique in _all_techniques(document):
        for member in technique.members:
            if isinstance(member, Axis):
                found.setdefault(member.name, declare(module, member))
    return found


def parameters(technique: Technique) -> dict[str, Param]:
    """Return the parameters of a technique by name."""
    return {m.name: m for m in technique.members if isinstance(m, Param)}


def _all_techniques(document: Document) -> Iterator[tuple[Module, Technique]]:
    own = (document.module,) if document.module else ()
    for module in (*own, *document.imported.modules.values()):
        for item in module.items:
            if isinstance(item, Technique):
                yield module, item


def techniques_in(document: Document) -> dict[str, tuple[Module, Technique]]:
    """Return techniques of a file and of what it imports, by what the file can call them."""
    module = document.module
    if module is None:
        return {}
    found = {t.name: (module, t) for t in document.own_techniques()}
    for imported in module.imports:
        other = document.imported.modules.get(imported.module)
        for item in other.items if other else ():
            if other and isinstance(item, Technique):
                found[f"{imported.alias or imported.module}.{item.name}"] = (other, item)
    return found
