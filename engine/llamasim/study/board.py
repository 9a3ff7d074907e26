"""The candidates of a search as they stand: which are best, which are on the front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llamasim.study.candidate import Candidate
from llamasim.study.metrics import Figure
from llamasim.study.pareto import Point, dominates, front, rounded

Key = tuple[tuple[bool, float], ...]


def point_of(candidate: Candidate, figures: Sequence[Figure], accuracy: str) -> Point:
    """Return a candidate's figures and accuracy, the less the better."""
    scores = [rounded(f.score(candidate.metrics)) for f in figures]
    if candidate.evidence is None:
        return Point((*scores, None))
    known = candidate.evidence.known(accuracy).high
    return Point((*scores, rounded(known)), candidate.evidence.unknown(accuracy))


class Board:
    """Candidates with the places that their figures give them; each may be replaced by itself
    simulated, which is never better than a bound.
    """

    def __init__(
        self, candidates: list[Candidate], objective: Figure, figures: Sequence[Figure],
        accuracy: str,
    ) -> None:
        """Take `candidates`, which `put` writes to."""
        self.candidates, self.objective = candidates, objective
        self.figures, self.accuracy = figures, accuracy
        self.keys: dict[int, Key] = {}
        self.points: dict[int, Point] = {}
        for index, candidate in enumerate(candidates):
            self._place(index, candidate)
        #: Feasible ones that may be on the front: no simulated one is better in everything.
        self.alive = set(self.keys)

    def put(self, index: int, candidate: Candidate) -> None:
        """Replace a candidate."""
        self.candidates[index] = candidate
        self._place(index, candidate)

    def _place(self, index: int, candidate: Candidate) -> None:
        """Note where a candidate stands.

        Figures that agree in the digits that count are a dead heat: less unknown accuracy wins it,
        then less known loss, then the other figures, then the order of trying.
        """
        if candidate.status != "feasible":
            self.keys.pop(index, None)
            return
        point = point_of(candidate, self.figures, self.accuracy)
        first = rounded(self.objective.score(candidate.metrics))
        *others, loss = point.figures
        scores = (first, float(len(point.unknown)), loss, *others)
        self.points[index] = point
        self.keys[index] = (*((s is None, s or 0.0) for s in scores), (False, index))

    def ranking(self) -> tuple[int, ...]:
        """Return the feasible ones, the best by the objective first."""
        return self._sorted(self.keys)

    def _sorted(self, indices: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted(indices, key=self.keys.__getitem__))

    def front(self) -> tuple[int, ...]:
        """Return the Pareto front, the fastest first; of equal ones, the best ranked."""
        ranked = self._sorted(i for i in self.alive if i in self.keys)
        found = [ranked[k] for k in front([self.points[i] for i in ranked])]
        place = {index: k for k, index in enumerate(found)}
        speed = self.figures[0]

        def key(index: int) -> tuple[bool, float, int]:
            score = speed.score(self.candidates[index].metrics)
            return score is None, score or 0.0, place[index]

        return tuple(sorted(found, key=key))

    def open_ones(self, best: int) -> list[int]:
        """Return those on the front or among the `best` by the objective that rest on bounds.

        What a simulated one on the front beats stays beaten, so it is not looked at again.
        """
        ahead = self.front()
        sure = [self.points[i] for i in ahead if self.candidates[i].simulated]
        self.alive = {
            i for i in self.alive
            if i in self.keys and not any(dominates(p, self.points[i]) for p in sure)
        }
        those = dict.fromkeys((*self.ranking()[:best], *ahead))
        return [i for i in those if not self.candidates[i].simulated]
