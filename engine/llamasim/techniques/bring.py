"""Weights that techniques bring along, sized by what they stand beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language import EvalError, Missing, Value, evaluate
from llamasim.language.ast import Bring
from llamasim.model.graph import Block
from llamasim.techniques.elements import Brought, element_names, full_name, selected
from llamasim.techniques.environment import Env
from llamasim.techniques.instances import Instance
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.views import ViewSource
from llamasim.units import Quantity


def brought_weights(
    block: Block,
    instances: Sequence[Instance],
    names: Mapping[tuple[str, ...], Value],
    mesh: Mesh,
) -> tuple[list[Brought], list[Diagnostic]]:
    """Return the weights that techniques bring to a block, in the order of declaration."""
    found: list[Brought] = []
    diagnostics: list[Diagnostic] = []
    source = ViewSource(block, lambda *_: 1, lambda *_: None, 1.0)
    for instance in instances:
        for member in instance.technique.members:
            if not isinstance(member, Bring):
                continue
            if member.what != "weight":
                diagnostics.append(_unsupported(member))
                continue
            for target in _targets(block, member, instance.use.scope):
                env = Env(instance, names, mesh, None, source.of("weight", target))
                added, said = _brought(member, target, env)
                found += added
                diagnostics += said
    return found, diagnostics


def _targets(block: Block, member: Bring, scope: str | None) -> list[str]:
    index = block.layers[0] if block.layers else None
    applied = {op.weight for op in block.ops if op.kind == "matmul"}
    return [
        n for n in element_names(block, "weight")
        if n in applied and selected(full_name(block, index, n), member.globs, (), scope)
    ]


def _brought(member: Bring, target: str, env: Env) -> tuple[list[Brought], list[Diagnostic]]:
    values: dict[str, Value] = {}
    for field in member.fields:
        try:
            values[field.name] = evaluate(field.value, env)
        except (Missing, EvalError) as error:
            return [], [Diagnostic("E0406", f"`{field.name}` has no value here: {error}",
                                   (Label(field.span),), help=("mend the rule",))]
    if values.get("when") is False:
        return [], []
    dim_in, dim_out = values.get("dim_in"), values.get("dim_out")
    if not isinstance(dim_in, Quantity) or not isinstance(dim_out, Quantity):
        return [], [Diagnostic("E0409", f"`bring weight {member.name}` needs dim_in and dim_out",
                               (Label(member.span),), help=("add `dim_in = ...  dim_out = ...`",))]
    return [Brought(target, member.name, int(dim_in.value), int(dim_out.value))], []


def _unsupported(member: Bring) -> Diagnostic:
    return Diagnostic("E0408", "this version simulates no brought ops, only brought weights",
                      (Label(member.span),), help=("bring a weight instead, or add to cost.flops",))
