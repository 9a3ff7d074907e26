"""The clock: moments, delays and signals, in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from llamasim.simulate.clock import Clock, Process, Signal


def test_processes_go_on_when_their_delays_are_over() -> None:
    clock, seen = Clock(), []

    def process(name: str, delay: float) -> Process:
        yield delay
        seen.append((name, clock.now))
        yield delay
        seen.append((name, clock.now))

    clock.start(process("slow", 2.0))
    clock.start(process("fast", 1.5))
    clock.run()
    assert seen == [("fast", 1.5), ("slow", 2.0), ("fast", 3.0), ("slow", 4.0)]


def test_what_happens_at_one_moment_keeps_the_order_in_which_it_was_asked_for() -> None:
    clock, seen = Clock(), []
    for name in "abc":
        clock.call(1.0, seen.append, name)
    clock.run()
    assert seen == ["a", "b", "c"]


def test_a_signal_wakes_the_one_that_waits_and_brings_its_value() -> None:
    clock, seen = Clock(), []
    signal = Signal(clock)

    def process() -> Process:
        value = yield signal
        seen.append((value, clock.now))

    clock.start(process())
    clock.call(2.0, signal.happen, 7)
    clock.run()
    assert seen == [(7, 2.0)]


def test_a_signal_that_has_happened_makes_nobody_wait() -> None:
    clock, seen = Clock(), []
    signal = Signal(clock)
    signal.happen("early")

    def process() -> Process:
        yield 1.0
        value = yield signal
        seen.append((value, clock.now))

    clock.start(process())
    clock.run()
    assert seen == [("early", 1.0)]


def test_nothing_happens_after_the_moment_to_which_the_clock_runs() -> None:
    clock, seen = Clock(), []
    clock.call(1.0, seen.append, "in time")
    clock.call(3.0, seen.append, "late")
    clock.run(until=2.0)
    assert seen == ["in time"]
    clock.run()
    assert seen == ["in time", "late"]


def test_what_is_early_happens_before_all_else_of_its_moment() -> None:
    clock, seen = Clock(), []
    clock.at(1.0, seen.append, "late")
    clock.at(1.0, seen.append, "first", early=True)
    clock.at(1.0, seen.append, "second", early=True)
    clock.at(0.5, seen.append, "before")
    clock.run()
    assert seen == ["before", "first", "second", "late"]


def test_processes_and_resources_of_simpy_live_in_the_same_time() -> None:
    """Two users of one link hold it for 2 s each, while a lean event falls between them."""
    clock, seen = Clock(), []
    link = simpy.Resource(clock, capacity=1)

    def user(name: str) -> Generator[simpy.Event, Any, None]:
        with link.request() as turn:
            yield turn
            yield clock.timeout(2.0)
            seen.append((name, clock.now))

    clock.process(user("first"))
    clock.process(user("second"))
    clock.call(3.0, lambda name: seen.append((name, clock.now)), "lean")
    clock.run()
    assert seen == [("first", 2.0), ("lean", 3.0), ("second", 4.0)]
