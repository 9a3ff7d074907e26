"""The `use:` section, and what goes with it: `choices:` and `prefer:`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from collections.abc import Mapping as Map

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic, Span
from llamasim.language.missing import technique_like
from llamasim.scenario import problems
from llamasim.scenario.nodes import Entry, Mapping, Node, Scalar, Sequence
from llamasim.scenario.spec import Choice, Use, Value
from llamasim.scenario.values import Reading, place, shorten, what_is
from llamasim.units import UNITS, Quantity, parse_quantity
from llamasim.units.quantity import QuantityError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TECHNIQUE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_SCOPE = re.compile(r"[A-Za-z0-9_*]+(\.[A-Za-z0-9_*]+)*")
_LONGEST = 200


def read_uses(reading: Reading, path: str, node: Node, at: Span) -> tuple[Use, ...]:
    """Read a set of techniques; those that are wrong are noted and left out."""
    if not isinstance(node, Mapping):
        reading.add(problems.wrong_kind(path, "a mapping of techniques", what_is(node), at,
                                        _as_mapping(node)))
        return ()
    uses: dict[str, Use] = {}
    for entry in node.entries:
        use = _read_use(reading, path, entry)
        if use is None:
            continue
        if use.instance in uses:
            reading.add(_same_instance(use, uses[use.instance]))
        uses[use.instance] = use
    return tuple(uses.values())


def _as_mapping(node: Node) -> tuple[str, ...]:
    """Return how the user's list reads as a mapping."""
    if isinstance(node, Sequence):
        names = [i.text for i in node.items if isinstance(i, Scalar)]
        names += [i.entries[0].key.text for i in node.items if isinstance(i, Mapping) and i.entries]
        names = [n if "." in n else technique_like(n, [rules_dir()]) or n for n in names[:4]]
        if names:
            return ("write it without dashes:\n" + "\n".join(f"  {n}: {{}}" for n in names[:4]),)
    full = technique_like(node.text, [rules_dir()]) if isinstance(node, Scalar) else None
    if full is not None:
        return (f"write `use: {{{full}: {{}}}}`",)
    return ("write `module.technique: {parameter: value}`",)


def _same_instance(use: Use, other: Use) -> Diagnostic:
    return problems.error(
        "E0514", f"two techniques are called `{use.instance}` here", use.span, "again",
        also=((other.span, "first"),), why="results and conflicts name techniques by this name",
        help=(f"give one another name: `{use.technique} as {use.instance}_2: {{...}}`",))


def _read_use(reading: Reading, path: str, entry: Entry) -> Use | None:
    parts = entry.key.text.split()
    named = len(parts) == 3 and parts[1] == "as"
    technique = parts[0] if parts else ""
    if not (named or len(parts) == 1) or not _TECHNIQUE.fullmatch(technique):
        reading.add(_bad_name(entry.key))
        return None
    instance = parts[2] if named else technique.rpartition(".")[2]
    if not _NAME.fullmatch(instance):
        reading.add(_bad_name(entry.key))
        return None
    args, spans, scope = _read_args(reading, f"{path}.{technique}", entry)
    return Use(instance, technique, args, entry.key.span, spans, scope)


def _bad_name(key: Scalar) -> Diagnostic:
    text = shorten(key.text)
    if "." not in text:
        why = "a technique is named with its module: `family.module.technique`"
    else:
        why = "a technique is `module.technique`, or `module.technique as NAME`"
    close = technique_like(text, [rules_dir()])
    ways = ("see `llamasim doc` for all techniques and their modules",)
    return problems.error("E0514", f"`{text}` is not the name of a technique", key.span,
                          "not a technique", why=why,
                          help=(*((f"did you mean `{close}`?",) if close else ()), *ways))


def _parameter(name: str) -> str:
    if "=" in name:
        left, _, right = name.partition("=")
        return f"write `{left.strip()}: {right.strip()}`"
    return "parameters are words such as `degree`"


def _read_args(
    reading: Reading, path: str, entry: Entry
) -> tuple[Map[str, Value], Map[str, Span], str | None]:
    node = entry.value
    args: dict[str, Value] = {}
    spans: dict[str, Span] = {}
    scope: str | None = None
    if isinstance(node, Scalar) and node.null:
        return args, spans, scope
    if not isinstance(node, Mapping):
        ways = (f"write `{entry.key.text}: {{parameter: value}}`, or `{{}}` for its defaults",)
        reading.add(problems.wrong_kind(path, "a mapping of parameters", what_is(node),
                                        place(node, entry.key), ways))
        return args, spans, scope
    for item in node.entries:
        name, span = item.key.text, place(item.value, item.key)
        if name == "scope":
            scope = _scope(reading, path, item)
            spans["scope"] = span
        elif not _NAME.fullmatch(name):
            reading.add(problems.error("E0514", f"`{shorten(name)}` cannot name a parameter",
                                       item.key.span, "not a name",
                                       help=(_parameter(name),)))
        elif (value := _value(reading, f"{path}.{name}", item)) is not None:
            args[name], spans[name] = value, span
    return args, spans, scope


