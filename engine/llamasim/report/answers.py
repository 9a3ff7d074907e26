"""The answers of `optimize`: one study in full, or a table of several."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

import attrs

from llamasim.report.accuracy import accuracy_text
from llamasim.report.layout import WIDTH, columns, money, number
from llamasim.report.measured import measured_rows
from llamasim.study import Candidate, Study, infeasible
from llamasim.study.metrics import COST, MEMORY, Figure, unit_of
from llamasim.study.search import RUNNERS_UP
from llamasim.study.verdict import alternatives, beaten, compared

#: Rows of the front that are printed; `--json` has all.
MOST_ROWS = 12
_STATUS = (
    ("feasible", "feasible"), ("too_large", "do not fit"), ("too_slow", "miss a target"),
    ("refused", "refused"), ("repeats", "repeat another's plan"),
)


def study_text(study: Study) -> str:
    """Return one study: the answer, the front, the runners-up, and why the others lost."""
    lines = [*_head(study), ""]
    lines += _infeasible(study) if study.best is None else _feasible(study, study.best)
    return "\n".join([*lines, *_alternatives(study), *_lost(study)])


def _head(study: Study) -> list[str]:
    counts = [(sum(c.status == status for c in study.candidates), words)
              for status, words in _STATUS]
    tried = len(study.candidates)
    said = ", ".join(f"{n} {words}" for n, words in counts if n)
    way = "maximize" if study.objective.maximize else "minimize"
    text = f"{tried} combination{'s' if tried > 1 else ''}: {said}; {way} {study.objective.metric}"
    if not study.scenario.choices:
        text += " (nothing to choose: the scenario has no `choices`)"
    return [f"{study.scenario.name}: {job_of(study)}", *_wrapped(text, "")]


def job_of(study: Study) -> str:
    """Return model, machine and runtime of a study in one line."""
    s = study.scenario
    count = f"{s.cluster.devices:,} x " if s.cluster.devices > 1 else ""
    return f"{s.model.name} on {count}{s.cluster.device.name}, {s.runtime.name}"


def _feasible(study: Study, best: Candidate) -> list[str]:
    lines = ["Best"]
    facts = [("choices", best.label), ("techniques", ", ".join(best.techniques))]
    facts += [(f.metric, figure_text(f, best)) for f in _shown(study)]
    facts += [("memory", memory_text(best)), ("accuracy", accuracy_text(best.evidence,
                                                                        study.accuracy))]
    facts += measured_rows([attrs.asdict(r) for r in study.measured])
    lines += _facts([(k, v) for k, v in facts if v and v != "-"])
    for warning in best.warnings:
        lines += _wrapped(f"warning: {warning}", "  ")
    for words, holds in (("with evidence for every technique", _is_known),
                         ("without any loss of accuracy", _is_exact)):
        other = next((c for i in study.ranking if holds(c := study.candidates[i])), None)
        if other is not None and not holds(best):
            lines += _wrapped(f"{words}: {other.label} (#{other.number}), "
                              f"{compared(study, other)}", "  ")
    return [*lines, "", *_front(study), *_runners_up(study)]


def _is_known(candidate: Candidate) -> bool:
    return candidate.evidence is not None and not candidate.evidence.silent


def _is_exact(candidate: Candidate) -> bool:
    evidence = candidate.evidence
    return evidence is not None and not evidence.losses and not evidence.silent


def _shown(study: Study) -> list[Figure]:
    """Return the figures that are printed: the objective, then those of the front."""
    return [f for f in dict.fromkeys((study.objective, *study.figures)) if f.metric != MEMORY]


def figure_text(figure: Figure, candidate: Candidate) -> str:
    """Return a candidate's figure with its unit."""
    value = candidate.metrics.get(figure.metric)
    if value is None:
        return "-"
    if figure.metric == COST:
        return money(value)
    unit = unit_of(figure.metric)
    return f"{number(value)} {unit}" if unit else f"{value:.3g}"


def memory_text(candidate: Candidate) -> str:
    """Return what a device needs and has."""
    fit = candidate.fit
    if fit is None:
        return "-"
    return f"{fit.peak_bytes / 2**30:,.1f} of {fit.capacity_bytes / 2**30:,.1f} GiB"


def _front(study: Study) -> list[str]:
    names = ", ".join([*(f.metric for f in study.figures), "accuracy"])
    lines = [f"Pareto front of {names}"]
    lines += _table(study, [study.candidates[i] for i in study.front[:MOST_ROWS]])
    more = len(study.front) - MOST_ROWS
    lines += [f"  and {more} more (`--json`)"] if more > 0 else []
    if any(c.evidence and c.evidence.unknown(study.accuracy)
           for c in (study.candidates[i] for i in study.front)):
        about = f" in {study.accuracy.replace('_', ' ')}" if study.accuracy else ""
        lines += _wrapped(f"A technique without evidence{about} is not comparable in accuracy with "
                          "those that have some; its combinations stay on the front.", "  ")
    return lines


def _table(study: Study, candidates: Sequence[Candidate]) -> list[str]:
    """Return a row of figures each, its choices below it, without those that all rows share."""
    shown, shared = _shown(study), _shared(candidates)
    rows = [("#", *(_heading(f) for f in shown), "GiB")]
    rows += [
        (str(c.number), *(figure_text(f, c) for f in shown),
         "-" if c.peak_gib is None else f"{c.peak_gib:,.1f}")
        for c in candidates
    ]
    table = columns(rows, right="".join(str(i) for i in range(len(shown) + 2))).splitlines()
    lines = _wrapped(f"all with {picks_text(shared)}", "  ") if shared else []
    lines.append(table[0] + "  choices (accuracy)")
    for figures, candidate in zip(table[1:], candidates, strict=True):
        own = picks_text(p for p in candidate.combination.picks if p not in shared)
        text = f"{own} ({accuracy_text(candidate.evidence, study.accuracy)})"
        lines += textwrap.wrap(text, WIDTH, initial_indent=figures + "  ", break_on_hyphens=False,
                               subsequent_indent=" " * (len(figures) + 2))
    return lines


