"""Texts to start from: what is shipped, whole and in pieces that take about a millisecond."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from llamasim.assets import rules_dir, scenarios_dir

HEAD = "edition 2026\nmodule m\n"
_ITEM = re.compile(r"^(?=(?:///|source |const |fn |technique |test ))", re.MULTILINE)
_MEMBER = re.compile(r"^  (?=(?:///|param |let |axis |requires |on |claim |bring |model ))",
                     re.MULTILINE)
_SMALL = """\
edition: 2026
model: llama-3.1-8b
cluster: {device: h100-sxm}
runtime: vllm
workload: {mode: inference, prompt: 512 tok, output: 128 tok}
"""


def _texts(*folders: Path, suffix: str) -> tuple[str, ...]:
    paths = sorted(p for f in folders for p in f.rglob(f"*{suffix}"))
    return tuple(p.read_text(encoding="utf-8") for p in paths)


@cache
def rule_files() -> tuple[str, ...]:
    """Return whole rule files: shipped ones, and those that show every part of the language."""
    here = Path(__file__).resolve().parents[1] / "language" / "examples"
    return _texts(rules_dir(), scenarios_dir(), here, suffix=".rules")


@cache
def rule_pieces() -> tuple[str, ...]:
    """Return small rule files: one item of a shipped file each, or one member of a technique."""
    pieces: dict[str, None] = {}
    for text in rule_files():
        for item in _ITEM.split(text)[1:]:
            pieces[HEAD + item] = None
            for member in _MEMBER.split(item)[1:]:
                body = member if item.rstrip().endswith("}") else ""
                closed = body.rstrip().removesuffix("}") if body.count("}") > body.count("{") else (
                    body)
                pieces[f"{HEAD}technique t {{\n  {closed.rstrip()}\n}}\n"] = None
    return tuple(sorted(p for p in pieces if len(p) < 1500))


@cache
def scenario_texts() -> tuple[str, ...]:
    """Return the shipped scenarios without their comments, and the smallest there is."""
    shipped = _texts(scenarios_dir(), suffix=".yaml")
    bare = (re.sub(r"(?m)[ ]*#.*$\n?", "\n", t) for t in shipped)
    return (_SMALL, *(re.sub(r"\n\n+", "\n", t).lstrip() for t in bare))
