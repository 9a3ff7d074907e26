"""Checks that a rule writes a cell there is, with a verb it takes, to what it holds."""

from __future__ import annotations

from collections.abc import Iterable

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language.ast import Binary, Call, Expr, Number, Path, Rule, Write
from llamasim.language.bounds import bounds_of
from llamasim.language.cells import CELLS, ELEMENTS, Cell
from llamasim.language.infer import Infer
from llamasim.language.infer_arithmetic import unit_of, within
from llamasim.language.kinds import Kind
from llamasim.language.scope import name_in
from llamasim.units import NONE, Dimension

_FORMS = {
    "set": "set {cell} = ...", "scale": "scale {cell} by ...", "add": "add ... to {cell}",
    "cap": "cap {cell} at ...", "raise": "raise {cell} to ...",
}
_SAYS = {
    "set": "this sets a cell that holds {holds} to {value}",
    "add": "this adds {value} to a cell that holds {holds}",
    "cap": "this caps a cell that holds {holds} at {value}",
    "raise": "this raises a cell that holds {holds} to {value}",
    "scale": "this scales a cell by {value}, and a plain number is needed",
}


def check_write(effect: Write, cell: Cell | None, rule: Rule, infer: Infer) -> None:
    """Check one write."""
    at = _cell_span(effect)
    if cell is None:
        _unknown_cell(effect, at, rule, infer)
        infer.infer(effect.value)
        return
    if effect.verb not in cell.verbs:
        ways = " or ".join(f"`{_FORMS[v].format(cell=cell.name)}`" for v in cell.verbs)
        infer.report("E0206", f"`{cell.name}` cannot be {_past(effect.verb)}",
                     [(effect.span, f"takes {', '.join(cell.verbs)}")], help=(f"write {ways}",))
    if rule.element not in cell.elements and rule.element in ELEMENTS:
        _wrong_element(effect, cell, at, rule, infer)
    if rule.phases and not cell.phased:
        _not_phased(cell, rule, infer)
    if cell.kind == "bool":
        infer.truth(effect.value)
    elif cell.kind == "symbol":
        _symbol(effect, cell, infer)
    else:
        _number(effect, cell, at, rule, infer)


def _past(verb: str) -> str:
    return {"set": "set", "scale": "scaled", "add": "added to", "cap": "capped"}.get(verb, "raised")


def _cell_span(effect: Write) -> Span:
    return name_in(effect.span, effect.cell)


def _unknown_cell(effect: Write, at: Span, rule: Rule, infer: Infer) -> None:
    own = [c.name for c in CELLS.values() if rule.element in c.elements]
    last = effect.cell.rpartition(".")[2]
    same = next((c for c in own if c.rpartition(".")[2] == last), None)
    guess = same or nearest(effect.cell, own) or nearest(effect.cell, CELLS)
    infer.report("E0205", f"there is no cell `{effect.cell}`", [(at, "unknown cell")],
                 help=(f"did you mean `{guess}`?" if guess else
                       f"cells of {rule.element} are {', '.join(own)}",))


def _wrong_element(effect: Write, cell: Cell, at: Span, rule: Rule, infer: Infer) -> None:
    infer.report(
        "E0206", f"`{cell.name}` is a cell of {_list(cell.elements)}, not of {rule.element}",
        [(at, "written here"), (name_in(rule.span, rule.element), "by this rule")],
        help=(f"write a rule `on {cell.elements[0]}`",))


def _list(words: Iterable[str]) -> str:
    return ", ".join(words)


def _not_phased(cell: Cell, rule: Rule, infer: Infer) -> None:
    phrase = name_in(rule.span, "during")
    infer.diagnostics.append(Diagnostic(
        "W0205", f"`{cell.name}` holds for all phases, whatever `during` says",
        (Label(phrase, "has no effect on it"),), severity="warning",
        help=("leave `during` out, or write the cell in a rule of its own",)))


def _symbol(effect: Write, cell: Cell, infer: Infer) -> None:
    kind = infer.infer(effect.value)
    if kind.name == "any":
        return
    if kind.name != "symbol":
        infer.report("E0209", f"`{cell.name}` is set to a word, and this is {kind.text}",
                     [(effect.value.span, kind.text)],
                     help=(f"write for example `set {cell.name} = {_example(cell)}`",))
        return
    allowed = cell.symbols
    wrong = [s for s in kind.symbols or () if allowed is not None and s not in allowed]
    if wrong and allowed is not None:
        guess = nearest(wrong[0], allowed)
        infer.report("E0207", f"`{wrong[0]}` is not a value of `{cell.name}`",
                     [(effect.value.span, f"one of {_list(allowed)}")],
                     help=(f"did you mean `{guess}`?" if guess else
                           f"write one of {_list(allowed)}",))


def _example(cell: Cell) -> str:
    return cell.symbols[0] if cell.symbols else "q4_k"


def _number(effect: Write, cell: Cell, at: Span, rule: Rule, infer: Infer) -> None:
    kind = infer.number(effect.value)
    if kind.name != "number":
        return
    wanted = NONE if effect.verb == "scale" else cell.dimension or NONE
    if kind.dimension != wanted:
        _wrong_dimension(effect, cell, at, rule, infer, kind, wanted)
    else:
        bounds = bounds_of(cell.name, effect.verb)
        within(infer, effect.value, kind, bounds, f"`{cell.name}`")


def _wrong_dimension(
    effect: Write, cell: Cell, at: Span, rule: Rule, infer: Infer, kind: Kind, wanted: Dimension
) -> None:
    message = _SAYS[effect.verb].format(value=_noun(kind.dimension), holds=_noun(wanted))
    ways = [
        _FORMS[effect.verb].format(cell=c.name).replace("...", effect.value.span.text)
        for c in CELLS.values()
        if c.dimension == kind.dimension and rule.element in c.elements and effect.verb in c.verbs
    ]
    if ways:
        help_text = "a cell of that dimension is there:\n" + "\n".join(ways[:3])
    elif kind.dimension.is_ratio:
        help_text = f"write `{with_unit(effect.value, wanted)}`"
    elif wanted.is_ratio and isinstance(effect.value, Number):
        help_text = f"write `{effect.value.value:g}`, without a unit"
    else:
        help_text = f"divide or multiply it until it is {wanted}"
    infer.report("E0201", message, [(effect.value.span, kind.text), (at, f"{wanted}")],
                 help=(help_text,))


def with_unit(value: Expr, wanted: Dimension) -> str:
    """Return how a plain number is written as an amount of some dimension."""
    unit, text = unit_of(wanted, bits=True), value.span.text
    if isinstance(value, Number):
        return f"{text} {unit}"
    product = isinstance(value, Binary) and value.op in ("*", "/")
    factor = text if product or isinstance(value, Path | Call) else f"({text})"
    return f"{factor} * 1 {unit}"


def _noun(dimension: Dimension) -> str:
    if dimension.is_ratio:
        return "a plain number"
    text = str(dimension)
    return text.lower() if text.isalpha() else text
