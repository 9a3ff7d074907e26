"""Makes inputs from the shipped files by damage, and from words by chance.

The input of a number is the same in every run with the same seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from tests.fuzz import corpus, sentences
from tests.fuzz.words import BRACKETS, KEYS, NUMBERS, ODD, RULE_WORDS, VALUES

#: One input in so many is a large one.
LARGE = 500
_LONGEST = 3000


def text_of(target: str, seed: int, number: int) -> str:
    """Return one input of a target."""
    draw = random.Random(f"{target} {seed} {number}")
    if number % LARGE == LARGE - 1:
        return _large(draw, target)
    make = draw.choice(_SCENARIO if target == "scenario" else _RULES)
    return make(draw)


def _damaged(seeds: Sequence[str], words: Sequence[str]) -> Callable[[random.Random], str]:
    def make(draw: random.Random) -> str:
        text = draw.choice(seeds)
        for _ in range(draw.choice((1, 1, 1, 2, 3, 5, 9))):
            text = draw.choice(_DAMAGE)(draw, text, seeds, words)
        return text[:_LONGEST] if len(text) > 2 * _LONGEST else text

    return make


def _spot(draw: random.Random, text: str) -> tuple[int, int]:
    """Return a short stretch of a text, more often between words than within one."""
    at = draw.randrange(len(text) + 1)
    if draw.random() < 0.6:
        while 0 < at < len(text) and text[at].isalnum():
            at += 1
    return at, min(len(text), at + draw.choice((0, 1, 2, 5, 20, 80)))


def _delete(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    a, b = _spot(draw, text)
    return text[:a] + text[b:]


def _repeat(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    a, b = _spot(draw, text)
    return text[:a] + text[a:b] * draw.choice((2, 2, 3, 20)) + text[b:]


def _insert(draw: random.Random, text: str, _s: Sequence[str], words: Sequence[str]) -> str:
    a, b = _spot(draw, text)
    return f"{text[:a]} {draw.choice(words)} {text[b if draw.random() < 0.5 else a:]}"


def _odd(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    a, b = _spot(draw, text)
    return text[:a] + draw.choice(ODD) + text[b if draw.random() < 0.3 else a:]


def _splice(draw: random.Random, text: str, seeds: Sequence[str], _w: Sequence[str]) -> str:
    other = draw.choice(seeds)
    a, b = _spot(draw, text)
    c, d = sorted((draw.randrange(len(other) + 1), draw.randrange(len(other) + 1)))
    return text[:a] + other[c : min(d, c + 300)] + text[b:]


def _swap_lines(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True)
    for _ in range(draw.choice((1, 1, 3))):
        if len(lines) > 1:
            a, b = draw.sample(range(len(lines)), 2)
            lines[a], lines[b] = lines[b], lines[a]
    return "".join(lines)


def _drop_line(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True)
    if lines:
        at = draw.randrange(len(lines))
        lines[at : at + 1] = [lines[at]] * draw.choice((0, 0, 2))
    return "".join(lines)


def _number(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    if not digits:
        return text
    a = b = draw.choice(digits)
    while b < len(text) and (text[b].isdigit() or text[b] in "._e"):
        b += 1
    return text[:a] + draw.choice(NUMBERS) + text[b:]


def _nest(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    a, b = _spot(draw, text)
    depth = draw.choice((2, 10, 70, 200))
    left, right = draw.choice((("(", ")"), ("{", "}"), ("[", "]"), ("-", ""), ("not ", ""),
                               ("{a: ", "}"), ("if true then ", " else 1"), ("x ^ ", ""),
                               ("floor(", ")"), ("1 + ", "")))
    return text[:a] + left * depth + text[a:b] + right * depth + text[b:]


def _cut(draw: random.Random, text: str, _s: Sequence[str], _w: Sequence[str]) -> str:
    return text[: draw.randrange(len(text) + 1)]


_DAMAGE = (_delete, _delete, _repeat, _insert, _insert, _insert, _odd, _splice, _swap_lines,
           _drop_line, _drop_line, _number, _number, _nest, _cut)


def _soup(draw: random.Random) -> str:
    words = " ".join(draw.choices(RULE_WORDS, k=draw.randint(1, 40)))
    frame = draw.choice((
        "{}", "edition 2026\nmodule m\n{}", "edition 2026\nmodule m\ntechnique t {{\n{}\n}}\n",
        "edition 2026\nmodule m\ntechnique t {{\non weight {{\n{}\n}}\n}}\n",
        "edition 2026\nmodule m\nconst c: Real = {}\n",
        "edition 2026\nmodule m\ntechnique t {{\nrequires {}\n}}\n",
    ))
    return frame.format(words)


def _lines(draw: random.Random) -> str:
    lines = [" " * draw.choice((0, 0, 2, 4)) + f"{draw.choice(KEYS)}: {draw.choice(VALUES)}"
             for _ in range(draw.randint(1, 14))]
    return "\n".join(lines)


def _flow(draw: random.Random, depth: int = 3) -> str:
    if depth == 0 or draw.random() < 0.4:
        return draw.choice(VALUES)
    count = draw.randint(0, 4)
    if draw.random() < 0.3:
        return "[" + ", ".join(_flow(draw, depth - 1) for _ in range(count)) + "]"
    pairs = (f"{draw.choice(KEYS)}: {_flow(draw, depth - 1)}" for _ in range(count))
    return "{" + ", ".join(pairs) + "}"


def _one_key(draw: random.Random) -> str:
    """Return a sound scenario in which one key, at any depth, holds something else."""
    text = corpus.scenario_texts()[0]
    path = draw.choice(KEYS).split(".")
    value = _flow(draw, 2)
    lines = [f"{'  ' * i}{key}:" for i, key in enumerate(path)]
    lines[-1] += f" {value}"
    kept = [x for x in text.splitlines() if not x.startswith(f"{path[0]}:")]
    return "\n".join((*kept, *lines)) + "\n"


def _large(draw: random.Random, target: str) -> str:
    """Return a text of up to a megabyte: something repeated, or everything at once."""
    if target == "scenario":
        seeds, words = corpus.scenario_texts(), (*KEYS, *VALUES)
    else:
        seeds, words = corpus.rule_pieces(), RULE_WORDS
    unit = draw.choice((
        draw.choice(words) + draw.choice((" ", "\n", "")), draw.choice(seeds),
        draw.choice(BRACKETS), draw.choice(ODD), "".join(draw.choices(words, k=20)) + "\n",
    ))
    size = draw.choice((3_000, 30_000, 300_000, (1 << 20) + 10))
    body = unit * (size // max(1, len(unit.encode("utf-8", "surrogatepass"))))
    return body if draw.random() < 0.5 else draw.choice(seeds) + body


_RULES = (
    _damaged(corpus.rule_pieces(), RULE_WORDS), _damaged(corpus.rule_pieces(), RULE_WORDS),
    _soup, sentences.rules, sentences.damaged_rules,
)
_SCENARIO = (
    _damaged(corpus.scenario_texts(), (*KEYS, *VALUES)),
    _damaged(corpus.scenario_texts()[:1], (*KEYS, *VALUES)), _lines, _flow, _one_key, _one_key,
)
