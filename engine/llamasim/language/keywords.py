"""The words of the language; kept apart so that checking a file needs no parser."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HEADERS = ("edition", "module", "import")
ITEMS = ("source", "const", "fn", "technique", "test")
MEMBERS = ("param", "let", "axis", "model", "bring", "requires", "advise", "conflicts", "refines",
           "on", "claim")
EFFECTS = ("set", "scale", "add", "cap", "raise", "shard", "reduce", "gather", "exchange", "send",
           "rotate", "place", "drop", "keep", "fuse", "run", "overlap")
_TEST_LINES = ("given", "expect")
#: Words that begin a statement.
STATEMENTS = frozenset((*HEADERS, *ITEMS, *MEMBERS, *EFFECTS, *_TEST_LINES))
_INNER = ("as", "in", "size", "inside", "after", "else", "because", "with", "for", "when", "from",
          "note", "of", "except", "tokens", "during", "where", "by", "to", "at", "over", "until",
          "times", "up", "within", "if", "then", "or", "and", "not", "divides", "true", "false")
#: Every keyword with the name of its terminal in the grammar.
KEYWORDS: Mapping[str, str] = MappingProxyType(
    {w: w.upper() for w in (*sorted(STATEMENTS), *_INNER)}
)
