"""The techniques in use, with their parameters bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from llamasim import catalog
from llamasim.catalog.specs import Model
from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language import Program, Symbol, Value, bind
from llamasim.language.ast import (
    Axis,
    Bring,
    Conflicts,
    Const,
    Expr,
    ExtraModel,
    Function,
    Let,
    Module,
    Param,
    Path,
    Refines,
    Rule,
    Technique,
)
from llamasim.model import resolve
from llamasim.model.graph import Graph
from llamasim.scenario.spec import Scenario, Use


@attrs.frozen
class Instance:
    """One use of a technique.

    Attributes:
        name: full dotted name of the technique.
        params: bound parameters; `lets` and `consts` are evaluated where they are read.
        models: further models by the names that the rules give them.

    """

    name: str
    use: Use
    module: Module
    technique: Technique
    params: Mapping[str, Value]
    lets: Mapping[str, Expr]
    consts: Mapping[str, Expr]
    functions: Mapping[str, Function]
    models: Mapping[str, Graph] = attrs.field(factory=dict, eq=False, repr=False)

    @property
    def refined(self) -> frozenset[str]:
        """Techniques whose `set`s this one replaces."""
        return frozenset(self.module.full_name(m.other) for m in self.technique.members
                         if isinstance(m, Refines))


def instantiate(
    scenario: Scenario, program: Program
) -> tuple[list[Instance], list[Diagnostic]]:
    """Bind every use, in an order that does not depend on the scenario's."""
    instances: list[Instance] = []
    diagnostics: list[Diagnostic] = []
    for use in sorted(scenario.use, key=lambda u: (u.technique, u.instance)):
        found = program.technique(use.technique)
        if found is None:
            diagnostics += _only_a_module(use, program)
            continue  # `load` has said what else there is to say
        module, technique = found
        params, said = bind(module, technique, use.args, use.arg_spans, use.span)
        diagnostics += said
        if not any(d.is_error for d in said):
            models, said = _models(use, technique, params, scenario.model)
            diagnostics += said
            if said:
                continue  # what reads the model would only say so again
            instances.append(_instance(use, module, technique, params, models))
    return instances, diagnostics + _conflicts(instances)


def _instance(
    use: Use, module: Module, technique: Technique, params: Mapping[str, Value],
    models: Mapping[str, Graph],
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
        models=models,
    )


def about(instance: Instance, model: str) -> Instance:
    """Return what a technique says of one of its further models: what names that model."""
    kept = tuple(
        m for m in instance.technique.members
        if isinstance(m, Param | Let | Axis) or (
            isinstance(m, Rule | Bring) and m.globs
            and all(g.text.startswith(f"{model}.") for g in m.globs)
        )
    )
    return attrs.evolve(instance, technique=attrs.evolve(instance.technique, members=kept))


def _models(
    use: Use, technique: Technique, params: Mapping[str, Value], main: Model
) -> tuple[dict[str, Graph], list[Diagnostic]]:
    """Return the models that parameters name, by parameter and by `model NAME = ...`; `model` is
    the scenario's own.
    """
    found: dict[str, Graph] = {}
    diagnostics: list[Diagnostic] = []
    named: dict[str, str] = {}
    unknown: set[str] = set()
    for member in technique.members:
        if isinstance(member, Param) and member.type == "Model":
            value = params.get(member.name)
            if isinstance(value, Symbol):
                named[member.name] = value.name
        elif isinstance(member, ExtraModel) and isinstance(member.value, Path):
            named[member.name] = named.get(member.value.text, member.value.text)
    for name, wanted in named.items():
        model = main if wanted == "model" else catalog.get_model(wanted)
        if model is not None:
            found[name] = resolve(model, name)
        elif wanted not in unknown:
            unknown.add(wanted)
            diagnostics.append(_unknown_model(use, name, wanted))
    return found, diagnostics


def _unknown_model(use: Use, name: str, wanted: str) -> Diagnostic:
    near = nearest(wanted, catalog.ids("models"))
    return Diagnostic(
        "E0234", f"there is no model `{wanted}`",
        (Label(use.arg_spans.get(name, use.span), "not in the catalog"),),
        help=(f"did you mean `{near}`?" if near else "`llamasim catalog models` lists them",),
    )


def _only_a_module(use: Use, program: Program) -> list[Diagnostic]:
    """Return the finding that `use` names a rule file and none of its techniques."""
    module = program.modules.get(use.technique)
    own = [i.name for i in module.items if isinstance(i, Technique)] if module else []
    if not own:
        return []
    return [Diagnostic(
        "E0221", f"`{use.technique}` is a rule file, not a technique",
        (Label(use.span, "a technique of it is needed"),),
        help=(f"write `{use.technique}.{own[0]}`" if len(own) == 1 else
              "write one of " + ", ".join(f"`{use.technique}.{n}`" for n in own),))]


def _conflicts(instances: Sequence[Instance]) -> list[Diagnostic]:
    by_name = {i.name: i for i in instances}
    found = []
    for instance in instances:
        for member in instance.technique.members:
            if not isinstance(member, Conflicts):
                continue
            other = by_name.get(instance.module.full_name(member.other))
            if other is not None and other is not instance:
                found.append(_conflict(instance, other, member.span, member.because or ""))
    return found


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
