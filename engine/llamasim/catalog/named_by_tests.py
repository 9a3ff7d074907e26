"""Checks what the tests of rule files name: models and clusters of the catalog."""

from __future__ import annotations

from collections.abc import Iterator

from llamasim.catalog.load import find, ids
from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import Given, Module, Test

#: Devices of a node in a test's cluster.
PER_NODE = 8


def unknown_in_tests(module: Module) -> list[Diagnostic]:
    """Return what the tests of a module name and the catalog does not have."""
    givens = (g for i in module.items if isinstance(i, Test) for g in i.givens)
    return [d for g in givens if g.target is not None for d in _given(g, g.target)]


def _given(given: Given, target: str) -> Iterator[Diagnostic]:
    if given.what == "model" and find("models", target) is None:
        yield _unknown("E0234", given, "model", target, _as_written("models"))
    if given.what != "cluster":
        return
    device, _, count = target.rpartition("_")
    if not count.isdigit() or not int(count):
        guess = target if find("devices", target) else _nearest(target, _as_written("devices"))
        yield Diagnostic(
            "E0235", f"`{target}` does not say how many devices",
            (Label(_name(given, target), "DEVICE_COUNT is expected"),),
            help=(f"write `{guess or 'h100_sxm'}_1`, or `_{PER_NODE}` for a whole node",))
    elif find("devices", device) is None:
        yield _unknown("E0235", given, "device", device, _as_written("devices"))
    elif int(count) > PER_NODE and int(count) % PER_NODE:
        more = -(-int(count) // PER_NODE) * PER_NODE
        yield Diagnostic(
            "E0235", f"{int(count)} devices are not whole nodes of {PER_NODE}",
            (Label(_name(given, target), "not whole nodes"),),
            help=(f"write `{device}_{more}`",))


def _as_written(kind: str) -> list[str]:
    """Return ids as names of the language can be written."""
    return [i.replace("-", "_").replace(".", "_") for i in ids(kind)]


def _unknown(code: str, given: Given, noun: str, name: str, known: list[str]) -> Diagnostic:
    guess = _nearest(name, known)
    return Diagnostic(
        code, f"there is no {noun} `{name}`", (Label(_name(given, name), "not in the catalog"),),
        help=(f"did you mean `{guess}`?" if guess else
              f"`llamasim catalog {noun}s` lists them",))


def _nearest(name: str, known: list[str]) -> str | None:
    """Return the known name that a name begins, else the one that it is most like."""
    return next((k for k in known if k.startswith(f"{name}_")), None) or nearest(name, known)


def _name(given: Given, text: str) -> Span:
    span = given.span
    at = span.source.line(span.line).find(text, span.column - 1)
    if at < 0:
        return span
    return Span(span.source, span.line, at + 1, span.line, at + 1 + len(text))
