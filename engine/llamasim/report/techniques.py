"""What techniques declare, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def library(pages: Iterable[Mapping[str, Any]]) -> str:
    """Return all techniques as one Markdown page, by family and module."""
    lines = ["# The shipped techniques", "",
             "Written from the rule files by `llamasim doc --markdown`.", ""]
    family = module = ""
    for page in pages:
        head, _, name = page["name"].rpartition(".")
        if head.partition(".")[0] != family:
            family = head.partition(".")[0]
            lines += [f"## {family}", ""]
        if head != module:
            module = head
            lines += [f"### {head}", ""]
        lines += [f"#### {name}", "", page["doc"], "", *_parameters(page), *_rules(page),
                  *_conditions(page), *_evidence(page)]
    return "\n".join(lines).rstrip() + "\n"


def _parameters(page: Mapping[str, Any]) -> list[str]:
    if not page["parameters"]:
        return []
    rows = ["| parameter | type | default | meaning |", "|---|---|---|---|"]
    for p in page["parameters"]:
        kind = f"{p['type']} in {p['domain']}" if p["domain"] else p["type"]
        default = f"`{p['default']}`" if p["default"] else "to be given"
        rows.append(f"| `{p['name']}` | `{kind}` | {default} | {_cell(p['doc'])} |")
    return [*rows, ""]


def _rules(page: Mapping[str, Any]) -> list[str]:
    return ["```text", *page["rules"], "```", ""] if page["rules"] else []


def _conditions(page: Mapping[str, Any]) -> list[str]:
    lines = [f"- requires {_cell(text)}" for text in page["requires"]]
    lines += [f"- warns: {_cell(text)}" for text in page["advises"]]
    lines += [f"- conflicts with `{other}`" for other in page["conflicts"]]
    return [*lines, ""] if lines else []


def _evidence(page: Mapping[str, Any]) -> list[str]:
    if not page["claims"]:
        return ["Evidence: none; nothing is claimed about accuracy.", ""]
    lines = ["Evidence:", ""]
    for claim in page["claims"]:
        lines.append(f"- {_cell(claim['text'])} ({'; '.join(map(_cell, claim['sources']))})")
    return [*lines, ""]


def _cell(text: str) -> str:
    """Return text that neither ends a cell of a table nor reads as emphasis."""
    return " ".join(text.replace("|", "/").replace("*", "\\*").split())
