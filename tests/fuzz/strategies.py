"""The engine that draws inputs from Hypothesis strategies: trees of the language and of YAML."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.fuzz import corpus
from tests.fuzz.words import KEYS, ODD, RULE_WORDS, VALUES
from tests.language.strategies import modules
from tests.scenario.test_fuzz import TREES

from llamasim.language.format import show

_BATCH = 500
#: Files that others lack: marks, quotes and signs between whole words.
_WORDS = st.lists(st.sampled_from((*RULE_WORDS, *ODD)), max_size=50).map(" ".join)
_LINES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(KEYS), st.sampled_from(VALUES)).map(
        lambda line: f"{'  ' * line[0]}{line[1]}: {line[2]}"), max_size=15).map("\n".join)
_FRAMES = st.sampled_from((
    "{}", corpus.HEAD + "{}", corpus.HEAD + "technique t {{\n{}\n}}\n",
    corpus.HEAD + "technique t {{ on weight {{\n{}\n}} }}\n", corpus.HEAD + "const c: Real = {}\n",
))

RULES = st.one_of(
    st.text(max_size=200), st.builds(str.format, _FRAMES, _WORDS),
    modules.map(show), modules.map(show).flatmap(
        lambda text: st.integers(0, max(0, len(text) - 1)).map(
            lambda at: text[:at] + text[at + 1 :])),
)
SCENARIOS = st.one_of(
    st.text(max_size=200), _LINES, TREES.map(lambda t: yaml.safe_dump(t, allow_unicode=True)),
    st.builds("".join, st.tuples(st.just(corpus.scenario_texts()[0]), _LINES)),
)


def drawn(target: str, first_seed: int, count: int) -> Iterator[str]:
    """Yield drawn inputs of a target; the same for the same seed."""
    strategy = SCENARIOS if target == "scenario" else RULES
    batch = 0
    while count > 0:
        texts = _batch(strategy, first_seed * 1_000_003 + batch, min(_BATCH, count))
        yield from texts[:count]
        count -= len(texts)
        batch += 1


def _batch(strategy: st.SearchStrategy[str], number: int, count: int) -> list[str]:
    texts: list[str] = []

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(strategy)
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    return texts
