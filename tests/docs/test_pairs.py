"""The page of pairs says what the techniques do together."""

from __future__ import annotations

import hashlib

import pytest
from tests.docs.pair_worlds import alone, first_error, purposes, techniques, try_uses, worlds
from tests.docs.pairs import PAGE, Pair, generated, matrix, pair_of, read_page

from llamasim.diagnostics import Diagnostic

#: So many techniques are tried in pairs by default; all of them among the slow tests.
SAMPLE = 14


def said() -> dict[tuple[str, str], tuple[str, str]]:
    """What the page says of pairs that do not compose."""
    return read_page(PAGE.read_text(encoding="utf-8"))


def as_said(pair: Pair) -> tuple[str, str]:
    """A pair's outcome as the page words it: those kept apart by purpose are not named."""
    if pair.outcome == "composes" or pair.reason.startswith("one is for"):
        return ("", "")
    return pair.outcome, pair.reason


def test_the_page_names_every_technique() -> None:
    """`python -m tests.docs.pairs` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert f"Every two of the {len(techniques())} shipped techniques" in page
    family, missing = "", []
    for name in techniques():
        family, _, rest = name.partition(".")
        if f"\n## {family}\n" not in page or f"\n| `{rest}` |" not in page:
            missing.append(name)
    assert missing == []


def test_a_sample_of_pairs_does_what_the_page_says() -> None:
    """Drawn by name, so that it is the same until techniques come or go."""
    order = sorted(techniques(), key=lambda n: hashlib.sha256(n.encode()).digest())
    page = said()
    pairs = matrix(order[:SAMPLE])
    assert len(pairs) == SAMPLE * (SAMPLE - 1) // 2
    assert {(p.a, p.b): as_said(p) for p in pairs} == {
        (p.a, p.b): page.get((p.a, p.b), ("", "")) for p in pairs}


@pytest.mark.slow
def test_the_page_is_the_programs_own() -> None:
    pairs = matrix()
    assert PAGE.read_text(encoding="utf-8") == generated(pairs)
    page = said()
    assert {(p.a, p.b): as_said(p) for p in pairs} == {
        (p.a, p.b): page.get((p.a, p.b), ("", "")) for p in pairs}


@pytest.mark.parametrize(("a", "b", "outcome", "reason"), [
    ("attention.flash.flash_attention", "parallelism.tensor.tensor_parallel", "composes", ""),
    ("parallelism.zero.zero1", "parallelism.zero.zero3", "refused", "E0403: "),
    ("quantization.int4.int4_weights", "quantization.int8.int8_weights", "refused", "E0301: "),
    ("precision.mixed.bf16_mixed", "quantization.int8.int8_weights", "never meet", "one is for"),
    ("precision.mixed.fp16_mixed", "precision.mixed.pure_bf16", "never meet", "E0402: "),
])
def test_known_pairs(a: str, b: str, outcome: str, reason: str) -> None:
    found = pair_of(*sorted((a, b)))
    assert found.outcome == outcome
    assert found.reason.startswith(reason)


def test_what_is_alone_in_a_world_is_told_from_what_is_not() -> None:
    training = next(w for w in worlds() if w.purpose == "training")
    works, against = alone("precision.mixed.bf16_mixed", training)
    assert works is not None
    assert against is None
    works, against = alone("quantization.int8.int8_weights", training)
    assert works is None
    assert against is not None
    assert against.code == "E0402"
    assert purposes("quantization.int8.int8_weights") == ("inference", "serving")


def test_a_refusal_without_a_reason_fails() -> None:
    """The page cannot be written until it has one."""
    with pytest.raises(AssertionError):
        first_error([Diagnostic("E0499", "no")])
    assert try_uses(worlds()[0], [])[0] is not None


def test_a_page_reads_back_as_it_was_written() -> None:
    """Groups stand for all others of a family or module, and never for the technique itself."""
    names = list(techniques())[:12]
    pairs = [
        Pair(a, b, "refused" if (i + j) % 3 else "composes", f"E0{(i + j) % 5}: why" * bool(
            (i + j) % 3))
        for i, a in enumerate(names) for j, b in enumerate(names) if i < j
    ]
    read = read_page(generated(pairs))
    assert {(p.a, p.b): as_said(p) for p in pairs if as_said(p)[0]} == read
