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

PAGE = Path(__file__).resolve().parents[2] / "docs" / "techniques.md"
START, END = "<!-- cells -->\n", "<!-- /cells -->"


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


def generated(page: str) -> str:
    """Return a page with the table of cells as it should be."""
    before, rest = page.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
