"""A derivation: a value, the formula that gives it, and the values that the formula reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

#: A number in the node's unit, a word, a truth value, or nothing.
Known = float | str | bool | None


@attrs.frozen
class Site:
    """What one rule said.

    Attributes:
        technique: full name; `place` the line of its rule, `parallelism/tensor.rules:24`.
        verb: `set`, `scale`, `shard`, ...; `written` the effect as it stands in the file.
        value: what its expression comes to on this element; empty where the effect has none.
        reads: names in the expression and what they stand for here.
        replaced: why its value does not hold; empty where it does.

    """

    technique: str
    place: str
    verb: str
    written: str
    value: str = ""
    reads: tuple[tuple[str, str], ...] = ()
    replaced: str = ""


@attrs.frozen
class Node:
    """One value.

    Attributes:
        value: in `unit` (`B`, `bit`, `FLOP`, `s`, `tok`, or none).
        formula: arithmetic over plain numbers and the names of `inputs` in braces,
            `{elements} x {bits} / 8`; it gives the value. Empty where nothing is computed.
        note: where a value comes from that no formula gives, or what a reader should know.
        sites: the rules that wrote it.

    """

    name: str
    value: Known
    unit: str = ""
    formula: str = ""
    note: str = ""
    sites: tuple[Site, ...] = ()
    inputs: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """Yield this node and all below it."""
        yield self
        for node in self.inputs:
            yield from node.walk()


@attrs.frozen
class Unused:
    """A technique that writes the cell and is not in use."""

    technique: str
    place: str
    written: str


@attrs.frozen
class Answer:
    """What `explain` says of one cell.

    Attributes:
        cell, element: as asked, written out (`weight.bytes`, `layers.3.mlp.down`).
        per: what the value is counted for (`device`, `device and cached token`, ...).
        sources: what the techniques of the sites cite: technique, text, place.
        unused: shipped techniques that would write one of the cells and are not in use.
        also: other elements of that name that have the cell, as they are asked for.

    """

    cell: str
    element: str
    per: str
    root: Node
    sources: tuple[tuple[str, str, str], ...] = ()
    unused: tuple[Unused, ...] = ()
    also: tuple[str, ...] = ()


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as plain data."""
    return {
        "cell": answer.cell,
        "element": answer.element or None,
        "per": answer.per or None,
        **node_json(answer.root),
        "sources": [
            {"technique": t, "text": text, "place": place} for t, text, place in answer.sources
        ],
        "not_applied": [attrs.asdict(u) for u in answer.unused],
        "also": list(answer.also),
    }


def node_json(node: Node) -> dict[str, Any]:
    """Return a node and all below it as plain data."""
    return {
        "name": node.name,
        "value": node.value,
        "unit": node.unit or None,
        "formula": node.formula.replace("{", "").replace("}", "") or None,
        "note": node.note or None,
        "rules": [_site_json(s) for s in node.sites],
        "inputs": [node_json(n) for n in node.inputs],
    }


def _site_json(site: Site) -> dict[str, Any]:
    return {
        "technique": site.technique, "place": site.place, "verb": site.verb,
        "written": site.written, "value": site.value or None, "reads": dict(site.reads),
        "replaced": site.replaced or None,
    }
