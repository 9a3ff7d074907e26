"""Weights and ops that techniques bring along, sized by what they stand beside or follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llamasim.diagnostics import Diagnostic, Label
from llamasim.language import EvalError, Missing, Symbol, Value, evaluate
from llamasim.language.ast import Bring, BringField, Effect, Glob, Rule, Write
from llamasim.model.graph import Block
from llamasim.techniques.elements import element_names, matched, texts
from llamasim.techniques.environment import Env
from llamasim.techniques.graft import Brought, Grafts
from llamasim.techniques.instances import Instance
from llamasim.techniques.mesh import Mesh
from llamasim.techniques.views import ViewSource
from llamasim.units import Quantity

#: Fields of `bring` that are writes to a cell of what is brought.
_CELLS = {
    "bits": ("set", "numerics.bits"),
    "trainable": ("set", "trainable"),
    "flops": ("add", "cost.flops"),
    "read": ("add", "cost.read"),
    "write": ("add", "cost.write"),
}


def with_brought(
    block: Block,
    instances: Sequence[Instance],
    names: Mapping[tuple[str, ...], Value],
    mesh: Mesh,
) -> tuple[Block, set[tuple[str, int]], list[Diagnostic]]:
    """Return a block with what techniques bring to it, and which `bring`s found a place in it."""
    diagnostics: list[Diagnostic] = []
    used: set[tuple[str, int]] = set()
    grafts = Grafts(block)
    for instance in instances:
        for number, member in enumerate(instance.technique.members):
            if not isinstance(member, Bring):
                continue
            source = ViewSource(grafts.block, lambda *_: 1, lambda *_: None, 1.0)
            for target in _targets(grafts.block, member, instance.use.scope):
                used.add((instance.use.instance, number))
                env = Env(instance, names, mesh, None, source.of("op", target))
                brought, said = _brought(member, target, env)
                diagnostics += [d for d in said if d not in diagnostics]
                if brought is not None:
                    grafts.add(brought)
    diagnostics += [_misfit(instances, b, widths) for b, widths in grafts.misfits()]
    diagnostics += [_unread(instances, b, width) for b, width in grafts.unread]
    return grafts.block, used, diagnostics


def brought_rules(instance: Instance) -> list[Rule]:
    """Return the rules that the fields of `bring` stand for."""
    found = []
    for member in instance.technique.members:
        if not isinstance(member, Bring):
            continue
        effects = tuple(e for e in map(_effect, member.fields) if e is not None)
        if effects:
            globs = tuple(Glob(g.span, f"{g.text}.{member.name}") for g in member.globs)
            found += [
                Rule(member.span, "weight" if _of_weight(e) else "op", globs, (), (), None, (e,))
                for e in effects
            ]
    return found


def _effect(field: BringField) -> Effect | None:
    said = _CELLS.get(field.name)
    if said is None:
        return None
    verb, cell = said
    return Write(field.span, "set" if verb == "set" else "add", cell, field.value)


def _of_weight(effect: Effect) -> bool:
    return isinstance(effect, Write) and effect.cell in ("numerics.bits", "trainable")


def _targets(block: Block, member: Bring, scope: str | None) -> list[str]:
    """Return the ops that a `bring` names: products to stand beside, any op to follow."""
    index = block.layers[0] if block.layers else None
    kinds = {op.name: op.kind for op in block.ops}
    chosen = matched(block, index, "op", texts(member.globs), (), scope)
    return [
        n for n in element_names(block, "op")
        if (member.after or kinds[n] == "matmul")
        and n in chosen
    ]


def _brought(
    member: Bring, target: str, env: Env
) -> tuple[Brought | None, list[Diagnostic]]:
    values: dict[str, Value] = {}
    for field in member.fields:
        if field.name in _CELLS:
            continue
        try:
            values[field.name] = evaluate(field.value, env)
        except (Missing, EvalError) as error:
            return None, [Diagnostic("E0406", f"`{field.name}` has no value here: {error}",
                                     (Label(field.span),), help=("mend the rule",))]
    if values.get("when") is False:
        return None, []
    kind = values.get("kind")
    sizes = {
        k: int(v.value) for k, v in values.items() if isinstance(v, Quantity)
    }
    if any(v < 1 for v in sizes.values()):
        return None, [_empty(member)]
    return Brought(
        target, member.name, member.what == "weight", member.after, sizes.get("dim_in", 0),
        sizes.get("dim_out", 0), sizes.get("count", 1),
        kind.name if isinstance(kind, Symbol) else "elementwise",
    ), []


def _empty(member: Bring) -> Diagnostic:
    return Diagnostic("E0409", f"`bring {member.what} {member.name}` has a size below 1 here",
                      (Label(member.span),), help=("mend the rule, or give it `when: ...`",))


def _unread(instances: Sequence[Instance], brought: Brought, width: int) -> Diagnostic:
    found = next(
        (Label(m.span, f"reads {brought.dim_in}") for i in instances for m in i.technique.members
         if isinstance(m, Bring) and m.name == brought.name), None,
    )
    where = "what comes out of" if brought.after else "what goes into"
    return Diagnostic(
        "E0409", f"`{brought.name}` does not fit {where} {brought.target}",
        (found,) if found else (),
        why=f"its dim_in is {brought.dim_in}, and it reads what is {width} wide",
        help=(f"give it `dim_in: {width}`; as a rule says it for every model, `weight.dim_in` with "
              "`on`, `weight.dim_out` with `after`",),
    )


def _misfit(
    instances: Sequence[Instance], brought: Brought, widths: tuple[int, int]
) -> Diagnostic:
    found = next(
        (Label(m.span, f"{widths[0]} wide") for i in instances for m in i.technique.members
         if isinstance(m, Bring) and m.name == brought.name), None,
    )
    return Diagnostic(
        "E0409", f"what `{brought.name}` yields after {brought.target} does not fit its readers",
        (found,) if found else (),
        why=f"it is {widths[0]} wide, and what it replaces is {widths[1]} wide",
        help=("bring a last weight whose dim_out is the width that the readers expect",),
    )
