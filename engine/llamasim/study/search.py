"""The search: every combination tried, the feasible ones ranked, and the front among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.scenario.spec import Scenario
from llamasim.study.board import Board, point_of
from llamasim.study.candidate import Candidate
from llamasim.study.combine import Combination, combinations, count
from llamasim.study.evidence import best_metric
from llamasim.study.metrics import Figure, figures_of, objective_of
from llamasim.study.pareto import Point
from llamasim.study.workbench import Workbench
from llamasim.tables.reach import Reach

#: Most combinations that are tried.
MOST = 200_000
#: Combinations of a training job that are bounded at a time.
AT_ONCE = 8192
#: Best candidates by objective that are simulated beside those on the front.
RUNNERS_UP = 5

#: Told in a few words how far a search is; nothing at its end.
Progress = Callable[[str], None]


@attrs.frozen
class Study:
    """What a search found.

    Attributes:
        candidates: every combination, in the order of trying.
        ranking: indices of the feasible ones, the best by the objective first.
        front: indices of those on the Pareto front, the fastest first.
        objective: what the ranking is by.
        figures: what the front compares: speed, memory and, if priced, cost.
        accuracy: metric in which the front compares accuracy; empty where nothing is claimed.
        measured: what stands behind the figures of the best one.

    """

    scenario: Scenario
    candidates: tuple[Candidate, ...]
    ranking: tuple[int, ...]
    front: tuple[int, ...]
    objective: Figure
    figures: tuple[Figure, ...]
    accuracy: str
    measured: tuple[Reach, ...] = ()

    @property
    def best(self) -> Candidate | None:
        """The feasible candidate that the objective ranks first."""
        return self.candidates[self.ranking[0]] if self.ranking else None

    @property
    def speed(self) -> Figure:
        """What counts as speed."""
        return self.figures[0]

    def point(self, candidate: Candidate) -> Point:
        """Return a candidate as the front sees it."""
        return point_of(candidate, self.figures, self.accuracy)


def optimize(
    scenario: Scenario, progress: Progress | None = None
) -> tuple[Study | None, list[Diagnostic]]:
    """Try every combination of a scenario's choices.

    Every combination is either simulated or, of a training job, bounded in closed form, thousands a
    second. Those on the front, and the best few by the objective, are always simulated: a bound
    that a simulation could only worsen is enough to rule a combination out, never to choose it.
    """
    total = count(scenario.choices)
    if total > MOST:
        return None, [_too_many(scenario, total)]
    bench, diagnostics = Workbench.of(scenario)
    if bench is None:
        return None, diagnostics
    candidates = _drafts(bench, total, progress)
    accuracy = best_metric(c.evidence for c in candidates if c.evidence is not None)
    study = _settle(bench, candidates, accuracy, progress)
    if progress is not None:
        progress("")
    return study, diagnostics


def _too_many(scenario: Scenario, total: int) -> Diagnostic:
    span = scenario.spans.get("choices")
    knobs = " x ".join(f"{c.label} {len(c.options)}" for c in scenario.choices)
    return Diagnostic(
        "E0521",
        f"`choices` has {total:,} combinations, and at most {MOST:,} are tried",
        (Label(span, f"{total:,} combinations"),) if span else (),
        why=knobs,
        help=("drop a knob or an alternative, or fix it in `use`",),
    )


def _drafts(bench: Workbench, total: int, progress: Progress | None) -> list[Candidate]:
    seen: dict[str, int] = {}
    candidates: list[Candidate] = []
    for some in batched(combinations(bench.scenario), AT_ONCE if bench.bounded else 1):
        if bench.bounded:
            candidates += bench.bounds(some)
        else:
            candidates.append(bench.draft(some[0], seen.get))
            if candidates[-1].simulated:
                seen[candidates[-1].plan_hash] = candidates[-1].number
        if progress is not None:
            progress(f"{len(candidates):,} of {total:,}")
    return candidates


def batched(items: Iterable[Combination], count: int) -> Iterator[list[Combination]]:
    """Yield items in lists of `count`, the last one shorter."""
    rest = iter(items)
    while some := list(islice(rest, count)):
        yield some


def _settle(
    bench: Workbench, candidates: list[Candidate], accuracy: str, progress: Progress | None
) -> Study:
    """Simulate until nothing on the front or among the best rests on a bound."""
    scenario = bench.scenario
    objective, figures = objective_of(scenario), figures_of(scenario)
    board = Board(candidates, objective, figures, accuracy)
    seen: dict[str, int] = {}
    simulated = 0
    while open_ones := board.open_ones(RUNNERS_UP):
        for index in open_ones:
            found = bench.draft(candidates[index].combination, seen.get)
            if found.simulated:
                seen[found.plan_hash] = found.number
            board.put(index, found)
            simulated += 1
            if progress is not None:
                progress(f"{simulated:,} of the best simulated")
    ranking = board.ranking()
    return Study(scenario, tuple(candidates), ranking, board.front(), objective, figures, accuracy,
                 bench.reach(candidates[ranking[0]].combination) if ranking else ())
