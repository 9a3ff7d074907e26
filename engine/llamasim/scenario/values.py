"""Reading one value by its field: numbers with units, words, flags, lists."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs

from llamasim.diagnostics import Diagnostic, Span
from llamasim.scenario import problems
from llamasim.scenario.fields import Field
from llamasim.scenario.habits import units_of
from llamasim.scenario.nodes import MAX_FINDINGS, Mapping, Node, Scalar, Sequence
from llamasim.units import TIME, UNITS, Quantity, parse_quantity
from llamasim.units.quantity import QuantityError
from llamasim.units.spelling import or_list


class Enough(Exception):  # noqa: N818 - ends a reading, never reaches a user
    """As many findings as a user is told."""


@attrs.define
class Reading:
    """What one reading has found so far: the file's folder, diagnostics, spans, inferred values."""

    folder: Path
    found: list[Diagnostic] = attrs.Factory(list)
    spans: dict[str, Span] = attrs.Factory(dict)
    inferred: dict[str, str] = attrs.Factory(dict)

    def add(self, diagnostic: Diagnostic) -> None:
        """Note a finding.

        Raises:
            Enough: so much is wrong that no more need be found; `read` ends there.

        """
        self.found.append(diagnostic)
        if len(self.found) >= MAX_FINDINGS:
            raise Enough


def what_is(node: Node) -> str:
    """Return what a node is, in words."""
    if isinstance(node, Mapping):
        return "a mapping (`key: value`)"
    if isinstance(node, Sequence):
        return "a list"
    return "empty" if node.null else f"`{shorten(node.text)}`"


def shorten(text: str) -> str:
    """Return a text short enough for a message."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 60 else flat[:57] + "..."


def place(node: Node, key: Scalar | None = None) -> Span:
    """Return where to point for a value: its key where the value takes several lines."""
    if key is not None and (node.span.end_line > node.span.line or _null(node)):
        return key.span
    return node.span


def _null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.null


def read_keys(
    reading: Reading, path: str, node: Mapping, fields: Iterable[Field], at: Span
) -> dict[str, Any]:
    """Read the keys of a mapping by their fields; nested kinds are returned as nodes.

    Errors: unknown keys, missing required keys, and whatever single values have. A key whose value
    is wrong is left out of the result.
    """
    table = {f.key: f for f in fields}
    values: dict[str, Any] = {}
    for entry in node.entries:
        field = table.get(entry.key.text)
        full = f"{path}.{entry.key.text}" if path else entry.key.text
        if field is None:
            known = [*table]
            reading.add(problems.unknown_key(shorten(entry.key.text), path, known, entry.key.span))
        elif not _null(entry.value):
            value = read_value(reading, field, full, entry.value, place(entry.value, entry.key))
            if value is not None:
                values[field.key] = value
    for field in table.values():
        entry_ = node.get(field.key)
        if field.required and (entry_ is None or _null(entry_.value)):
            full = f"{path}.{field.key}" if path else field.key
            reading.add(problems.missing(full, entry_.key.span if entry_ else at, field.doc,
                                         field.example))
    return values


def read_value(reading: Reading, field: Field, path: str, node: Node, at: Span) -> Any:
    """Return the value of one field, or None once what is wrong has been noted."""
    if field.kind in ("section", "record", "uses", "choices"):
        return node
    if field.kind == "names":
        return _names(reading, path, node, at)
    if field.kind == "pairs":
        return _pairs(reading, path, node, at)
    if field.kind == "rates":
        return _rates(reading, field, path, node, at)
    if not isinstance(node, Scalar):
        ways = (f"write `{field.key}: {field.example}`",) if field.example else ("write one value",)
        reading.add(problems.wrong_kind(path, "a single value", what_is(node), at, ways))
        return None
    if field.kind == "text":
        return node.text
    if field.kind == "flag":
        return _flag(reading, path, node)
    if field.kind == "choice":
        if node.text in field.options:
            return node.text
        reading.add(problems.unknown_word(path, shorten(node.text), field.options, node.span))
        return None
    return read_number(reading, field, path, node)


def _flag(reading: Reading, path: str, node: Scalar) -> bool | None:
    if node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    ways = ("write `true` or `false`",)
    reading.add(problems.wrong_kind(path, "true or false", what_is(node), node.span, ways))
    return None


def read_number(reading: Reading, field: Field, path: str, node: Scalar) -> float | int | None:
    """Read a number of the field's dimension, in the unit of the engine's record."""
    quantity = read_quantity(reading, field, path, node)
    if quantity is None or not _in_range(reading, field, path, node, quantity.value):
        return None
    return int(quantity.value) if field.kind == "integer" else quantity.value * field.scale


def read_quantity(reading: Reading, field: Field, path: str, node: Scalar) -> Quantity | None:
    """Parse a number with its unit and hold it to the field's dimension."""
    wanted = field.dimension
    assert wanted is not None
    way = f"write `{field.key}: {field.example}`" if field.example else ""
    try:
        quantity = parse_quantity(node.text)
    except QuantityError as reason:
        ways: tuple[str, ...] = (way,) if way else ()
        if reason.unit is not None:
            known = units_of(reason.unit, wanted)
            near = [u for u, unit in UNITS.items() if unit.dimension == wanted]
            close = problems.did_you_mean(reason.unit, near, "units")[:1] if near else ()
            guess = (f"did you mean {or_list(known)}?",) if known else tuple(
                c for c in close if c.startswith("did"))
            ways = (*guess, *ways)
        reading.add(problems.error("E0508", f"`{path}` needs a number"
                                   + ("" if wanted.is_ratio else f" of {wanted}"), node.span,
                                   str(reason), help=ways or ("write a plain number",)))
        return None
    if quantity.dimension == wanted:
        return quantity
    if quantity.dimension.is_ratio:
        if field.plain:
            return Quantity(quantity.value, wanted)
        unit = (field.example or "1 unit").partition(" ")[2]
        reading.add(problems.error("E0508", f"`{path}` needs a unit", node.span, f"of {wanted}",
                                   help=(f"write `{field.key}: {node.text.strip()} {unit}`",)))
        return None
    if quantity.dimension / TIME == wanted and field.example.endswith("/s"):
        way = f"write `{field.key}: {node.text.strip()}/s`"
    reading.add(problems.error(
        "E0508", f"`{path}` is {wanted}, and `{shorten(node.text)}` is {quantity.dimension}",
        node.span, f"{wanted} is expected here", help=(way or "write a plain number",)))
    return None


