"""The search: every combination tried, the feasible ones ranked, and the front among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from llamasim.diagnostics import Diagnostic, Label
from llamasim.scenario.spec import Scenario
from llamasim.study.candidate import Candidate
from llamasim.study.combine import combinations, count
from llamasim.study.evidence import best_metric
from llamasim.study.metrics import Figure, figures_of, objective_of
from llamasim.study.pareto import Point, front, rounded
from llamasim.study.workbench import Workbench

#: Most combinations that are tried.
MOST = 20_000
#: Best candidates by objective that are simulated beside those on the front.
RUNNERS_UP = 5

Progress = Callable[[int, int], None]


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

    """

    scenario: Scenario
    candidates: tuple[Candidate, ...]
    ranking: tuple[int, ...]
    front: tuple[int, ...]
    objective: Figure
    figures: tuple[Figure, ...]
    accuracy: str

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

    Every combination is built and either simulated or bounded in closed form. Those on the front,
    and the best few by the objective, are always simulated: a bound that a simulation could only
    worsen is enough to rule a combination out, never to choose it.
    """
    total = count(scenario.choices)
    if total > MOST:
        return None, [_too_many(scenario, total)]
    bench, diagnostics = Workbench.of(scenario)
    if bench is None:
        return None, diagnostics
    candidates = _drafts(bench, total, progress)
    accuracy = best_metric(c.evidence for c in candidates if c.evidence is not None)
    study = _settle(bench, candidates, accuracy)
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
    for combination in combinations(bench.scenario):
        candidate = bench.draft(combination, seen.get)
        if candidate.plan_hash:
            seen.setdefault(candidate.plan_hash, candidate.number)
        candidates.append(candidate)
        if progress is not None:
            progress(len(candidates), total)
    return candidates


def _settle(bench: Workbench, candidates: list[Candidate], accuracy: str) -> Study:
    """Simulate until nothing on the front or among the best rests on a bound."""
    scenario = bench.scenario
    objective, figures = objective_of(scenario), figures_of(scenario)
    while True:
        ranking = _ranking(candidates, objective, figures, accuracy)
        ahead = _front(candidates, ranking, figures, accuracy)
        open_ones = [i for i in (*ranking[:RUNNERS_UP], *ahead) if not candidates[i].simulated]
        if not open_ones:
            break
        candidates[open_ones[0]] = bench.confirm(candidates[open_ones[0]])
    return Study(scenario, tuple(candidates), ranking, ahead, objective, figures, accuracy)


def point_of(candidate: Candidate, figures: Sequence[Figure], accuracy: str) -> Point:
    """Return a candidate's figures and accuracy, the less the better."""
    scores = [rounded(f.score(candidate.metrics)) for f in figures]
    if candidate.evidence is None:
        return Point((*scores, None))
    known = candidate.evidence.known(accuracy).high
    return Point((*scores, rounded(known)), candidate.evidence.unknown(accuracy))


def _ranking(
    candidates: Sequence[Candidate], objective: Figure, figures: Sequence[Figure], accuracy: str
) -> tuple[int, ...]:
    """Return the feasible ones by the objective.

    Figures that agree in the digits that count are a dead heat: less unknown accuracy wins it, then
    less known loss, then the other figures, then the order of trying.
    """

    def key(index: int) -> tuple[tuple[bool, float], ...]:
        candidate = candidates[index]
        first = rounded(objective.score(candidate.metrics))
        point = point_of(candidate, figures, accuracy)
        *others, loss = point.figures
        scores = (first, float(len(point.unknown)), loss, *others)
        return (*((s is None, s or 0.0) for s in scores), (False, index))

    feasible = [i for i, c in enumerate(candidates) if c.status == "feasible"]
    return tuple(sorted(feasible, key=key))


def _front(
    candidates: Sequence[Candidate], ranking: Sequence[int], figures: Sequence[Figure],
    accuracy: str,
) -> tuple[int, ...]:
    """Return the Pareto front, the fastest first; of equal ones, the best ranked."""
    points = [point_of(candidates[i], figures, accuracy) for i in ranking]
    found = [ranking[k] for k in front(points)]
    speed = figures[0]

    def key(index: int) -> tuple[bool, float, int]:
        score = speed.score(candidates[index].metrics)
        return score is None, score or 0.0, ranking.index(index)

    return tuple(sorted(found, key=key))