def _heading(figure: Figure) -> str:
    return "$/Mtok" if figure.metric == COST else figure.metric


def _shared(candidates: Sequence[Candidate]) -> list[tuple[str, str]]:
    """Return the choices that all of several candidates have made."""
    if len(candidates) < 2:
        return []
    return [p for p in candidates[0].combination.picks
            if all(p in c.combination.picks for c in candidates)]


def picks_text(picks: Iterable[tuple[str, str]]) -> str:
    """Return choices as text."""
    return ", ".join(f"{k}={v}" for k, v in picks)


def _runners_up(study: Study) -> list[str]:
    others = [study.candidates[i] for i in study.ranking[1:RUNNERS_UP]]
    if not others:
        return []
    lines = ["", "Runners-up"]
    for candidate in others:
        winner = beaten(study, candidate)
        text = f"#{candidate.number} {candidate.label}: {compared(study, candidate)}"
        lines += _wrapped(text + (f"; beaten by #{winner.number} throughout" if winner else ""),
                          "  ")
    return lines


def _infeasible(study: Study) -> list[str]:
    verdict = infeasible(study)
    lines = _wrapped(f"Infeasible, because {_lower(verdict.because)}", "")
    if verdict.nearest is not None:
        lines += _wrapped(f"nearest: {verdict.nearest.label} (#{verdict.nearest.number})", "  ")
        lines += _wrapped("techniques: " + ", ".join(verdict.nearest.techniques), "  ")
    if verdict.ways:
        lines += ["  what would change it:"]
        for way in verdict.ways:
            lines += _wrapped(f"- {way}", "    ")
    return lines


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _alternatives(study: Study) -> list[str]:
    """Return how each alternative does at its best."""
    if not study.scenario.choices:
        return []
    lines = ["", "Each alternative at its best"]
    for knob, option, text in alternatives(study):
        lines += _wrapped(f"{knob}={option}: {text}", "  ")
    return lines


def _lost(study: Study) -> list[str]:
    lines: list[str] = []
    for status, title in (("too_large", "Does not fit"), ("too_slow", "Misses a target"),
                          ("refused", "Refused")):
        lost = [c for c in study.candidates if c.status == status]
        if lost:
            lines += ["", title, *_grouped(lost, status)]
    return lines


def _grouped(lost: Sequence[Candidate], status: str) -> Iterator[str]:
    """Yield the candidates that failed: the nearest ones, or one for each reason."""
    if status == "refused":
        reasons = dict.fromkeys(c.reason for c in lost)
        for reason in list(reasons)[:MOST_ROWS]:
            same = [c for c in lost if c.reason == reason]
            count = f"{len(same)} combinations, first " if len(same) > 1 else ""
            yield from _wrapped(f"{count}#{same[0].number} {same[0].label}: {reason}", "  ")
        return
    nearest = sorted(lost, key=lambda c: (c.missing_bytes, c.number))
    for candidate in nearest[:RUNNERS_UP]:
        yield from _wrapped(f"#{candidate.number} {candidate.label}: {candidate.reason}", "  ")
    if len(nearest) > RUNNERS_UP:
        yield f"  and {len(nearest) - RUNNERS_UP} that miss by more (`--json`)"


def answers_text(studies: Sequence[Study]) -> str:
    """Return the answers of several studies as a table, one row each."""
    priced = any(c.metric == COST for s in studies for c in s.figures)
    head = ["scenario", "speed", "GiB needed", *(["$/Mtok"] if priced else []),
            "best choices (accuracy)"]
    rows = [head, *(_answer(s, priced) for s in studies)]
    widths = [max(len(r[i]) for r in rows if len(r) == len(head)) for i in range(len(head) - 1)]
    widths[0] = max(len(r[0]) for r in rows)
    lines: list[str] = []
    for row in rows:
        whole = len(row) == len(head)
        cells = [c.ljust(w) for c, w in zip(row[:-1], widths if whole else widths[:1], strict=True)]
        lead = "  ".join([*cells, ""])
        lines += textwrap.wrap(row[-1], WIDTH, initial_indent=lead, break_on_hyphens=False,
                               subsequent_indent=" " * len(lead))
    return "\n".join(lines)


def _answer(study: Study, priced: bool) -> list[str]:
    """Return a study's row: all columns, or its name and why nothing is feasible."""
    best = study.best
    if best is None:
        return [study.scenario.name, f"infeasible, because {_lower(infeasible(study).because)}"]
    cost = best.metrics.get(COST)
    accuracy = accuracy_text(best.evidence, study.accuracy)
    return [
        study.scenario.name, figure_text(study.speed, best), memory_text(best),
        *([money(cost) if cost is not None else "-"] if priced else []),
        f"{best.label} ({accuracy})",
    ]


def _facts(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(k) for k, _ in rows) + 4
    lines: list[str] = []
    for key, value in rows:
        lines += textwrap.wrap(value, WIDTH, initial_indent=f"  {key}".ljust(width),
                               subsequent_indent=" " * width, break_on_hyphens=False)
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ",
                         break_on_hyphens=False)