def _in_range(reading: Reading, field: Field, path: str, node: Scalar, value: float) -> bool:
    limits = limits_text(field)
    if field.low is not None and field.low == field.high and value != field.low:
        only = f"{field.low:g}"
        reading.add(problems.error("E0518", f"`{path}` must be {only}", node.span,
                                   f"this program knows {only} only",
                                   help=(f"write `{field.key}: {only}`",)))
        return False
    if not math.isfinite(value):
        problem = "is not a finite number"
    elif field.kind == "integer" and value != int(value):
        problem = "is not a whole number"
    elif field.low is not None and (value < field.low or (field.above and value == field.low)):
        problem = "is too small"
    elif 0 < abs(value) < _NEAREST_ZERO:
        problem = "is closer to 0 than anything real"
    elif field.high is not None and value > field.high:
        problem = "is too large"
        limits = limits if field.high < 2**62 else f"at most {field.high:.3g}, in base units"
    else:
        return True
    reading.add(problems.error("E0509", f"`{path}` {problem}", node.span, limits,
                               help=(f"give a number that is {limits}",)))
    return False


#: Dividing by less, results would be too large to be told.
_NEAREST_ZERO = 1e-15


def limits_text(field: Field) -> str:
    """Return the allowed range in words."""
    kind = "whole" if field.kind == "integer" else "finite"
    if field.low is None:
        return kind
    low = f"above {field.low:g}" if field.above else f"at least {field.low:,.12g}"
    if field.high is None or field.high >= 2**62:
        return f"{kind} and {low}"
    return f"{kind}, {low} and at most {field.high:,.12g}"


def _names(reading: Reading, path: str, node: Node, at: Span) -> tuple[str, ...] | None:
    items = node.items if isinstance(node, Sequence) else (node,)
    names: list[str] = []
    for item in items:
        if not isinstance(item, Scalar) or item.null:
            span = item.span if items is not (node,) else at
            ways = (f"write `{path.rpartition('.')[2]}: [first, second]`",)
            reading.add(problems.wrong_kind(path, "a list of words", what_is(item), span, ways))
            return None
        names.append(item.text)
    return tuple(names)


def _pairs(reading: Reading, path: str, node: Node, at: Span) -> dict[str, Scalar] | None:
    if not isinstance(node, Mapping):
        ways = (f"write `{path}: {{key: value}}`",)
        reading.add(problems.wrong_kind(path, "a mapping", what_is(node), at, ways))
        return None
    pairs: dict[str, Scalar] = {}
    for entry in node.entries:
        if isinstance(entry.value, Scalar) and not entry.value.null:
            pairs[entry.key.text] = entry.value
        else:
            reading.add(problems.wrong_kind(f"{path}.{entry.key.text}", "a single word",
                                            what_is(entry.value), place(entry.value, entry.key),
                                            ("write one name",)))
    return pairs


def _rates(
    reading: Reading, field: Field, path: str, node: Node, at: Span
) -> dict[str, float] | None:
    if not isinstance(node, Mapping):
        ways = (f"write `{field.key}: {field.example}`",)
        reading.add(problems.wrong_kind(path, "a mapping", what_is(node), at, ways))
        return None
    rates: dict[str, float] = {}
    for entry in node.entries:
        full, key = f"{path}.{entry.key.text}", shorten(entry.key.text)
        one = attrs.evolve(field, kind="number", path=key, example="100 TFLOPS")
        if field.options and entry.key.text not in field.options:
            reading.add(problems.unknown_key(key, path, field.options, entry.key.span))
        elif (value := read_value(reading, one, full, entry.value, entry.key.span)) is not None:
            rates[key] = value
    return rates
