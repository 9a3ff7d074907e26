"""What a word of a rule file is: a cell, an axis, a parameter, a unit, ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import attrs
from lark import Tree

from llamasim.diagnostics import Span
from llamasim.editor.document import Document
from llamasim.editor.tables import Slot, values_of
from llamasim.editor.words import Word
from llamasim.language.keywords import KEYWORDS

Role = Literal[
    "argument", "axis", "brought", "cell", "declaration", "dim", "element", "field", "given",
    "glob", "keyword", "kernel", "lifetime", "metric", "model", "module", "obligation", "other",
    "phase", "place", "source", "stream", "target", "technique", "type", "unit", "value",
]

#: Roles by the rule of the grammar and the symbol before; `*` is any rule not named.
_ROLES: Mapping[tuple[str, str], Role] = MappingProxyType(
    {
        ("module", "MODULE"): "module", ("import_", "IMPORT"): "module",
        ("*", "COLON"): "type",
        ("rule", "ON"): "element", ("rule", "DURING"): "phase", ("glob", ""): "glob",
        ("bring", "BRING"): "brought", ("bring", "NAME"): "declaration",
        ("bring_field", ""): "field",
        ("set", "SET"): "cell", ("scale", "SCALE"): "cell", ("cap", "CAP"): "cell",
        ("raise_", "RAISE"): "cell", ("add", "TO"): "cell",
        ("shard", "SHARD"): "dim", ("*", "OVER"): "axis", ("*", "INSIDE"): "axis",
        ("*", "UNTIL"): "lifetime", ("place", "ON"): "place", ("fuse", "AS"): "kernel",
        ("run", "RUN"): "model",
        ("overlap", "OVERLAP"): "obligation", ("overlap", "WITH"): "stream",
        ("conflicts", "WITH"): "technique", ("refines", "REFINES"): "technique",
        ("claim", "CLAIM"): "metric", ("claim", "FROM"): "source", ("quantity", "NUMBER"): "unit",
        ("given", ""): "given", ("given", "NAME"): "target", ("arg", ""): "argument",
        ("import_", "AS"): "declaration", ("formal", ""): "declaration",
    }
)
#: Statements that begin with a keyword and the name that they declare.
_DECLARING = ("source", "constant", "function", "technique", "param", "let", "axis", "extra_model")


@attrs.frozen
class Mention:
    """A name, dotted or not, where it stands.

    Attributes:
        text: the whole name.
        words: its parts, without the dots.
        chain: the rules of the grammar that it stands in, the innermost first.

    """

    role: Role
    text: str
    words: tuple[Word, ...]
    chain: Sequence[Slot] = attrs.field(repr=False)

    @property
    def span(self) -> Span:
        """The place of the whole name."""
        first, last = self.words[0].span, self.words[-1].span
        return Span(first.source, first.line, first.column, last.end_line, last.end_column)


def role_of(chain: Sequence[Slot]) -> Role:
    """Return what a name is in the rules that it stands in."""
    for slot in chain:
        if slot.origin in values_of() and slot.rule != "quantity":
            return "value"
        if slot.rule in _DECLARING and len(slot.values) == 1:
            return "declaration"
        found = _ROLES.get((slot.rule, slot.after)) or _ROLES.get(("*", slot.after))
        if found is not None:
            return found
    return "other"


def mentions(document: Document, of: str = "") -> Iterator[Mention]:
    """Yield every name of a file, in order; of a word only those that hold it."""
    words, at = document.words, 0
    while at < len(words):
        count = _dotted(words, at)
        if count and any(of in w.text for w in words[at : at + count]):
            yield _mention(words[at : at + count])
        at += max(count, 1)


def mention_at(document: Document, line: int, column: int) -> Mention | None:
    """Return the name or keyword at a place, or that ends there."""
    offset = document.offset(line, column)
    words, at = document.words, 0
    while at < len(words) and words[at].start <= offset:
        count = _dotted(words, at)
        last = words[at + max(count, 1) - 1]
        if offset <= last.end and (count or words[at].text in KEYWORDS):
            follows = at + 1 < len(words) and words[at + 1].start == offset == last.end
            if not (follows and _dotted(words, at + 1)):
                return _mention(words[at : at + max(count, 1)])
        at += max(count, 1)
    return None


def _dotted(words: Sequence[Word], at: int) -> int:
    """Return how many words the name that begins here has, dots included; 0 where none does."""
    if words[at].kind == "GLOB":
        return 1
    if words[at].kind != "NAME":
        return 0
    count = 1
    while at + count + 1 < len(words) and words[at + count].kind == "DOT" and (
        words[at + count + 1].kind == "NAME"
    ):
        count += 2
    return count


def _mention(words: Sequence[Word]) -> Mention:
    chain = words[0].chain()
    text = "".join(w.text for w in words)
    role: Role = "keyword" if words[0].kind not in ("NAME", "GLOB") else role_of(chain)
    return Mention(role, text, tuple(w for w in words if w.kind != "DOT"), chain)


def slot_of(chain: Sequence[Slot], *rules: str) -> Slot | None:
    """Return the innermost of some rules that a place lies in, behind its first symbol."""
    return next((s for s in chain if s.rule in rules and s.after), None)


def named(chain: Sequence[Slot], rule: str) -> str:
    """Return the name behind a rule's keyword (a technique's, a rule's element); empty if none."""
    slot = slot_of(chain, rule)
    return str(slot.values[1]) if slot and len(slot.values) > 1 else ""


def formals_of(chain: Sequence[Slot]) -> dict[str, str]:
    """Return the arguments, with their types, of the function in whose body a place lies."""
    slot = slot_of(chain, "function")
    found: dict[str, str] = {}
    for value in slot.values if slot else ():
        if isinstance(value, Tree):
            for formal in value.find_data("formal"):
                name, kind = formal.children
                found[str(name)] = str(kind)
    return found


def path_text(value: object) -> str:
    """Return a name that was read before a place, as text; empty where it is no name."""
    if isinstance(value, Tree):
        return ".".join(map(str, value.children)) if value.data == "path" else ""
    return "" if value is None else str(value)
