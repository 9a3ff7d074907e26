"""A sample of what `python -m tests.fuzz` runs, and that the fuzzer would see what it looks for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.__main__ import main
from tests.fuzz.minimise import minimise
from tests.fuzz.mutate import text_of
from tests.fuzz.session import Session
from tests.fuzz.strategies import drawn
from tests.fuzz.targets import TARGETS, Breach
from tests.fuzz.watch import Watch, read_in_flight, signature

SAMPLE = 150


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_of_damaged_files_is_answered(target: str, tmp_path: Path) -> None:
    session = Session(target, tmp_path).run(text_of(target, 7, n) for n in range(SAMPLE))
    assert session.failures == {}
    assert session.inputs == SAMPLE


@pytest.mark.parametrize("target", TARGETS)
def test_a_sample_of_drawn_files_is_answered(target: str, tmp_path: Path) -> None:
    session = Session(target, tmp_path).run(drawn(target, 7, SAMPLE))
    assert session.failures == {}
    assert session.inputs == SAMPLE


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mutation", "hypothesis"])
def test_many_files_are_answered(engine: str, tmp_path: Path) -> None:
    """What the command line runs; a million take a good half hour."""
    assert main(["--inputs", "60000", "--engine", engine, "--seed", "11",
                 "--failures", str(tmp_path)]) == 0


def test_inputs_are_the_same_every_time() -> None:
    """Large ones too, so that a failure can be had again."""
    for target in TARGETS:
        for number in (0, 17, 499):
            assert text_of(target, 3, number) == text_of(target, 3, number)
        assert len({text_of(target, 3, n) for n in range(200)}) > 150
        assert list(drawn(target, 3, 20)) == list(drawn(target, 3, 20))


def slow(text: str) -> None:
    """Take for ever if there is an `x`."""
    while "x" in text:
        pass


def broken(text: str) -> None:
    """Fail in one of two ways."""
    if "a" in text and "b" in text:
        raise ValueError(text)
    if "c" in text:
        raise Breach("says nothing")


def greedy(text: str) -> None:
    """Hold much memory."""
    assert bytearray(400 << 20 if "m" in text else 1)


def test_what_goes_wrong_is_seen(tmp_path: Path) -> None:
    with Watch(tmp_path / "in-flight", longest_s=0.2) as watch:
        assert watch.run(broken, "ok").failure is None
        assert watch.run(slow, "x").failure == "took more than 0.2 s"
        assert watch.run(broken, "ab").failure == "ValueError"
        assert watch.run(broken, "c").failure == "Breach: says nothing"
        watch.longest_s = 30.0
        assert watch.run(greedy, "m").failure == "took more than 256 MiB"
        assert read_in_flight(tmp_path / "in-flight") == "m"
    assert not (tmp_path / "in-flight").exists()


def test_a_time_limit_is_not_swallowed(tmp_path: Path) -> None:
    """Code that catches every exception and goes on is stopped all the same."""
    def stubborn(text: str) -> None:
        while True:
            try:
                slow("x")
            except Exception:
                continue

    with Watch(tmp_path / "in-flight", longest_s=0.2) as watch:
        assert watch.run(stubborn, "").failure == "took more than 0.2 s"


def test_failures_are_kept_and_made_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.session.TARGETS", {"parser": broken})
    texts = ["fine", "one a\nand\none b here\n", "c", *["a lot of b"] * 9]
    session = Session("parser", tmp_path).run(texts)
    assert session.failures == {"ValueError": 10, "Breach: says nothing": 1}
    kept = sorted(p for p in tmp_path.iterdir() if p.is_dir())
    assert len(kept) == 1 + 2
    assert {(p / "minimised").read_text() for p in kept} == {"ab", "c"}
    assert "ValueError" in "".join((p / "why").read_text() for p in kept)


def test_minimising_ends_with_what_is_needed() -> None:
    assert minimise("x" * 50 + "needle" + "y\n" * 50, lambda t: "needle" in t) == "needle"


def test_a_failure_is_called_by_where_it_is_raised() -> None:
    try:
        TARGETS["parser"](None)  # type: ignore[arg-type]
    except TypeError as error:
        assert signature(error).startswith("TypeError at parser.py:")
