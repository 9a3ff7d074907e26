"""The generated parts of `docs/techniques.md`; run as a program, it writes them."""

from __future__ import annotations

from pathlib import Path

from llamasim.language.cells import (
    CELLS,
    ELEMENTS,
    LIFETIMES,
    PHASES,
    PLACES,
    TENSORS,
    Cell,
    Stratum,
)
from llamasim.language.names import NAMES, Dims, Name

PAGE = Path(__file__).resolve().parents[2] / "docs" / "techniques.md"


def words() -> dict[str, str]:
    """Return the closed lists of words that the page names."""
    return {
        "elements": _code(ELEMENTS), "phases": _code(PHASES), "lifetimes": _code(LIFETIMES),
        "places": _code(PLACES), "strata": ", ".join(s.name.lower() for s in Stratum),
    }


def table() -> str:
    """Return all cells as a Markdown table."""
    rows = [f"| `{c.name}` | {_elements(c)} | {', '.join(c.verbs)} | {c.stratum.name.lower()} | "
            f"{_meaning(c)} |" for c in CELLS.values()]
    return "\n".join(["| cell | of | verbs | stratum | meaning |", "|---|---|---|---|---|", *rows])


def _elements(cell: Cell) -> str:
    if cell.elements == TENSORS:
        return "any tensor"
    if cell.elements[: len(TENSORS)] == TENSORS:
        return "any tensor, " + _code(cell.elements[len(TENSORS):])
    return _code(cell.elements)


def _meaning(cell: Cell) -> str:
    text = cell.doc
    if cell.symbols:
        text += f" One of {_code(cell.symbols)}."
    return text + (" May differ by phase." if cell.phased else "")


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def names() -> str:
    """Return all names of elements as a Markdown table; a bias stands with what it belongs to."""
    biased = {(n.place, n.text.removesuffix(".bias")) for n in NAMES if n.text.endswith(".bias")}
    rows = [
        f"| {_name(n, (n.place, n.text) in biased)} | {n.kind} | {_dims(n.weight)} | "
        f"{_dims(n.result)} | {_dims(n.cache)} | {n.doc} |"
        for n in NAMES if not n.text.endswith(".bias")
    ]
    head = "| name | op | weight | activation | kv_cache | meaning |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _name(name: Name, biased: bool) -> str:
    shown = f"`{name.full}`"
    return f"{shown}, `.bias`" if biased else shown


def _dims(dims: Dims) -> str:
    return " or ".join(" x ".join(f"`{d}`" for d in each) for each in dims)


def generated(page: str) -> str:
    """Return a page with its generated tables as they should be."""
    return _between(_between(page, "cells", table()), "names", names())


def _between(page: str, mark: str, text: str) -> str:
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = page.split(start)
    after = rest.split(end)[1]
    return f"{before}{start}{text}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
