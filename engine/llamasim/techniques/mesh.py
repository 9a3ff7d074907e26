"""The mesh of devices: axes, their sizes, and which of their members share a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import attrs

from llamasim.units.many import each, larger

#: The axis that takes what the others leave.
REMAINDER = "dp"
#: The ranks over which a weight is replicated; stands for several axes in rules.
REPLICAS = "replicas"
#: Outermost first; axes that a scenario does not order come in this order, others before `tp`.
DEFAULT_ORDER = ("pp", "dp", "cp", "ep", "tp")


@attrs.frozen
class Group:
    """Devices that communicate: `size` members, `per_node` of them on one node."""

    axis: str
    size: int
    per_node: int

    @property
    def nodes(self) -> int:
        """Nodes that the group spans."""
        return larger(self.size // larger(self.per_node, 1), 1)


@attrs.frozen
class Axis:
    """A mesh axis: its size, the distance between its members in device numbers, its group.

    One that lies `inside` another regroups that axis' members and adds no devices.
    """

    name: str
    size: int
    stride: int
    group: Group
    inside: str | None = None


@attrs.frozen
class Mesh:
    """All axes, outermost first, those inside others last."""

    axes: tuple[Axis, ...]
    by_name: Mapping[str, Axis] = attrs.field(init=False, eq=False, repr=False)
    joined: dict[tuple[str, ...], Group] = attrs.field(
        init=False, eq=False, repr=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "by_name", {a.name: a for a in self.axes})

    def size(self, axis: str) -> int:
        """Return an axis' size; 1 for one that no technique declares."""
        if axis == REPLICAS:
            return self.group(REPLICAS).size
        found = self.by_name.get(axis)
        return found.size if found else 1

    def members(self, axis: str) -> tuple[str, ...]:
        """Return the axes that a name stands for: `replicas` for dp and cp together."""
        if axis != REPLICAS:
            return (axis,)
        return tuple(n for n in (REMAINDER, "cp") if n in self.by_name) or (REMAINDER,)

    def group(self, axis: str) -> Group:
        """Return the devices along an axis (or along `replicas`)."""
        names = self.members(axis)
        return self.joint(names, "+".join(names))

    def joint(self, names: Sequence[str], label: str, beside: Iterable[str] = ()) -> Group:
        """Return the devices along several axes together, one of each group along axes `beside`
        them that lie inside them.
        """
        beside = tuple(beside)
        key = (*names, "", label, "", *beside)
        if key not in self.joined:
            self.joined[key] = self._joint(names, label, beside)
        return self.joined[key]

    def _joint(self, names: Sequence[str], label: str, beside: Iterable[str]) -> Group:
        size = per_node = 1
        for name in names:
            found = self.by_name.get(name)
            if found:
                size *= found.size
                per_node *= found.group.per_node
        for name in sorted(set(beside)):
            inner = self.by_name.get(name)
            if inner and inner.inside in names and name not in names:
                size = larger(size // inner.size, 1)
                per_node = larger(per_node // inner.group.per_node, 1)
        return Group(label, size, per_node)

    def ways(self, axis: str, beside: Iterable[str]) -> int:
        """Return over how many devices an axis splits a tensor that axes `beside` split too."""
        return self.joint(self.members(axis), axis, beside).size


def build_mesh(
    sizes: Mapping[str, int],
    order: Sequence[str],
    devices: int,
    per_node: int,
    inside: Mapping[str, str] | None = None,
) -> Mesh | None:
    """Lay axes over devices; None when they do not divide them. `dp` takes the rest.

    `inside` names the axis that an axis regroups; its members are next to each other.
    """
    nested = dict(inside or {})
    product = 1
    for name, size in sizes.items():
        product *= size if name != REMAINDER and name not in nested else 1
    if product == 0 or devices % product:
        return None
    full = {n: s for n, s in sizes.items() if n not in nested}
    full[REMAINDER] = devices // product
    axes: list[Axis] = []
    stride = 1
    for name in reversed(_ordered(full, order)):
        size = full[name]
        within = _within_node(size, stride, per_node)
        axes.append(Axis(name, size, stride, Group(name, size, within)))
        stride *= size
    axes.reverse()
    outer = {a.name: a for a in axes}
    for name, of in sorted(nested.items()):
        size = sizes[name]
        if of not in outer or size < 1 or outer[of].size % size:
            return None
        step = outer[of].stride
        within = _within_node(size, step, per_node)
        axes.append(Axis(name, size, step, Group(name, size, within), of))
    return Mesh(tuple(axes))


def _within_node(size: int, stride: int, per_node: int) -> int:
    return cast(int, each(_members_inside, size, stride, per_node))


def _members_inside(size: int, stride: int, per_node: int) -> int:
    if stride >= per_node:
        return 1
    inside = min(size, max(1, per_node // stride))
    while size % inside:
        inside -= 1
    return inside


def _ordered(sizes: Mapping[str, int], order: Sequence[str]) -> list[str]:
    named = [a for a in order if a in sizes]
    rest = [a for a in DEFAULT_ORDER if a in sizes and a not in named]
    others = sorted(a for a in sizes if a not in named and a not in rest)
    return _rest_outside(named, rest + others)


def _rest_outside(named: list[str], rest: list[str]) -> list[str]:
    # Axes that the scenario does not order lie outside those that it does.
    return [*rest, *named] if named else _default(rest)


def _default(names: list[str]) -> list[str]:
    inner = [a for a in names if a == "tp"]
    return [a for a in names if a != "tp"] + inner
