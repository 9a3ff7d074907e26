"""Collectives: wire volumes, hand-calculated times, and laws of size and bandwidth."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cost.machines import INNER, OUTER, machine

from llamasim.cost import comm_cost, wire_bytes
from llamasim.plan.spec import CommWork, Group, StepShape

ONE = StepShape.of(1, 1)
KINDS = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send", "rotate", "copy")


def comm(kind: str, size: float, members: int, per_node: int | None = None) -> CommWork:
    group = Group("tp", members, per_node or members)
    return CommWork("x", kind, group, bytes_fixed=size)


def seconds(
    kind: str, size: float, members: int, per_node: int | None = None, **changed: object
) -> float:
    on = machine(**changed)
    return comm_cost(comm(kind, size, members, per_node), ONE, on).seconds


@pytest.mark.parametrize("members", [2, 3, 8, 128])
def test_a_ring_all_reduce_sends_two_parts_less_than_twice_the_message(members: int) -> None:
    """2 (n - 1) / n of the message: a reduce-scatter and an all-gather of (n - 1) / n each."""
    whole = wire_bytes("all_reduce", 1e9, members)
    assert whole == pytest.approx(2 * (members - 1) / members * 1e9)
    assert whole == wire_bytes("reduce_scatter", 1e9, members) + wire_bytes(
        "all_gather", 1e9, members
    )


def test_a_large_all_reduce_takes_its_wire_bytes_over_the_bandwidth() -> None:
    """1.75 GB at 100 GB/s are 17.5 ms; copying one's own part adds 0.25 / 8 of the message."""
    assert seconds("all_reduce", 1e9, 8) == pytest.approx(17.5e-3 + 0.25 / 8 * 1e9 / 100e9)


def test_an_all_reduce_costs_about_a_scatter_and_a_gather() -> None:
    both = seconds("reduce_scatter", 1e9, 8) + seconds("all_gather", 1e9, 8)
    assert seconds("all_reduce", 1e9, 8) == pytest.approx(both, rel=0.06)


def test_small_messages_cost_their_hops_and_a_tree_saves_some() -> None:
    """A ring of 64 has 126 hops, a tree 12."""
    slow = attrs.evolve(INNER, latency_s=1e-6, base_latency_s=5e-6)
    assert seconds("all_reduce", 8, 64, inner=slow, per_node=64) == pytest.approx(17e-6, rel=1e-3)
    assert seconds("all_reduce", 8, 2, inner=slow) == pytest.approx(7e-6, rel=1e-3)


def test_a_switch_that_reduces_helps_many_devices_and_not_two() -> None:
    reduces = attrs.evolve(INNER, reduces=True)
    assert seconds("all_reduce", 1e9, 8, inner=reduces) < 0.85 * seconds("all_reduce", 1e9, 8)
    assert seconds("all_reduce", 1e9, 2, inner=reduces) == seconds("all_reduce", 1e9, 2)


def test_two_levels_send_shares_between_nodes() -> None:
    """16 devices on 2 nodes: each device's port between nodes carries 2 * 1/2 * 1/8 of the message.

    125 MB at 10 GB/s are 12.5 ms, less than the 17.5 ms inside the node, which bind.
    """
    within = seconds("all_reduce", 1e9, 8)
    assert seconds("all_reduce", 1e9, 16, 8) == pytest.approx(within)
    narrow = attrs.evolve(OUTER, bandwidth=1e9)
    expected = (0.125 + 0.25 * 0.125 / 2) * 1e9 / 1e9
    assert seconds("all_reduce", 1e9, 16, 8, outer=narrow) == pytest.approx(expected)


def test_a_group_with_one_device_a_node_uses_only_the_outer_links() -> None:
    assert seconds("send", 1e9, 2, 1) == pytest.approx(0.1)
    assert seconds("send", 1e9, 2, 2) == pytest.approx(0.01)


def test_a_mesh_gives_a_pair_one_of_its_links() -> None:
    mesh = attrs.evolve(INNER, topology="mesh")
    assert seconds("send", 1e9, 2, inner=mesh) == pytest.approx(7 * seconds("send", 1e9, 2))
    assert seconds("all_reduce", 1e9, 8, inner=mesh) == seconds("all_reduce", 1e9, 8)


def test_a_copy_uses_the_host_link_and_unified_memory_needs_none() -> None:
    assert seconds("copy", 1e9, 1) == pytest.approx(1e9 / 20e9)
    unified = attrs.evolve(machine().device, unified=True)
    assert seconds("copy", 1e9, 1, device=unified) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_and_nobody_cost_nothing(kind: str) -> None:
    assert seconds(kind, 0.0, 8) == 0.0
    if kind != "copy":
        assert seconds(kind, 1e9, 1) == 0.0


def test_messages_per_token_scale_with_their_basis() -> None:
    work = CommWork("x", "send", Group("pp", 2, 2), bytes_per_token=10.0)
    shape = StepShape.of(3, 7)
    assert comm_cost(work, shape, machine()).wire_bytes == 210.0
    assert comm_cost(attrs.evolve(work, basis="sequences"), shape, machine()).wire_bytes == 30.0


GROUPS = st.tuples(st.sampled_from((1, 2, 4, 8)), st.sampled_from((1, 2, 3, 16, 128)))
RATES = st.floats(1e8, 1e12)
SIZES = st.floats(1, 1e12)


@settings(deadline=None)
@given(st.sampled_from(KINDS), SIZES, GROUPS, RATES, st.floats(0, 1e8), st.booleans(),
       st.floats(1, 8), st.sampled_from(("switch", "mesh", "shared", "ring")))
def test_time_is_finite_grows_with_size_and_falls_with_bandwidth(
    kind: str, size: float, group: tuple[int, int], rate: float, ramp: float, reduces: bool,
    factor: float, topology: str,
) -> None:
    per_node, nodes = group
    fabric = attrs.evolve(
        INNER, bandwidth=rate, ramp_bytes=ramp, reduces=reduces, latency_s=1e-6,
        base_latency_s=1e-5, topology=topology,
    )
    wide = attrs.evolve(fabric, bandwidth=rate * factor)
    outer = attrs.evolve(fabric, kind="inter-node", topology="switch")
    many = (kind, size, per_node * nodes, per_node)
    base = seconds(*many, inner=fabric, outer=outer)
    assert math.isfinite(base)
    assert base >= 0
    assert seconds(*many, inner=wide, outer=outer) <= base * (1 + 1e-9)
    more = (kind, size * factor, *many[2:])
    assert seconds(*more, inner=fabric, outer=outer) >= base * (1 - 1e-9)
