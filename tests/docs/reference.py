"""The generated parts of `docs/reference.md`; run as a program, it writes them."""

from __future__ import annotations

from pathlib import Path

from llamasim.language.bounds import told
from llamasim.language.calls import ASKED, PROVIDED, SCALARS
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
from llamasim.language.vocabulary import (
    BRING_FIELDS,
    BUILTIN_AXES,
    OVERLAPPABLE,
    SHARD_DIMS,
    VOCABULARY,
    Attribute,
)
from llamasim.units import UNITS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
ENGINE = PAGE.parents[1] / "engine" / "llamasim"


def words() -> dict[str, str]:
    """Return the closed lists of words that the page names."""
    return {
        "elements": _code(ELEMENTS), "phases": _code(PHASES), "lifetimes": _code(LIFETIMES),
        "places": _code(PLACES), "strata": ", ".join(s.name.lower() for s in Stratum),
        "axes": _code(BUILTIN_AXES), "dims": _code(SHARD_DIMS), "moves": _code(OVERLAPPABLE),
    }


def table() -> str:
    """Return all cells as a Markdown table."""
    rows = [f"| `{c.name}` | {_elements(c)} | {_holds(c)} | {_law(c)} | {', '.join(c.verbs)} | "
            f"{c.stratum.name.lower()} | {_meaning(c)} | {_readers(c.name)} |"
            for c in CELLS.values()]
    head = "| cell | of | holds | law | verbs | stratum | meaning | read by |"
    return "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows])


def _holds(cell: Cell) -> str:
    if cell.kind != "number":
        return {"bool": "true or false", "symbol": "a word"}[cell.kind]
    return "Ratio" if cell.dimension is None or cell.dimension.is_ratio else str(cell.dimension)


def _law(cell: Cell) -> str:
    return "fold" if cell.law == "accumulate" else cell.law


def _readers(name: str) -> str:
    """Return the modules of the engine, after the language, that ask for a cell by its name."""
    found = [
        f"{path.parent.name}/{path.stem}" for path in sorted(ENGINE.glob("*/*.py"))
        if path.parent.name not in ("language", "editor", "study", "cli", "report")
        and f'"{name}"' in path.read_text(encoding="utf-8")
    ]
    return ", ".join(found)


def attributes() -> str:
    """Return what rules may read as a Markdown table."""
    rows = [
        f"| `{a.path}` | {_kind(a)} | {a.stratum.name.lower()} | "
        f"{'all' if a.elements is None else _code(a.elements)} | {a.doc} |"
        for a in VOCABULARY.values()
    ]
    head = "| attribute | is | known from | in rules on | meaning |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _kind(attribute: Attribute) -> str:
    if attribute.kind == "bool":
        return "true or false"
    if attribute.kind == "symbol":
        return _code(attribute.symbols) if attribute.symbols else "a word"
    return "Ratio" if attribute.dimension.is_ratio else str(attribute.dimension)


def bring() -> str:
    """Return the fields of `bring` as a Markdown table."""
    rows = [
        f"| `{name}` | {kind if dim is None or dim.is_ratio else dim} |"
        for name, (kind, dim) in BRING_FIELDS.items()
    ]
    return "\n".join(["| field | is |", "|---|---|", *rows])


def functions() -> str:
    """Return the functions as one paragraph."""
    asked = _code(tuple(ASKED))
    return (f"In every expression: {_code(tuple(SCALARS))}, {_code(PROVIDED)}. In tests too: "
            f"{asked}; `sum` and `count` are for tests only.")


def units() -> str:
    """Return the units by dimension."""
    by_dimension: dict[str, list[str]] = {}
    for name, unit in UNITS.items():
        by_dimension.setdefault(str(unit.dimension), []).append(name)
    return "\n".join(f"- {d}: {_code(tuple(names))}" for d, names in by_dimension.items())


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
    if told(cell.name):
        text += f" Takes {told(cell.name)}."
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
    for mark, text in (("cells", table), ("attributes", attributes), ("bring", bring),
                       ("functions", functions), ("units", units), ("names", names)):
        page = _between(page, mark, text())
    return page


def _between(page: str, mark: str, text: str) -> str:
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, rest = page.split(start)
    after = rest.split(end)[1]
    return f"{before}{start}{text}\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
