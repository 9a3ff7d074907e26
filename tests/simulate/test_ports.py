"""Flows that share a link."""

from __future__ import annotations

import pytest

from llamasim.simulate.clock import Clock, Process
from llamasim.simulate.ports import Ports, port_of


def finish_times(flows: list[tuple[float, float, tuple[int, int]]]) -> list[float]:
    clock = Clock()
    ports, ends = Ports(clock, 3), [-1.0] * len(flows)

    def begin(number: int, at: float, seconds: float, route: tuple[int, int]) -> Process:
        yield at
        ports.start(route, seconds, lambda _: ends.__setitem__(number, clock.now))

    for number, flow in enumerate(flows):
        clock.start(begin(number, *flow))
    clock.run()
    return ends


OUT = port_of(0, True, False)
IN, ELSEWHERE = port_of(1, True, True), port_of(2, True, True)


def test_a_flow_alone_takes_its_own_time() -> None:
    assert finish_times([(0.5, 1.0, (OUT, IN))]) == pytest.approx([1.5])


def test_two_flows_share_a_port_equally() -> None:
    """The first has half its bytes left when the second comes: 1.5, then the second at 2."""
    flows = [(0.0, 1.0, (OUT, IN)), (0.5, 1.0, (OUT, ELSEWHERE))]
    assert finish_times(flows) == pytest.approx([1.5, 2.0])


def test_flows_much_shorter_than_the_clock_end() -> None:
    """At 1e6 s the clock's step is 1e-10 s: a flow of 3e-10 s shared and slowed still ends."""
    flows = [(1e6, 3e-10, (OUT, IN)), (1e6, 2e-10, (OUT, ELSEWHERE)), (1e6, 1e-12, (OUT, IN))]
    assert finish_times(flows) == pytest.approx([1e6] * 3)


def test_flows_in_other_directions_do_not_meet() -> None:
    back = (port_of(1, True, False), port_of(0, True, True))
    there = (OUT, port_of(1, True, True))
    assert finish_times([(0.0, 1.0, there), (0.0, 1.0, back)]) == pytest.approx([1.0, 1.0])


def test_a_flow_goes_at_the_rate_of_its_busiest_port() -> None:
    """Two leave stage 0; the third shares its entry into stage 1 with one of them."""
    other = port_of(2, True, False)
    flows = [(0.0, 1.0, (OUT, IN)), (0.0, 1.0, (OUT, ELSEWHERE)), (0.0, 0.5, (other, IN))]
    assert finish_times(flows) == pytest.approx([2.0, 2.0, 1.0])


def test_a_load_takes_its_share() -> None:
    clock = Clock()
    ports, ends = Ports(clock, 2), []
    ports.load(0, 0.0, 0.75)
    ports.start((OUT, IN), 1.0, lambda _: ends.append(clock.now))
    clock.run(until=2.0)
    ports.load(0, 0.0, 0.0)
    clock.run()
    assert ends == pytest.approx([2.5])
