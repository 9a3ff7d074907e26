"""Warns of patterns and scopes that name nothing in the model at hand, with the nearest names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language.ast import Bring
from llamasim.language.cells import TENSORS
from llamasim.language.reach import Names, nearest_pattern
from llamasim.model.graph import Graph
from llamasim.techniques import blocks
from llamasim.techniques.collect import RuleUse
from llamasim.techniques.elements import element_names, matched, texts
from llamasim.techniques.instances import Instance

_NAMED = (*TENSORS, "op")


def unmatched(
    graph: Graph, rules: Sequence[RuleUse], others: Collection[str] = ()
) -> list[Diagnostic]:
    """Return what is wrong with scopes, and which rules find no element of this model; those about
    the `others` that run beside it are left to them.
    """
    here = names_here(graph)
    found: dict[str, Diagnostic] = {}
    for use in rules:
        instance = use.instance
        scope = instance.use.scope
        if scope is not None and scope.partition(".")[0] in others:
            continue
        if scope is not None and not _within(graph, _elements(rules, instance), scope):
            problem = _scope(scope, instance, _elements(rules, instance), here)
            found.setdefault(f"{instance.use.instance} {scope}", problem)
        elif use.rule.globs and not _elsewhere(use, others) and not _selects(graph, use):
            found[f"{use.key}"] = _rule(use, here)
    return list(found.values())


def unused_brings(
    graph: Graph, instances: Sequence[Instance], used: set[tuple[str, int]]
) -> list[Diagnostic]:
    """Return which `bring`s found no op of this model; a `scope` leaves some out on purpose.

    `used` are those that found one, by instance and number of the member.
    """
    here, found = names_here(graph), []
    for instance in instances:
        for number, member in enumerate(instance.technique.members):
            if not isinstance(member, Bring) or (instance.use.instance, number) in used:
                continue
            if instance.use.scope is None or not _at_ops(graph, member):
                found.append(_bring(member, instance, here))
    return found


def _at_ops(graph: Graph, member: Bring) -> bool:
    """Whether a `bring` would find an op without a scope."""
    for block in graph.blocks:
        kinds = {op.name: op.kind for op in block.ops}
        for index in block.layers or (None,):
            chosen = matched(block, index, "op", texts(member.globs), (), None)
            if any(member.after or kinds[n] == "matmul" for n in chosen):
                return True
    return False


def _bring(member: Bring, instance: Instance, here: Names) -> Diagnostic:
    near = next(filter(None, (nearest_pattern(g.text, "op", here) for g in member.globs)), None)
    return Diagnostic(
        "W0401", f"`bring {member.what} {member.name}` finds no op to stand at here",
        (Label(member.globs[0].span, "this model has no such op"),
         Label(instance.use.span, "in `use`", primary=False)),
        severity="warning",
        help=(f"did you mean `{near}`?" if near else
              "name matrix products after `on`, any ops after `after`",),
    )


def names_here(graph: Graph) -> Names:
    """Return the names that patterns can match in one model, with what is brought to it."""
    found: dict[str, dict[str, None]] = {}
    for element in _NAMED:
        for block in graph.blocks:
            prefix = "layers.<i>." if block.layers else ""
            names = found.setdefault(element, {})
            names.update((prefix + n, None) for n in element_names(block, element))
    return Names(only={e: tuple(n) for e, n in found.items()})


def _elements(rules: Iterable[RuleUse], instance: Instance) -> tuple[str, ...]:
    """Return the kinds of elements that a technique's rules are about, if they have names."""
    used = {u.rule.element for u in rules if u.instance is instance}
    return tuple(e for e in _NAMED if e in used)


def _within(graph: Graph, elements: Sequence[str], scope: str) -> bool:
    """Whether a scope holds any element of some kinds; where there are none, it has no say."""
    return not elements or any(
        matched(b, index, e, (), (), scope)
        for b in graph.blocks for e in elements for index in (b.layers or (None,))
    )


def _elsewhere(use: RuleUse, others: Collection[str]) -> bool:
    """Whether a rule's patterns are all about a further model."""
    return all(g.text.partition(".")[0] in others for g in use.rule.globs)


def _selects(graph: Graph, use: RuleUse) -> bool:
    """Whether a rule finds an element; what only a scope leaves out is left out on purpose."""
    rule = use.rule
    if use.instance.use.scope is None:
        return blocks.any_selected(use, graph)
    return any(
        matched(b, index, rule.element, texts(rule.globs), texts(rule.excepts), None)
        for b in graph.blocks for index in (b.layers or (None,))
    )


def _rule(use: RuleUse, here: Names) -> Diagnostic:
    rule = use.rule
    near = nearest_pattern(rule.globs[0].text, rule.element, here)
    return Diagnostic(
        "W0401", f"a rule of {use.instance.technique.name} matches no {rule.element} here",
        (Label(rule.globs[0].span, "this model has no such name"),
         Label(use.instance.use.span, "in `use`", primary=False)),
        severity="warning",
        help=(f"did you mean `{near}`?",) if near else (
            f"leave `{use.instance.name}` out, or use a model that has it",),
    )


def _scope(
    scope: str, instance: Instance, elements: Sequence[str], here: Names
) -> Diagnostic:
    """Return the finding about a scope: a mistake where no model has what it names."""
    possible = any(Names().reaches(scope, e) for e in elements)
    near = next(filter(None, (nearest_pattern(scope, e, here) for e in elements)), None)
    examples = ", ".join(f'"{n}"' for n in ("*.attn.*", "layers.0.*", "embed"))
    kinds = ", ".join(elements)
    span = instance.use.arg_spans.get("scope", instance.use.span)
    return Diagnostic(
        "W0401" if possible else "E0418",
        f"the scope `{scope}` holds no {kinds} of {'this' if possible else 'any'} model",
        (Label(span, "nothing has such a name"),),
        severity="warning" if possible else "error",
        why=f"{instance.name} has rules on {kinds}",
        help=(f'did you mean `scope: "{near}"`?' if near else f"write for example {examples}",),
    )

