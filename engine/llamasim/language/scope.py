"""What is declared in a rule file, and the findings about declarations themselves."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import cached_property

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import (
    Axis,
    Bring,
    ExtraModel,
    Function,
    Module,
    Param,
    Technique,
)
from llamasim.language.infer import Infer
from llamasim.language.keywords import KEYWORDS
from llamasim.language.kinds import ANY, BOOL, Kind, Known
from llamasim.language.load import Program
from llamasim.language.narrow import NO_FACTS, Facts
from llamasim.language.reach import PLAIN, Names
from llamasim.language.types import ELSEWHERE, TYPES
from llamasim.language.vocabulary import BUILTIN_AXES


@attrs.frozen
class Declared:
    """A name and where it is declared."""

    what: str
    span: Span


@attrs.define(slots=False)
class ModuleScope:
    """Constants and functions declared so far; the axes and names of elements within reach.

    `faulty` are functions with a finding of their own.
    """

    module: Module
    axes: tuple[str, ...]
    elements: Names = PLAIN
    names: dict[str, Known] = attrs.field(factory=dict)
    functions: dict[str, Function] = attrs.field(factory=dict)
    faulty: set[str] = attrs.field(factory=set)

    @cached_property
    def _all_functions(self) -> frozenset[str]:
        return frozenset(i.name for i in self.module.items if isinstance(i, Function))

    def later(self) -> frozenset[str]:
        """Return functions that are declared further down."""
        return self._all_functions - set(self.functions)

    def infer(self, names: Mapping[str, Known] | None = None, facts: Facts = NO_FACTS) -> Infer:
        """Return a fresh inference in this scope."""
        return Infer(dict(names if names is not None else self.names), self.functions,
                     self.later(), self.axes, facts=facts, faulty=self.faulty)


def axes_of(module: Module, program: Program) -> tuple[str, ...]:
    """Return the axes that a module can name: its own, its imports' and the built-in ones."""
    seen: dict[str, None] = dict.fromkeys(BUILTIN_AXES)
    for technique in _techniques(module, program):
        seen.update((m.name, None) for m in technique.members if isinstance(m, Axis))
    return tuple(seen)


def element_names(module: Module, program: Program) -> Names:
    """Return the names that a module's patterns can match: models', and those brought.

    Brought are the weights and ops of its own techniques and of those that it imports; what is
    brought may stand beside something that is itself brought.
    """
    techniques = _techniques(module, program)
    owners = dict.fromkeys(PLAIN.owners)
    for member in (m for t in techniques for m in t.members):
        if isinstance(member, ExtraModel) or (
            isinstance(member, Param) and member.type == "Model"
        ):
            owners[member.name] = None
    names = Names(tuple(owners))
    brings = [m for t in techniques for m in t.members if isinstance(m, Bring)]
    for member in (*brings, *brings):
        globs = [g.text for g in member.globs]
        names = names.with_brought(member.name, globs, member.what == "weight")
        if names.crowded:
            break
    return names


def _techniques(module: Module, program: Program) -> list[Technique]:
    """Return the techniques of a module and of all that it imports."""
    found: list[Technique] = []
    queue, visited = [module], {module.name}
    while queue:
        current = queue.pop()
        found += [i for i in current.items if isinstance(i, Technique)]
        for imported in current.imports:
            other = program.modules.get(imported.module)
            if other is not None and other.name not in visited:
                visited.add(other.name)
                queue.append(other)
    return found


def kind_of_type(name: str, span: Span, diagnostics: list[Diagnostic]) -> Kind:
    """Return what a type's values are; an unknown type is noted."""
    found = TYPES.get(name)
    if found is None:
        guess = ELSEWHERE.get(name.lower()) or nearest(name, TYPES)
        way = f"did you mean `{guess}`?" if guess else f"types are {', '.join(TYPES)}"
        diagnostics.append(Diagnostic(
            "E0215", f"there is no type `{name}`", (Label(name_in(span, name), "unknown type"),),
            help=(way,)))
        return ANY
    if found.kind == "number":
        return Kind("number", found.dimension)
    return BOOL if found.kind == "bool" else Kind(found.kind)


def declare(
    seen: MutableMapping[str, Declared], name: str, what: str, span: Span,
    diagnostics: list[Diagnostic],
) -> None:
    """Note a declaration, and its name where it is taken."""
    before = seen.get(name)
    if before is None:
        seen[name] = Declared(what, span)
        return
    article = "an" if before.what[0] in "aeiou" else "a"
    diagnostics.append(Diagnostic(
        "E0204", f"there is already {article} {before.what} `{name}`",
        (Label(name_in(span, name), "again"),
         Label(name_in(before.span, name), "first", primary=False)),
        help=(f"give one another name, such as `{name}_2`",)))


def keyword_name(name: str, span: Span, diagnostics: list[Diagnostic]) -> None:
    """Note a name that is a keyword: it would read as the beginning of something else."""
    if name in KEYWORDS:
        diagnostics.append(Diagnostic(
            "E0213", f"`{name}` is a keyword", (Label(name_in(span, name), "used as a name"),),
            help=(f"call it `{name}_value` or so",)))


def name_in(span: Span, text: str) -> Span:
    """Return where a word stands first within a statement; else the statement."""
    for number in range(span.line, span.end_line + 1):
        start = _find_word(span.source.line(number), text,
                           span.column - 1 if number == span.line else 0)
        if start >= 0:
            return Span(span.source, number, start + 1, number, start + 1 + len(text))
    return span


def _find_word(line: str, text: str, start: int) -> int:
    while (at := line.find(text, start)) >= 0:
        before = line[at - 1 : at] if at else ""
        after = line[at + len(text) : at + len(text) + 1]
        if not (before.isalnum() or (before in ("_", ".") and before)) and not (
            after.isalnum() or after == "_"
        ):
            return at
        start = at + 1
    return -1
