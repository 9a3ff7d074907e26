"""Where the catalog's files lie, and how one entry is read from them.

A record is read alone: one small file, or one section cut out of a file that holds many. A run
needs half a dozen of some three hundred records, and TOML is slow to parse.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

#: Kinds with one file a record; the others share one file.
_FOLDERS = ("devices", "models", "runtimes")
_HEADER = re.compile(r"^\[([A-Za-z0-9._-]+)\]", re.MULTILINE)
_DROPPED = str.maketrans("", "", "_.- ")


def fold(name: str) -> str:
    """Return what names are compared by: lower case, without `_`, `.`, `-` and spaces."""
    return name.lower().translate(_DROPPED)


@cache
def index(kind: str) -> Mapping[str, str]:
    """Return the ids of a kind by their folded names."""
    if kind in _FOLDERS:
        names = sorted(path.stem for path in (DATA / kind).glob("*.toml"))
    elif kind == "instances":
        names = [row["id"] for row in _rows()]
    else:
        names = [n for n in _HEADER.findall(_text(f"{kind}.toml")) if "." not in n]
    return {fold(name): name for name in names}


@cache
def aliases(kind: str) -> Mapping[str, str]:
    """Return the short names of a kind, folded, and the ids they stand for."""
    table = tomllib.loads(_text("aliases.toml")).get(kind, {})
    return {fold(short): name for short, name in table.items()}


def entry(kind: str, name: str) -> dict[str, Any]:
    """Return one entry as it is written in its file; the name must be an id."""
    if kind in _FOLDERS:
        return tomllib.loads(_text(f"{kind}/{name}.toml"))
    if kind == "instances":
        return dict(next(row for row in _rows() if row["id"] == name))
    text = _section(_text(f"{kind}.toml"), name)
    table: dict[str, Any] = tomllib.loads(text)[name]
    return table


@cache
def fitted() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """Return the figures fitted to measurements: `fabrics`, `devices`, `device_families`."""
    if not (DATA / "fitted.toml").exists():
        return {}
    return tomllib.loads(_text("fitted.toml"))


@cache
def _text(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    return tuple(csv.DictReader(io.StringIO(_text("instances.csv"))))


def _section(text: str, name: str) -> str:
    """Cut `[name]` and its `[name.*]` sub-tables out of a file of many tables."""
    start = end = None
    for match in _HEADER.finditer(text):
        header = match.group(1)
        if header == name:
            start = match.start()
        elif start is not None and not header.startswith(f"{name}."):
            end = match.start()
            break
    return text[start:end]
