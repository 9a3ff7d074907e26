"""Gradient reductions and weight gathers, derived from where gradients and states lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import attrs

from llamasim.plan.copies import group_of, hidden_share
from llamasim.plan.flow import TOKEN_DIMS
from llamasim.plan.local import Local
from llamasim.plan.memory import optimizer_bits
from llamasim.plan.passes import Passes
from llamasim.plan.spec import CommKind, CommWork, OpWork, Work
from llamasim.techniques.mesh import REMAINDER, REPLICAS, Group


@attrs.frozen
class Reductions:
    """Collectives that complete a block's gradients.

    Attributes:
        unresolved: weights whose gradients are partial over replicas with no rule to sum them.

    """

    works: tuple[CommWork, ...]
    unresolved: tuple[str, ...]


def reductions(passes: Passes) -> Reductions:
    """Return the collectives that sum a block's gradients over all axes on which they are partial.

    A gradient is partial over the axes along which the tokens that it is summed over are split:
    the replicas always, others (a split sequence) where the weight itself is whole.
    """
    local = passes.local
    facts = local.facts
    sums: dict[tuple[CommKind, Group, float], float] = {}
    unresolved: list[str] = []
    for name, weight in facts.block.weights.items():
        if weight.tied or not facts.trainable(name):
            continue
        axes = _partial_axes(passes, name)
        if not axes:
            continue
        if REMAINDER in axes and not _obliged(local, name):
            unresolved.append(name)
        hidden = facts.hidden.get(("grad", name, "reduce", "backward"), 0.0)
        for kind, group, size in _sums(local, name, axes):
            key = (kind, group, hidden)
            sums[key] = sums.get(key, 0.0) + size
    works = tuple(
        CommWork("gradients", kind, group, bytes_fixed=size, hidden=hidden,
                 reason=f"gradients are partial over {group.axis}")
        for (kind, group, hidden), size in sorted(
            sums.items(), key=lambda x: (x[0][1].axis, x[0][0], x[0][1].size, x[0][2]))
    )
    return Reductions(works, tuple(unresolved))


def _sums(
    local: Local, name: str, axes: tuple[str, ...]
) -> Iterator[tuple[CommKind, Group, float]]:
    """Yield the collectives that sum a gradient over axes: a reduce-scatter over those along which
    it (or the state that it updates) is split, then an all-reduce of a share over the others.
    """
    facts, mesh = local.facts, local.mesh
    beside = [a for d, a in facts.shards.get(("weight", name), ()) if d != "flat"]
    over = [
        a for element in ("grad", "optimizer")
        for d, a in facts.shards.get((element, name), ()) if d == "flat"
    ]
    split = {member for a in over for member in mesh.members(a)}
    inner = [a for a in sorted(split) if a in axes or mesh.by_name[a].inside in axes]
    whole = mesh.joint(axes, "+".join(axes), beside)
    size = local.elements("grad", name) * facts.ways("grad", name, "flat", mesh)
    size *= local.wire_bits("grad", name) / 8
    scatter = mesh.joint(inner, "+".join(inner), beside)
    if scatter.size > 1:
        yield "reduce_scatter", scatter, size
        size /= scatter.size
    rest = Group(f"{whole.axis}/{scatter.axis}", whole.size // scatter.size,
                 max(1, whole.per_node // scatter.per_node)) if scatter.size > 1 else whole
    if rest.size > 1:
        yield "all_reduce", rest, size


def _partial_axes(passes: Passes, name: str) -> tuple[str, ...]:
    local = passes.local
    axes = [REMAINDER] if local.mesh.size(REMAINDER) > 1 else []
    base = name.removesuffix(".bias")
    for axis, flow in local.flows.items():
        split = any(a == axis and d != "flat" for d, a in local.facts.shards.get(
            ("weight", name), ()))
        read = [
            flow.used.get((index, step.inputs[0]), "")
            for index, step in enumerate(passes.steps)
            if any(op.weight == base for op in step.ops)
        ]
        if not split and any(r in TOKEN_DIMS for r in read):
            axes.append(axis)
    return tuple(axes)


def _obliged(local: Local, name: str) -> bool:
    found = local.facts.obligations.get(("grad", name), ())
    return any(o.verb == "reduce" and o.axis in (REPLICAS, REMAINDER) for o in found)


def gathers_in_use(local: Local, phase: str) -> list[CommWork]:
    """Return the gather of a block's split weights before a pass that uses them."""
    facts = local.facts
    sums: dict[tuple[Group, float], float] = {}
    for name in facts.block.weights:
        for o in facts.obligations.get(("weight", name), ()):
            if o.verb != "gather" or phase not in o.phases:
                continue
            if o.until in ("phase_end", "step_end") and phase == "backward":
                continue  # still there from the forward pass
            if facts.ways("weight", name, "flat", local.mesh) == 1:
                continue
            hidden = facts.hidden.get(("weight", name, "gather", phase), 0.0)
            size = local.whole_elements(name) * local.wire_bits("weight", name) / 8
            key = (_flat_group(local, name, o.axis), hidden)
            sums[key] = sums.get(key, 0.0) + size
    return [
        CommWork("weights", "all_gather", group, bytes_fixed=size, hidden=hidden,
                 reason=f"weights are split over {group.axis}")
        for (group, hidden), size in _in_order(sums)
    ]


