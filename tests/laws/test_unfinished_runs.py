"""A run that was stopped goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.test_simulation_serving import runs
from tests.simulate.hand_plans import plan, serving

from llamasim.simulate import unfinished
from llamasim.simulate.serving import serve
from llamasim.simulate.trace import Trace
from llamasim.simulate.unfinished import Unfit
from llamasim.tables import tabulate


class Stopped(Exception):  # noqa: N818 no fault
    """The watch has seen enough."""


class Watch:
    """Stops a run at one of its looks, and keeps its state."""

    def __init__(self, looks: int, state: bytes | None = None) -> None:
        self.left, self.state = looks, state

    def kept(self) -> bytes | None:
        return self.state

    def folder(self) -> Path | None:
        return None

    def look(self, come: Callable[[], int], state: Callable[[], bytes]) -> None:
        self.left -= 1
        if self.left == 0:
            self.state = state()
            raise Stopped


def stopped(made: Any, load: Any, looks: int) -> bytes | None:
    """Return the state of a run that was stopped; None where it came to its end before."""
    watch = Watch(looks)
    try:
        serve(made, load, watch=watch)
    except Stopped:
        assert watch.state is not None
        return watch.state
    return None


def tables(trace: Trace) -> dict[str, Any]:
    return {k: t.to_pydict() for k, t in tabulate(trace).items()}


@settings(max_examples=60, deadline=None)
@given(runs(), st.integers(1, 40), st.integers(1, 12))
def test_a_run_that_goes_on_ends_like_one_that_was_never_stopped(
    run: tuple[Any, Any], events: int, looks: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished, "_EVENTS", events)
        state = stopped(*run, looks)
        if state is None:
            return
        resumed = serve(*run, watch=Watch(0, state))
    whole = serve(*run)
    assert tables(resumed) == tables(whole)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any, bytes]:
    """A plan, a load, and the state of their run after a few events."""
    monkeypatch.setattr(unfinished, "_EVENTS", 4)
    made = plan(mode="inference", schedule={"routing": "least_outstanding"}, replicas=2)
    load = serving("poisson", 30, prompt=100.0, output=20.0, rate=1000.0)
    state = stopped(made, load, 3)
    assert state is not None
    return made, load, state


def test_a_state_of_another_run_is_refused(short: tuple[Any, Any, bytes]) -> None:
    made, load, state = short
    with pytest.raises(Unfit, match="have changed since"):
        serve(made, attrs.evolve(load, seed=load.seed + 1), watch=Watch(0, state))


@pytest.mark.parametrize("at", [3, -10])
def test_a_damaged_state_is_refused(short: tuple[Any, Any, bytes], at: int) -> None:
    made, load, state = short
    broken = bytearray(state)
    broken[at] ^= 1
    with pytest.raises(Unfit, match="damaged"):
        serve(made, load, watch=Watch(0, bytes(broken)))


def test_a_state_brings_no_code_of_others(short: tuple[Any, Any, bytes]) -> None:
    """What a file names is not run, though its digests be right."""
    import hashlib
    import pickle

    made, load, state = short
    head = state.index(b"\n") + 1
    body = pickle.dumps(print)
    forged = state[: head + 32] + hashlib.sha256(body).digest() + body
    with pytest.raises(Unfit, match="no part of a state"):
        serve(made, load, watch=Watch(0, forged))
