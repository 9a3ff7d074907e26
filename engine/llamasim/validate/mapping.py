"""From a row's columns to techniques and their parameters, as a data file says.

The file has tables in order: `spelling` turns other spellings of names into those of the catalog,
`note` reads a pattern in the free text into a column of its own, `default` fills blanks with what a
runtime does when nothing is said, `refuse` names rows that cannot be expressed, `use` gives
techniques. Each applies to the rows that its `when` describes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping as Map
from pathlib import Path
from typing import Any

import attrs

from llamasim.assets import rules_dir
from llamasim.units import Quantity, parse_quantity
from llamasim.validate.files import Row

_COMPARE = re.compile(r"(>=|<=|>|<)\s*(-?[\d.]+)$")


@attrs.frozen
class Mapped:
    """What a row comes to.

    Attributes:
        columns: the row's texts with blanks filled.
        uses: techniques with their parameters.
        scopes: what narrows a technique, where something does.
        refused: why the row cannot be expressed, if it cannot.

    """

    columns: Map[str, str]
    uses: Map[str, Map[str, bool | str | Quantity]]
    refused: str = ""
    scopes: Map[str, str] = attrs.field(factory=dict)


@attrs.frozen
class Mapping:
    """A mapping file."""

    tables: Map[str, Any]

    def apply(self, row: Row) -> Mapped:
        """Return what a row comes to."""
        columns = self._spelled(row.texts)
        for entry in self._entries("note"):
            text = " ".join(columns.get(c, "") for c in ("notes", "source", "finetune"))
            if matches(entry.get("when", {}), columns):
                found = re.search(entry["pattern"], text, re.IGNORECASE)
                if found:
                    columns[entry["column"]] = found[1] if found.groups() else entry["value"]
        for entry in self._entries("default"):
            if matches(entry.get("when", {}), columns):
                columns |= {k: _filling(v, columns) for k, v in entry["set"].items()
                            if not columns.get(k)}
        for entry in self._entries("refuse"):
            if matches(entry.get("when", {}), columns):
                return Mapped(columns, {}, entry["because"])
        used = [e for e in self._entries("use") if matches(e.get("when", {}), columns)]
        uses = {
            entry["technique"]: {k: _argument(v, columns) for k, v in entry.get("args", {}).items()}
            for entry in used
        }
        scopes = {e["technique"]: str(e["scope"]) for e in used if "scope" in e}
        return Mapped(columns, uses, scopes=scopes)

    def _spelled(self, texts: Map[str, str]) -> dict[str, str]:
        """Return columns with names as the catalog and the tables spell them.

        A pattern that is found gives its column a `value`, or has `becomes` put in its place; its
        named groups fill columns of their names. After a `value` a column is settled.
        """
        columns, settled = dict(texts), set[str]()
        for entry in self._entries("spelling"):
            name = entry["column"]
            found = re.search(entry["pattern"], columns.get(name, ""), re.IGNORECASE)
            if name in settled or not found or not columns.get(name):
                continue
            columns |= {k: v for k, v in found.groupdict().items() if v and not columns.get(k)}
            if "value" in entry:
                settled.add(name)
                columns[name] = found.expand(entry["value"])
            else:
                columns[name] = re.sub(
                    entry["pattern"], entry["becomes"], columns[name], flags=re.IGNORECASE
                ).strip(" -_,")
        return columns

    def _entries(self, name: str) -> Iterable[Map[str, Any]]:
        found: Iterable[Map[str, Any]] = self.tables.get(name, ())
        return found


def read_mapping(name: str) -> Mapping:
    """Return a shipped mapping (`training`, `inference`)."""
    path = Path(rules_dir()) / "validation" / f"{name}.toml"
    return Mapping(tomllib.loads(path.read_text(encoding="utf-8")))


def matches(when: Map[str, Any], columns: Map[str, str]) -> bool:
    """Whether columns are as a condition describes them, all of it.

    A column is described by a word or number, a list of them, `given`, `blank`, a comparison
    (`> 1`) or a pattern between slashes.
    """
    return all(_fits(columns.get(column, ""), wanted) for column, wanted in when.items())


def _fits(text: str, wanted: Any) -> bool:
    if isinstance(wanted, list):
        return any(_fits(text, w) for w in wanted)
    form = str(wanted)
    if form in ("given", "blank"):
        return bool(text) == (form == "given")
    if form.startswith("/") and form.endswith("/") and len(form) > 1:
        return re.search(form[1:-1], text, re.IGNORECASE) is not None
    compared = _COMPARE.match(form)
    if compared:
        return _compared(text, compared[1], float(compared[2]))
    return text == form


def _compared(text: str, sign: str, bound: float) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    return {">": value > bound, "<": value < bound, ">=": value >= bound,
            "<=": value <= bound}[sign]


def _filling(value: Any, columns: Map[str, str]) -> str:
    """Return what fills a blank: a constant, or another column's text (`$column`)."""
    text = str(value)
    return columns.get(text[1:], "") if text.startswith("$") else text


def _argument(value: Any, columns: Map[str, str]) -> bool | str | Quantity:
    """Return a parameter: a constant, a quantity with a unit, or `$column`."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return Quantity(float(value))
    if value.startswith("$"):
        value = columns[value[1:]]
    try:
        return parse_quantity(value)
    except ValueError:
        return str(value)