def _flat_group(local: Local, name: str, axis: str) -> Group:
    """Return the devices that hold a weight's parts along an axis."""
    beside = [a for d, a in local.facts.shards.get(("weight", name), ()) if d != "flat"]
    names = local.mesh.members(axis)
    return local.mesh.joint(names, "+".join(names), beside)


def _in_order(
    sums: Mapping[tuple[Group, float], float]
) -> list[tuple[tuple[Group, float], float]]:
    return sorted(sums.items(), key=lambda x: (x[0][0].axis, x[0][0].size, x[0][1]))


def gathers_after_update(local: Local) -> list[CommWork]:
    """Return the gather of updated weights, where states are split but weights are whole."""
    facts, mesh = local.facts, local.mesh
    sums: dict[tuple[Group, float], float] = {}
    for name, weight in facts.block.weights.items():
        if weight.tied or not facts.trainable(name):
            continue
        if facts.ways("weight", name, "flat", mesh) > 1:
            continue
        for dim, axis in facts.shards.get(("optimizer", name), ()):
            group = _flat_group(local, name, axis)
            if dim == "flat" and group.size > 1:
                hidden = facts.hidden.get(("weight", name, "gather", "forward"), 0.0)
                size = local.elements("weight", name) * local.wire_bits("weight", name) / 8
                sums[(group, hidden)] = sums.get((group, hidden), 0.0) + size
    return [
        CommWork("updated weights", "all_gather", group, bytes_fixed=size, hidden=hidden,
                 reason=f"each member of {group.axis} updates its share of the weights")
        for (group, hidden), size in _in_order(sums)
    ]


def update(locals_: Iterable[tuple[Local, int]], optimizer: str) -> tuple[Work, ...]:
    """Return the optimizer's work over blocks (each with its count), bound by memory.

    Reads gradient, states and weight of every parameter that this device updates, writes states and
    weight; about twelve operations a parameter for Adam (arXiv:1412.6980, algorithm 1). States that
    lie elsewhere are updated by the host: gradients go there, weights come back (ZeRO-Offload,
    arXiv:2101.06840), and what lies on disk passes through it; or by the device, to which states
    come and from which they go back (paged optimizers, arXiv:2305.14314, section 3).
    """
    totals: dict[tuple[str, bool], Update] = {}
    for local, count in locals_:
        facts = local.facts
        for name, weight in facts.block.weights.items():
            if weight.tied or not facts.trainable(name):
                continue
            away = facts.away("optimizer", name)
            comes = facts.symbol("optimizer", name, "layout.updated_on", "host") == "device"
            for where, share in (("device", 1 - away.share), (away.where, away.share)):
                if share > 0:
                    key = (where, comes and where != "device")
                    totals.setdefault(key, Update(local)).add(local, name, count * share, optimizer)
    works: list[Work] = []
    for where in ("device", "host", "disk"):
        for comes in (False, True):
            if (where, comes) in totals:
                works += totals[where, comes].works(where, comes=comes)
    return tuple(works)


