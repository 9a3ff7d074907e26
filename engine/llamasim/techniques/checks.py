"""What must hold before rules run: axes that fit the devices, `requires`, `advise`, `claim`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llamasim.diagnostics import Diagnostic, Label, Span, nearest
from llamasim.language import EvalError, Missing, Value, evaluate
from llamasim.language.ast import Advise, Axis, Claim, Expr, Requires, SourceDecl
from llamasim.language.bounds import COUNT
from llamasim.language.values import show_value
from llamasim.scenario.spec import Scenario
from llamasim.techniques.environment import Env
from llamasim.techniques.instances import Instance
from llamasim.techniques.mesh import DEFAULT_ORDER, REMAINDER, Mesh, build_mesh
from llamasim.techniques.records import ClaimFact
from llamasim.units import Quantity
from llamasim.units.many import whole

Names = Mapping[tuple[str, ...], Value]


def mesh_of(
    scenario: Scenario, instances: Sequence[Instance], names: Names
) -> tuple[Mesh | None, list[Diagnostic]]:
    """Return the mesh that the techniques' axes make of the scenario's devices."""
    sizes: dict[str, int] = {}
    owners: dict[str, tuple[Instance, Axis]] = {}
    nested: dict[str, str] = {}
    diagnostics: list[Diagnostic] = []
    for instance in instances:
        for member in instance.technique.members:
            if not isinstance(member, Axis):
                continue
            size, problem = _size(instance, member, names)
            if problem is not None:
                diagnostics.append(problem)
            before = owners.get(member.name)
            if before is not None and sizes[member.name] != size:
                diagnostics.append(_two_sizes(before, (instance, member), sizes, size))
            sizes[member.name] = size
            owners[member.name] = (instance, member)
            if member.inside is not None:
                nested[member.name] = member.inside
    diagnostics += _unknown_axes(scenario, sizes)
    if any(size < 1 for size in sizes.values()):
        return None, diagnostics
    cluster = scenario.cluster
    mesh = build_mesh(
        sizes, scenario.mesh_order, cluster.devices, cluster.devices_per_node, nested
    )
    if mesh is None:
        diagnostics.append(_does_not_divide(scenario, sizes, owners, nested))
    return mesh, diagnostics


def _size(instance: Instance, axis: Axis, names: Names) -> tuple[int, Diagnostic | None]:
    """Return how many members an axis has; 0 and why where it is no number of members."""
    message = f"the size of `{axis.name}` has no value here"
    try:
        value = evaluate(axis.size, Env(instance, names))
        if isinstance(value, Quantity):
            if COUNT.hold(value.value):
                return whole(value.value), None
            message = f"the axis `{axis.name}` would have {show_value(value)} members"
    except (Missing, EvalError) as error:
        message += f": {error}"
    return 0, Diagnostic(
        "E0406", message,
        (Label(axis.size.span), Label(instance.use.span, "in `use`", primary=False)),
        help=(f"mend the rule, or give `{instance.name}` other parameters",))


def _separate(name: str) -> tuple[str, ...]:
    """Return the list that a text of several names stands for."""
    names = name.replace(",", " ").split()
    return (f"write `order: [{', '.join(names)}]`",) if len(names) > 1 else ()


def _unknown_axes(scenario: Scenario, sizes: Mapping[str, int]) -> list[Diagnostic]:
    known = sorted({*sizes, *DEFAULT_ORDER})
    found = []
    for name in scenario.mesh_order:
        if name not in known:
            span = scenario.spans.get("mesh.order") or scenario.spans.get("mesh")
            near = nearest(name, known)
            found.append(
                Diagnostic(
                    "E0414", f"no technique in use declares an axis `{name}`",
                    (Label(span, "the mesh has no such axis"),) if span else (),
                    help=(*_separate(name), *((f"did you mean `{near}`?",) if near else ()),
                          f"axes here: {', '.join(known)}"),
                )
            )
    return found


def _two_sizes(
    a: tuple[Instance, Axis], b: tuple[Instance, Axis], sizes: Mapping[str, int], size: int
) -> Diagnostic:
    name = a[1].name
    return Diagnostic(
        "E0302",
        f"the axis `{name}` would have two sizes, {sizes[name]} and {size}",
        (Label(a[0].use.span, f"{sizes[name]} here"), Label(b[0].use.span, f"{size} here", False)),
        help=("give both techniques the same degree",),
    )


def _does_not_divide(
    scenario: Scenario, sizes: Mapping[str, int], owners: Mapping[str, tuple[Instance, Axis]],
    nested: Mapping[str, str],
) -> Diagnostic:
    product = 1
    for name, size in sizes.items():
        product *= size if name not in nested else 1
    if product and scenario.cluster.devices % product == 0:
        return _does_not_nest(scenario, sizes, owners, nested, product)
    sizes = {n: s for n, s in sizes.items() if n not in nested}
    owners = {n: o for n, o in owners.items() if n not in nested}
    text = " x ".join(f"{n} {s}" for n, s in sorted(sizes.items()))
    labels = [Label(i.use.span, f"{n} = {sizes[n]}", k == 0)
              for k, (n, (i, _)) in enumerate(sorted(owners.items()))]
    devices = scenario.spans.get("cluster")
    count = f"{scenario.cluster.devices} device{'s' if scenario.cluster.devices != 1 else ''}"
    if devices is not None:
        labels.append(Label(devices, count, primary=False))
    return Diagnostic(
        "E0404",
        f"{text} = {product} does not divide {count}" if len(sizes) > 1 else
        f"{text} does not divide {count}",
        tuple(labels),
        why=f"what the other axes leave becomes `{REMAINDER}`, so they must divide the devices",
        help=(f"use a multiple of {product} devices, or lower a degree",),
    )


def _does_not_nest(
    scenario: Scenario, sizes: Mapping[str, int], owners: Mapping[str, tuple[Instance, Axis]],
    nested: Mapping[str, str], product: int,
) -> Diagnostic:
    rest = scenario.cluster.devices // product
    whole = {**sizes, REMAINDER: rest}
    name, of = next(
        (n, o) for n, o in sorted(nested.items())
        if o not in whole or sizes[n] < 1 or whole[o] % sizes[n]
    )
    instance, axis = owners[name]
    return Diagnostic(
        "E0404",
        f"an axis `{name}` of {sizes[name]} does not fit into `{of}` of {whole.get(of, 1)}",
        (Label(instance.use.span, f"{name} = {sizes[name]}"),
         Label(axis.span, f"inside {of}", primary=False)),
        why=f"it regroups the members of `{of}`, so its size must divide theirs",
        help=(f"choose a size that divides {whole.get(of, 1)}, or use more devices",),
    )


def requirements(
    instances: Sequence[Instance], names: Names, mesh: Mesh
) -> list[Diagnostic]:
    """Return what `requires` refuses and `advise` warns of."""
    found: list[Diagnostic] = []
    for instance in instances:
        for member in instance.technique.members:
            if not isinstance(member, Requires | Advise):
                continue
            holds = _value(member.test, Env(instance, names, mesh))
            if holds is True:
                continue
            if isinstance(member, Advise):
                found.append(_advice(instance, member))
            else:
                found.append(_refusal(instance, member))
    return found


def _refusal(instance: Instance, member: Requires) -> Diagnostic:
    text = source_text(member.test.span)
    return Diagnostic(
        "E0402",
        f"{instance.technique.name} needs `{text}`, which does not hold here",
        (
            Label(instance.use.span, "used here"),
            Label(member.test.span, "false for this scenario", primary=False),
        ),
        why=member.message or "",
        help=(f"change the scenario so that it holds, or remove `{instance.name}` from `use`",),
    )


def _advice(instance: Instance, member: Advise) -> Diagnostic:
    return Diagnostic(
        "W0402",
        f"{instance.technique.name}: {member.message}",
        (
            Label(instance.use.span, "used here"),
            Label(member.test.span, "false for this scenario", primary=False),
        ),
        severity="warning",
    )


def claims(instances: Sequence[Instance], names: Names, mesh: Mesh) -> tuple[ClaimFact, ...]:
    """Return the accuracy claims whose conditions hold; those that agree in what they speak of
    are joined to their hull.
    """
    joined: dict[tuple[str, str, str | None], ClaimFact] = {}
    for instance in instances:
        cited = {i.name: i.text for i in instance.module.items if isinstance(i, SourceDecl)}
        for member in instance.technique.members:
            if not isinstance(member, Claim):
                continue
            env = Env(instance, names, mesh)
            if member.when is not None and _value(member.when, env) is not True:
                continue
            low, high = _value(member.low, env), _value(member.high, env)
            if not isinstance(low, Quantity) or not isinstance(high, Quantity):
                continue
            source = "; ".join(cited.get(s, s) for s in member.sources)
            fact = ClaimFact(member.metric, member.scope, low.value, high.value,
                             instance.name, source, member.note or "")
            key = (instance.name, member.metric, member.scope)
            joined[key] = _hull(joined[key], fact) if key in joined else fact
    return tuple(joined[k] for k in sorted(joined, key=str))


def _hull(a: ClaimFact, b: ClaimFact) -> ClaimFact:
    return ClaimFact(a.metric, a.scope, min(a.low, b.low), max(a.high, b.high), a.technique,
                     "; ".join(sorted({a.source, b.source})),
                     "; ".join(sorted({a.note, b.note} - {""})))


def source_text(span: Span) -> str:
    """Return the text that a span covers, on one line."""
    lines = span.source.text.splitlines()[span.line - 1 : span.end_line]
    if not lines:
        return ""
    lines[-1] = lines[-1][: span.end_column - 1]
    lines[0] = lines[0][span.column - 1 :]
    return " ".join(" ".join(lines).split())


def _value(expr: Expr, env: Env) -> Value | None:
    try:
        return evaluate(expr, env)
    except (Missing, EvalError):
        return None
