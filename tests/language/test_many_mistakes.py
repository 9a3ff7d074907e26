"""Every mistake of a file is told in one run, and each is told once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamasim.diagnostics import Diagnostic, Source
from llamasim.language import Program, check_module, parse

SOUND = """\
edition 2026
module many

source paper = "Someone, 2024"
const group: Int = 64
fn half(x: Real): Real = x / 2

technique one {
  param degree: Int in 1..8 = 2
  let more = degree + 1
  axis tp size degree
  requires degree < 8 else "too many"
  advise workload.mode == inference else "slow"
  conflicts with many.two because "they exclude each other"
  bring weight extra on *.attn.q { dim_in: weight.dim_in, dim_out: group }
  on weight of *.attn.q { shard dim_out over tp }
  on kv_cache of *.attn.k { set numerics.bits = degree * 1 bit }
  on op during decode where op.kind == matmul { scale cost.flops by half(more) }
  on activation of *.attn.out { reduce over tp }
  claim loss: 1..2 for "a text" from paper
}

technique two {
  on step { set schedule.prefetch = 2 }
}

test "it works" {
  given use one(degree: 4)
  expect model.layers > 0
}
"""
#: What to write wrongly where, and the code of what is then said.
MISTAKES = {
    'source paper = "': ('sorce paper = "', "E0103"),
    "const group: Int": ("const group: Intt", "E0215"),
    "fn half(x: Real)": ("fn half(x: Reel)", "E0215"),
    "technique one {": ("techniqe one {", "E0103"),
    "param degree": ("parm degree", "E0103"),
    "let more = degree + 1": ("let more = degree + 1 s", "E0201"),
    "axis tp size degree": ("axis tp sise degree", "E0103"),
    "requires degree < 8 else": ("requiers degree < 8 else", "E0103"),
    "advise workload.mode": ("advise workload.mod", "E0202"),
    "conflicts with many.two because": ("conflicts with many.too because", "E0221"),
    "bring weight extra": ("bring wieght extra", "E0207"),
    "on weight of *.attn.q {": ("on weigth of *.attn.q {", "E0207"),
    "on kv_cache of *.attn.k": ("on kv_cache of *.atn.k", "E0216"),
    "during decode where": ("durng decode where", "E0103"),
    "{ reduce over tp }": ("{ redduce over tp }", "E0103"),
    "claim loss: 1..2 for": ("claim loss: 1..2 fro", "E0103"),
    "technique two {": ("technque two {", "E0103"),
    "set schedule.prefetch = 2": ("set schedule.prefech = 2", "E0205"),
    'test "it works"': ('tset "it works"', "E0103"),
    "given use one": ("givn use one", "E0103"),
    "expect model.layers": ("exepct model.layers", "E0103"),
}


def found_in(text: str) -> list[Diagnostic]:
    module, said = parse(Source("many.rules", text))
    return said + (check_module(module, Program({"many": module}), said) if module else [])


def planted(chosen: list[str]) -> tuple[str, list[tuple[int, str]]]:
    """The file with some mistakes, and the line and code of each."""
    text = SOUND
    for sound in chosen:
        assert text.count(sound) == 1
        text = text.replace(sound, MISTAKES[sound][0])
    lines = text.split("\n")
    expected = [(next(k for k, line in enumerate(lines, 1) if MISTAKES[s][0] in line),
                 MISTAKES[s][1]) for s in chosen]
    return text, sorted(expected)


def places(found: list[Diagnostic]) -> list[tuple[int, str]]:
    return sorted((d.labels[0].span.line, d.code) for d in found if d.is_error)


def test_the_sound_file_is_sound() -> None:
    assert found_in(SOUND) == []


@pytest.mark.parametrize("sound", MISTAKES, ids=lambda s: MISTAKES[s][0])
def test_one_mistake_is_told_once(sound: str) -> None:
    """Neither hidden nor followed by others that are no mistakes."""
    text, expected = planted([sound])
    assert places(found_in(text)) == expected


@pytest.mark.parametrize(("sound", "wrong"), [
    ("param degree: Int", "param degree Int"),
    ("let more = degree + 1", "let = degree + 1"),
    ("axis tp size degree", "axis size degree"),
    ("fn half(x: Real): Real", "fn half x: Real: Real"),
    ("const group: Int = 64", "const group Int = 64"),
    ('source paper = "Someone, 2024"', "source paper"),
    ("bring weight extra on", "bring weight on"),
    ("model.layers > 0", "model.layers > > 0"),
    ("technique two {", "technique {"),
    ("given use one(degree: 4)", "given use one(degree 4)"),
])
def test_what_a_lost_statement_declares_is_not_missed(sound: str, wrong: str) -> None:
    """A statement that cannot be read is told, and not what depends on it."""
    assert SOUND.count(sound) == 1
    found = found_in(SOUND.replace(sound, wrong))
    assert len(found) == 1, [d.message for d in found]


@pytest.mark.parametrize("chosen", [
    ["technique one {", "param degree", "requires degree < 8 else", "on weight of *.attn.q {",
     "on kv_cache of *.attn.k", "claim loss: 1..2 for", 'test "it works"', "given use one"],
    list(MISTAKES)[:8], list(MISTAKES)[8:16], list(MISTAKES)[13:],
], ids=["keywords", "first", "middle", "last"])
def test_eight_mistakes_are_eight_findings(chosen: list[str]) -> None:
    assert len(chosen) == 8
    text, expected = planted(chosen)
    assert places(found_in(text)) == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(MISTAKES)), min_size=2, max_size=12, unique=True))
def test_any_mistakes_are_all_told(chosen: list[str]) -> None:
    """Whatever else is wrong, each mistake is told once, at its line."""
    text, expected = planted(chosen)
    assert places(found_in(text)) == expected
