"""`--set key.path=value`: changes of a scenario from the command line, with places of their own."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from llamasim.diagnostics import Source, Span
from llamasim.scenario import problems
from llamasim.scenario.fields import FIELDS
from llamasim.scenario.nodes import Entry, Mapping, Node, Scalar, compose
from llamasim.scenario.values import Reading


def override(reading: Reading, root: Mapping, changes: Iterable[str]) -> Mapping:
    """Return the tree with `key.path=value` changes made; a `null` value removes the key."""
    for text in changes:
        source = Source(f"--set {text}", text)
        key, equals, _ = text.partition("=")
        span = Span(source, 1, 1, 1, max(2, len(key) + 1))
        parts = key.strip().split(".")
        if not equals or not all(p.strip() for p in parts):
            reading.add(problems.error("E0517", "this is not `key.path=value`", span, "here",
                                       help=("write `--set workload.micro_batch=2`",)))
            continue
        node = _parse(reading, source, len(key) + 1)
        if node is not None:
            root = _change(root, parts, node, span, "")
    return root


def _parse(reading: Reading, source: Source, skip: int) -> Node | None:
    """Parse the value where it stands, so that its place in the text is kept."""
    blank = Source(source.name, " " * skip + source.text[skip:])
    node, found = compose(blank)
    reading.found += found
    if found:
        return None
    start = Span(blank, 1, skip + 1, 1, skip + 2)
    return _moved(node if node is not None else Scalar(start), source)


def _moved(node: Node, source: Source) -> Node:
    """Return the node with its places in the text that the user typed."""
    span = attrs.evolve(node.span, source=source)
    if isinstance(node, Scalar):
        return attrs.evolve(node, span=span)
    if isinstance(node, Mapping):
        entries = tuple(
            Entry(attrs.evolve(e.key, span=attrs.evolve(e.key.span, source=source)),
                  _moved(e.value, source))
            for e in node.entries
        )
        return attrs.evolve(node, span=span, entries=entries)
    return attrs.evolve(node, span=span, items=tuple(_moved(i, source) for i in node.items))


def _change(node: Mapping, parts: list[str], value: Node, span: Span, path: str) -> Mapping:
    """Set the value below a mapping; keys may hold dots, so the longest that exists is taken."""
    count, entry = _longest(node, parts, path, value)
    key, rest = ".".join(parts[:count]), parts[count:]
    if rest:
        inner = entry.value if entry else None
        below = _change(_opened(inner, f"{path}{key}", span), rest, value, span, f"{path}{key}.")
        return _with(node, Entry(entry.key if entry else Scalar(span, key), below))
    if isinstance(value, Scalar) and value.null:
        return attrs.evolve(node, entries=tuple(e for e in node.entries if e is not entry))
    return _with(node, Entry(entry.key if entry else Scalar(span, key), value))


def _longest(
    node: Mapping, parts: list[str], path: str, value: Node
) -> tuple[int, Entry | None]:
    for count in range(len(parts), 0, -1):
        entry = node.get(".".join(parts[:count]))
        if entry is not None:
            return count, entry
    if path == "use.":
        for entry in node.entries:
            if parts[0] == re.split(r"[.\s]", entry.key.text.strip())[-1]:
                return 1, entry
        whole = isinstance(value, Mapping) or (isinstance(value, Scalar) and value.null)
        return (len(parts) if whole else max(1, len(parts) - 1)), None
    return 1, None


def _opened(node: Node | None, path: str, span: Span) -> Mapping:
    """Return a mapping to write into; a catalog id becomes `{base: id}`."""
    if isinstance(node, Mapping):
        return node
    field = FIELDS.get(path)
    if isinstance(node, Scalar) and not node.null and field is not None and field.kind == "record":
        return Mapping(span, (Entry(Scalar(span, "base"), node),))
    return Mapping(span)


def _with(node: Mapping, entry: Entry) -> Mapping:
    kept = [e for e in node.entries if e.key.text != entry.key.text]
    index = next((i for i, e in enumerate(node.entries) if e.key.text == entry.key.text), len(kept))
    kept.insert(index, entry)
    return attrs.evolve(node, entries=tuple(kept))
