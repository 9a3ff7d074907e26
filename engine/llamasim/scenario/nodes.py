"""YAML text as a small tree in which every key and every value knows its place.

The tree is built from libyaml's events rather than from loaded objects: scalars keep the user's own
text (`1e6`, `8192 tok`, `on`), so no YAML 1.1 surprise changes a value, and depth, size and aliases
are bounded while reading, so a hostile file costs no more than its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import yaml

from llamasim.diagnostics import Diagnostic, Source, Span
from llamasim.scenario import problems

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_ALIASES = 256
#: Characters of a key.
MAX_KEY = 200
#: Findings after which reading ends: more help nobody.
MAX_FINDINGS = 100
MAX_NODES = 10_000

_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@attrs.frozen
class Scalar:
    """A single value as written."""

    span: Span = attrs.field(eq=False, repr=False)
    text: str = ""
    quoted: bool = False
    size: int = 1
    depth: int = 1

    @property
    def null(self) -> bool:
        """Whether nothing was written (or `null`)."""
        return not self.quoted and self.text in ("", "~", "null", "Null", "NULL")


@attrs.frozen
class Entry:
    """One `key: value` of a mapping."""

    key: Scalar
    value: Node


@attrs.frozen
class Mapping:
    """`{key: value, ...}`, keys in the order written, none twice."""

    span: Span = attrs.field(eq=False, repr=False)
    entries: tuple[Entry, ...] = ()
    size: int = 1
    depth: int = 1

    def get(self, key: str) -> Entry | None:
        """Return the entry of a key."""
        return next((e for e in self.entries if e.key.text == key), None)


@attrs.frozen
class Sequence:
    """`[item, ...]`."""

    span: Span = attrs.field(eq=False, repr=False)
    items: tuple[Node, ...] = ()
    size: int = 1
    depth: int = 1


Node = Scalar | Mapping | Sequence


class _ReadingError(Exception):
    """Carries the one diagnostic that ends reading; never leaves this module."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@attrs.define
class _Open:
    """A collection whose end has not been read."""

    span: Span
    mapping: bool
    anchor: str | None
    children: list[Node] = attrs.Factory(list)


def compose(source: Source) -> tuple[Node | None, list[Diagnostic]]:
    """Read one YAML document.

    Errors: syntax, tabs, tags, several documents, too deep, too large, circular or too many
    aliases (each ends the reading), keys given twice (all of them are reported).
    """
    builder = _Builder(source)
    try:
        for event in _events(source):
            builder.take(event)
    except _ReadingError as stop:
        return None, [*builder.found, stop.diagnostic]
    return builder.root, builder.found


def _events(source: Source) -> Iterator[Any]:
    """Yield YAML events, turning a syntax error into a diagnostic."""
    try:
        yield from yaml.parse(source.text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _ReadingError(problems.yaml_syntax(source, error)) from None
    except RecursionError:
        raise _ReadingError(problems.too_complex(_start(source), "nested too deeply")) from None


def _start(source: Source) -> Span:
    return Span(source, 1, 1, 1, 2)


class _Builder:
    """Builds the tree from events, one at a time."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Node | None = None
        self.found: list[Diagnostic] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._aliases = 0
        self._documents = 0
        self._nodes = 0

    def take(self, event: Any) -> None:
        """Add what one event says."""
        kind = type(event).__name__
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise _ReadingError(problems.several_documents(self._span(event)))
        elif kind == "AliasEvent":
            self._add(self._alias(event))
        elif kind == "ScalarEvent":
            self._check_tag(event)
            node = Scalar(self._span(event), event.value, bool(event.style))
            self._define(event.anchor, node)
            self._add(node)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._start(event, mapping=kind == "MappingStartEvent")
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end(event)

    def _span(self, event: Any) -> Span:
        a, b = event.start_mark, event.end_mark
        if (b.line, b.column) <= (a.line, a.column):
            return Span(self.source, a.line + 1, a.column + 1, a.line + 1, a.column + 2)
        return Span(self.source, a.line + 1, a.column + 1, b.line + 1, b.column + 1)

    def _check_tag(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            raise _ReadingError(problems.tagged(self._span(event), str(event.tag)))

    def _start(self, event: Any, *, mapping: bool) -> None:
        self._check_tag(event)
        if len(self._open) >= MAX_DEPTH:
            raise _ReadingError(
                problems.too_complex(self._span(event), f"nested more than {MAX_DEPTH} deep")
            )
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(self._span(event), mapping, event.anchor))

    def _end(self, event: Any) -> None:
        top = self._open.pop()
        size = 1 + sum(c.size for c in top.children)
        if size > MAX_NODES:
            raise _ReadingError(
                problems.too_complex(top.span, f"more than {MAX_NODES:,} values, aliases included")
            )
        span = self._whole(top, event)
        depth = 1 + max((c.depth for c in top.children), default=0)
        node: Node
        if top.mapping:
            node = Mapping(span, self._entries(top.children), size, depth)
        else:
            node = Sequence(span, tuple(top.children), size, depth)
        self._define(top.anchor, node)
        self._add(node)

    def _whole(self, top: _Open, event: Any) -> Span:
        """Return the place of a collection; a block ends with its last child, not after it."""
        a, b = top.span, event.end_mark
        if event.end_mark.index > event.start_mark.index or not top.children:
            end = (b.line + 1, b.column + 1)
        else:
            last = top.children[-1].span
            end = (last.end_line, last.end_column)
        if end <= (a.line, a.column):
            end = (a.line, a.column + 1)
        return Span(self.source, a.line, a.column, *end)

    def _define(self, anchor: str | None, node: Node) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _alias(self, event: Any) -> Node:
        self._aliases += 1
        span = self._span(event)
        if self._aliases > MAX_ALIASES:
            raise _ReadingError(problems.too_complex(span, f"more than {MAX_ALIASES} aliases"))
        if event.anchor not in self._anchors:
            raise _ReadingError(problems.unknown_anchor(span, event.anchor))
        node = self._anchors[event.anchor]
        if node is None:
            raise _ReadingError(problems.too_complex(span, f"`*{event.anchor}` contains itself"))
        if len(self._open) + node.depth > MAX_DEPTH:
            raise _ReadingError(problems.too_complex(span, f"nested more than {MAX_DEPTH} deep"))
        return attrs.evolve(node, span=span)

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _ReadingError(problems.too_complex(node.span, f"more than {MAX_NODES:,} values"))
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node

    def _note(self, finding: Diagnostic) -> None:
        if len(self.found) >= MAX_FINDINGS - 1:
            raise _ReadingError(finding)
        self.found.append(finding)

    def _entries(self, children: list[Node]) -> tuple[Entry, ...]:
        entries: dict[str, Entry] = {}
        merged: list[Entry] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._note(problems.key_not_text(key.span))
            elif len(key.text) > MAX_KEY:
                self._note(problems.long_key(key.span, MAX_KEY))
            elif key.text == "<<" and not key.quoted:
                merged += self._merged(value)
            elif key.text in entries:
                first = entries[key.text].key.span
                self._note(problems.duplicate_key(key.text, key.span, first))
            else:
                entries[key.text] = Entry(key, value)
        for entry in merged:
            entries.setdefault(entry.key.text, entry)
        return tuple(entries.values())

    def _merged(self, value: Node) -> list[Entry]:
        """Return what `<<: *base` brings; nearer keys win over it."""
        parts = value.items if isinstance(value, Sequence) else (value,)
        found: list[Entry] = []
        for part in parts:
            if isinstance(part, Mapping):
                found += part.entries
            else:
                self._note(problems.merge_not_mapping(part.span))
        return found
