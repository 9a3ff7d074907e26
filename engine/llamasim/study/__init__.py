"""Many runs: search over choices, the tests inside rule files, and why a value is what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamasim.study.candidate import Candidate
    from llamasim.study.search import Study, optimize
    from llamasim.study.verdict import Verdict, infeasible

__all__ = ["Candidate", "Study", "Verdict", "infeasible", "optimize"]
_WHERE = {"Candidate": "candidate", "Study": "search", "optimize": "search",
          "Verdict": "verdict", "infeasible": "verdict"}


def __getattr__(name: str) -> Any:
    # A derivation needs no simulation: what only a search needs is imported when it is asked for.
    if name not in _WHERE:
        raise AttributeError(name)
    import importlib

    return getattr(importlib.import_module(f"llamasim.study.{_WHERE[name]}"), name)