def _scope(reading: Reading, path: str, item: Entry) -> str | None:
    node = item.value
    if isinstance(node, Scalar) and _SCOPE.fullmatch(node.text):
        return node.text
    ways = ('write `scope: "*.attn.*"`',)
    reading.add(problems.wrong_kind(f"{path}.scope", "a pattern of element names", what_is(node),
                                    place(node, item.key), ways))
    return None


def _value(reading: Reading, path: str, item: Entry) -> Value | None:
    """Return a parameter: a flag, a number with or without unit, or a word."""
    node = item.value
    ways: tuple[str, ...]
    if not isinstance(node, Scalar) or node.null or len(node.text) > _LONGEST:
        ways = (f"write `{item.key.text}: value`, or leave it out for its default",)
        reading.add(problems.wrong_kind(path, "a number, a word, true or false", what_is(node),
                                        place(node, item.key), ways))
        return None
    if not node.quoted and node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    try:
        quantity = parse_quantity(node.text)
    except QuantityError as reason:
        if reason.unit is None or node.quoted:
            return node.text
        ways = problems.did_you_mean(reason.unit, UNITS, "units")[:1]
        reading.add(problems.error("E0508", f"`{path}` has an unknown unit", node.span,
                                   str(reason), help=ways or ("put a text in quotes",)))
        return None
    return _finite(reading, path, node, quantity)


def _finite(reading: Reading, path: str, node: Scalar, quantity: Quantity) -> Quantity | None:
    if math.isfinite(quantity.value):
        return quantity
    reading.add(problems.error("E0509", f"`{path}` is not a finite number", node.span, "too large",
                               help=("write a smaller number",)))
    return None


def read_choices(reading: Reading, node: Node, at: Span) -> tuple[Choice, ...]:
    """Read the knobs of `optimize`."""
    if not isinstance(node, Mapping):
        ways = ("write `choices: {KNOB: {LABEL: {module.technique: {}}, none: {}}}`",)
        reading.add(problems.wrong_kind("choices", "a mapping of knobs", what_is(node), at, ways))
        return ()
    found: list[Choice] = []
    for knob in node.entries:
        path, span = f"choices.{knob.key.text}", place(knob.value, knob.key)
        if not isinstance(knob.value, Mapping) or not knob.value.entries:
            ways = (f"write `{knob.key.text}: {{none: {{}}, LABEL: {{module.technique: {{}}}}}}`",)
            reading.add(problems.wrong_kind(path, "a mapping of alternatives", what_is(knob.value),
                                            span, ways))
            continue
        options = tuple(_option(reading, path, e) for e in knob.value.entries)
        found.append(Choice(knob.key.text, options))
    return tuple(found)


def _option(reading: Reading, path: str, entry: Entry) -> tuple[str, tuple[Use, ...]]:
    label = entry.key.text
    if isinstance(entry.value, Scalar) and entry.value.null:
        return label, ()
    at = place(entry.value, entry.key)
    return label, read_uses(reading, f"{path}.{label}", entry.value, at)


def check_prefer(
    reading: Reading, prefer: Map[str, Scalar], uses: Iterable[Use], choices: Iterable[Choice]
) -> dict[str, str]:
    """Hold `prefer` to the cells there are and the techniques in use."""
    if not prefer:
        return {}
    # The language room costs a parser at import; only this check needs its table.
    from llamasim.language.cells import CELLS, ELEMENTS

    every = [*uses, *(u for c in choices for _, option in c.options for u in option)]
    known = {u.technique for u in every} | {u.instance for u in every}
    cells = [f"{e}.{c.name}" for c in CELLS.values() for e in c.elements]
    for cell, node in prefer.items():
        element, _, rest = cell.partition(".")
        span = reading.spans.get(f"prefer.{cell}@key", node.span)
        if element not in ELEMENTS or rest not in CELLS or element not in CELLS[rest].elements:
            reading.add(problems.error("E0516", f"there is no cell `{shorten(cell)}`", span,
                                       "unknown cell",
                                       help=problems.did_you_mean(cell, cells, "cells")))
        if node.text not in known:
            ways = problems.did_you_mean(node.text, known, "in use")
            reading.add(problems.error(
                "E0516", f"`{shorten(node.text)}` is preferred and not in use", node.span,
                "not in `use` or `choices`", help=ways or ("add it to `use`",)))
    return {cell: node.text for cell, node in prefer.items()}
