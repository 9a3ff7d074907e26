"""Checks that patterns can match an element in some model."""

from __future__ import annotations

from collections.abc import Iterable

from llamasim.language.ast import Bring, Glob, Rule
from llamasim.language.cells import ELEMENTS
from llamasim.language.globs import MOST_STARS
from llamasim.language.infer import Infer
from llamasim.language.reach import Names, nearest_pattern
from llamasim.language.scope import name_in

#: Elements that are named by patterns.
NAMED = tuple(e for e in ELEMENTS if e != "step")


def check_patterns(rule: Rule, names: Names, infer: Infer) -> None:
    """Check a rule's patterns, and that `except` leaves something of what they match."""
    if rule.element not in NAMED:
        return
    before = len(infer.diagnostics)
    check_globs((*rule.globs, *rule.excepts), rule.element, names, infer)
    if not rule.excepts or len(infer.diagnostics) > before:
        return
    globs, excepts = ([g.text for g in part] for part in (rule.globs, rule.excepts))
    if not names.left(globs, excepts, rule.element):
        infer.report("E0216", f"`except` leaves no {rule.element} to this rule",
                     [(rule.excepts[0].span, "takes away all that is matched")],
                     help=("narrow `except`, or remove the rule",))


def check_bring(bring: Bring, names: Names, infer: Infer) -> None:
    """Check that a `bring` finds ops to follow, or matrix products to stand beside."""
    before = len(infer.diagnostics)
    if bring.what == "op" and not bring.after:
        infer.report("E0206", f"`{bring.name}` is an op, and ops are brought `after` others",
                     [(name_in(bring.span, "on"), "not beside them")],
                     why="`on` puts a matrix product beside others, from the same input",
                     help=("write `after`",))
    check_globs(bring.globs, "op", names, infer)
    if bring.after or len(infer.diagnostics) > before:
        return
    for glob in bring.globs:
        if not names.products(glob.text):
            infer.report("E0216", "this pattern matches no matrix product of any model",
                         [(glob.span, "ops without a matrix")],
                         why=f"`on` puts `{bring.name}` beside a product, from the same input",
                         help=("write `after` to put it in series, or match products such as "
                               "`*.attn.q`",))


def check_globs(globs: Iterable[Glob], element: str, names: Names, infer: Infer) -> None:
    """Check that each pattern can match an element of a kind in some model."""
    for glob in globs:
        if infer.full:
            return
        if glob.text.count("*") > MOST_STARS:
            infer.report("E0207", f"this pattern has more than {MOST_STARS} stars",
                         [(glob.span, "too many")], help=("write it with fewer, as `*.attn.*`",))
        elif not names.reaches(glob.text, element):
            _unreachable(glob, element, names, infer)


def _unreachable(glob: Glob, element: str, names: Names, infer: Infer) -> None:
    others = [e for e in NAMED if names.reaches(glob.text, e)]
    guess = nearest_pattern(glob.text, element, names)
    last = glob.text.rpartition(".")[2]
    if others:
        ways = [f"write a rule `on {others[0]}`"]
    elif guess is not None:
        ways = [f"did you mean `{guess}`?"]
    else:
        ways = [f"names of {element} are {_examples(names, element)}"]
        if element not in ("kv_cache", "layer") and last.isidentifier():
            ways.append(f"where a technique brings `{last}`, import its module")
    label = f"a name of {_list(others)}" if others else "no model has such a name"
    infer.report("E0216", f"this pattern matches no {element} of any model",
                 [(glob.span, label)], help=ways)


def _list(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


#: As many names as a message lists.
_FEW = 6


def _examples(names: Names, element: str) -> str:
    if element == "layer":
        return "`layers.0`, `layers.1`, ..."
    every = list(dict.fromkeys(n.replace("layers.<i>", "*") for n in names.of(element)))
    inner = [n for n in every if not n.endswith((".bias", ".input"))]
    return ", ".join(f"`{n}`" for n in inner[:_FEW]) + (", ..." if len(inner) > _FEW else "")