@attrs.define
class Update:
    """Sums of an update over parameters of one place."""

    local: Local
    read: float = 0.0
    write: float = 0.0
    flops: float = 0.0
    products: dict[str, float] = attrs.field(factory=dict)
    states: float = 0.0
    gradients: float = 0.0
    weights: float = 0.0
    hidden: float = 1.0

    def add(self, local: Local, name: str, count: float, optimizer: str) -> None:
        """Add a weight's update, a number of times."""
        mine = local.elements("optimizer", name) * count
        states = mine * optimizer_bits(local, name, optimizer) / 8
        stored = mine * local.bits("weight", name) / 8
        grads = mine * local.bits("grad", name) / 8
        extra = {c: local.facts.merged("optimizer", name, c, "optimizer")
                 for c in ("cost.flops", "cost.read", "cost.write")}
        self.read += (states + grads + stored) * extra["cost.read"].scale
        self.read += count * extra["cost.read"].add / 8
        self.write += (states + stored) * extra["cost.write"].scale
        self.write += count * extra["cost.write"].add / 8
        self.flops += mine * 12.0 * extra["cost.flops"].scale
        added = count * extra["cost.flops"].add
        math = local.facts.merged("optimizer", name, "numerics.math", "optimizer").value
        if math is None:
            self.flops += added
        elif added > 0:
            self.products[str(math)] = self.products.get(str(math), 0.0) + added
        self.states += states * local.over_link("optimizer", name)
        if local.facts.place("weight", name) != "host":
            self.weights += stored * local.over_link("weight", name)
        if local.facts.place("grad", name) != "host":
            self.gradients += grads * local.over_link("grad", name)
        self.hidden = min(self.hidden, hidden_share(local.facts, "optimizer", name, "optimizer"))

    def works(self, where: str, *, comes: bool) -> list[Work]:
        """Return the update of states that lie somewhere, with the copies that it needs around it;
        `comes` says that they come to the device for it.
        """
        if comes:
            update = self.works("device", comes=False)
            states = [self._copy(f"optimizer states {way}", where, self.states)
                      for way in ("in", "out")]
            return [states[0], *update, states[1]]
        # One host updates the shares of all its devices.
        sharing = 1 if where == "device" else self.local.on_one_host
        op = OpWork(
            "optimizer", "optimizer", "optimizer", basis="fixed", read_fixed=self.read * sharing,
            write_fixed=self.write * sharing, flops_fixed=self.flops * sharing, math="fp32",
            place="device" if where == "device" else "host",
        )
        products = [
            OpWork("optimizer products", "matmul", "optimizer", basis="fixed", place=op.place,
                   flops_fixed=flops * sharing, math=math)
            for math, flops in sorted(self.products.items())
        ]
        if where == "device":
            return [op, *products]
        work: list[Work] = [self._copy("gradients", "host", self.gradients)]
        if where == "disk":
            work.append(self._copy("optimizer states in", "disk", self.states))
        work += [op, *products]
        if where == "disk":
            work.append(self._copy("optimizer states out", "disk", self.states))
        work.append(self._copy("updated weights", "host", self.weights))
        return [w for w in work if isinstance(w, OpWork) or w.bytes_fixed > 0]

    def _copy(self, name: str, where: str, size: float) -> CommWork:
        return CommWork(name, "copy", group_of(self.local, where), bytes_fixed=size,
                        hidden=self.hidden, stream="copy",
                        reason=f"the optimizer's state lies on the {where}")
