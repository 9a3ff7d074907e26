"""Caps on rule files: the language is for rules, not for programs or data.

They make checking any file end in about a second, and working out any rule end soon.
"""

from __future__ import annotations

MOST_BYTES = 1024 * 1024
#: Words, numbers, texts, signs and remarks.
MOST_WORDS = 15_000
#: Expressions, patterns, effects, members and declarations.
MOST_NODES = 10_000
#: Expressions within one another.
MOST_DEPTH = 64
#: Nodes of all expressions of a file, each name replaced by what it stands for.
MOST_EXPANDED = 20_000
#: Weights and ops that the techniques of a file bring, beside each other's too.
MOST_BROUGHT = 500
#: Exponent of a quantity that has a dimension.
MOST_POWER = 8
#: Modules of which each imports the next.
MOST_IMPORTS = 32
#: Findings after which a file is checked no further: more help nobody.
MOST_FINDINGS = 100
#: Syntax errors, likewise.
MOST_ERRORS = 20
