"""The techniques in use, with their parameters bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label, Span
from llamasim.language import Program, Value, bind
from llamasim.language.ast import Conflicts, Const, Expr, Function, Let, Module, Refines, Technique
from llamasim.scenario.spec import Scenario, Use


@attrs.frozen
class Instance:
    """One use of a technique.

    Attributes:
        name: full dotted name of the technique.
        params: bound parameters; `lets` and `consts` are evaluated where they are read.

    """

    name: str
    use: Use
    module: Module
    technique: Technique
    params: Mapping[str, Value]
    lets: Mapping[str, Expr]
    consts: Mapping[str, Expr]
    functions: Mapping[str, Function]

    @property
    def refined(self) -> frozenset[str]:
        """Techniques whose `set`s this one replaces."""
        return frozenset(m.other for m in self.technique.members if isinstance(m, Refines))


def instantiate(
    scenario: Scenario, program: Program
) -> tuple[list[Instance], list[Diagnostic]]:
    """Bind every use, in an order that does not depend on the scenario's."""
    instances: list[Instance] = []
    diagnostics: list[Diagnostic] = []
    for use in sorted(scenario.use, key=lambda u: (u.technique, u.instance)):
        found = program.technique(use.technique)
        if found is None:
            continue  # `load` has said so
        module, technique = found
        params, said = bind(module, technique, use.args, use.arg_spans, use.span)
        diagnostics += said
        if not any(d.is_error for d in said):
            instances.append(_instance(use, module, technique, params))
    return instances, diagnostics + _conflicts(instances)


def _instance(
    use: Use, module: Module, technique: Technique, params: Mapping[str, Value]
) -> Instance:
    return Instance(
        name=use.technique,
        use=use,
        module=module,
        technique=technique,
        params=params,
        lets={m.name: m.value for m in technique.members if isinstance(m, Let)},
        consts={i.name: i.value for i in module.items if isinstance(i, Const)},
        functions={i.name: i for i in module.items if isinstance(i, Function)},
    )


def _conflicts(instances: Sequence[Instance]) -> list[Diagnostic]:
    by_name = {i.name: i for i in instances}
    found = []
    for instance in instances:
        for member in instance.technique.members:
            if not isinstance(member, Conflicts):
                continue
            other = by_name.get(resolve_name(member.other, instance.module))
            if other is not None and other is not instance:
                found.append(_conflict(instance, other, member.span, member.because or ""))
    return found


def resolve_name(name: str, module: Module) -> str:
    """Return the full name of a technique that a module refers to, through its imports."""
    head, _, rest = name.partition(".")
    for imported in module.imports:
        if imported.alias == head and rest:
            return f"{imported.module}.{rest}"
    return name if "." in name else f"{module.name}.{name}"


def _conflict(a: Instance, b: Instance, rule: Span, because: str) -> Diagnostic:
    return Diagnostic(
        "E0403",
        f"{a.technique.name} and {b.technique.name} cannot be used together",
        (
            Label(a.use.span, "used here"),
            Label(b.use.span, "and here", primary=False),
            Label(rule, "refused by this rule", primary=False),
        ),
        why=because,
        help=(f"remove `{a.use.technique}` or `{b.use.technique}` from `use`",),
    )
