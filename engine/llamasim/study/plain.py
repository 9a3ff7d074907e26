"""A study as plain data, for JSON and for an Arrow table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pyarrow as pa

from llamasim import __version__
from llamasim.study.candidate import Candidate
from llamasim.study.metrics import summary_fields
from llamasim.study.search import Study
from llamasim.study.verdict import beaten, compared, infeasible

#: Version of the schema of `candidates`.
VERSION = "1"


def study_json(study: Study) -> dict[str, Any]:
    """Return everything a study found as plain data."""
    scenario, best = study.scenario, study.best
    verdict = infeasible(study) if best is None else None
    counts: dict[str, int] = {}
    for candidate in study.candidates:
        counts[candidate.status] = counts.get(candidate.status, 0) + 1
    return {
        "scenario": scenario.name,
        "model": scenario.model.id,
        "device": scenario.cluster.device.id,
        "devices": scenario.cluster.devices,
        "runtime": scenario.runtime.id,
        "objective": {"metric": study.objective.metric, "maximize": study.objective.maximize},
        "front_compares": [f.metric for f in study.figures],
        "front_accuracy": study.accuracy or None,
        "combinations": len(study.candidates),
        "counts": counts,
        "feasible": best is not None,
        "infeasible_because": verdict.because if verdict else None,
        "nearest": verdict.nearest.number if verdict and verdict.nearest else None,
        "what_would_change_it": list(verdict.ways) if verdict else [],
        "best": None if best is None else candidate_json(study, best),
        "measured": [attrs.asdict(r) for r in study.measured],
        "ranking": [study.candidates[i].number for i in study.ranking],
        "front": [study.candidates[i].number for i in study.front],
        "candidates": [candidate_json(study, c) for c in study.candidates],
    }


def candidate_json(study: Study, candidate: Candidate) -> dict[str, Any]:
    """Return one candidate as plain data."""
    feasible = candidate.status == "feasible"
    winner = beaten(study, candidate) if feasible else None
    fit, evidence = candidate.fit, candidate.evidence
    return {
        "number": candidate.number,
        "choices": dict(candidate.combination.picks),
        "techniques": list(candidate.techniques),
        "status": candidate.status,
        "reason": candidate.reason or None,
        "code": candidate.code or None,
        "against_best": compared(study, candidate) or None if feasible else None,
        "beaten_by": winner.number if winner else None,
        "warnings": list(candidate.warnings),
        "simulated": candidate.simulated,
        "summary": dict(candidate.metrics),
        "peak_memory_gib": candidate.peak_gib,
        "missing_memory_gib": candidate.missing_bytes / 2**30 if fit else None,
        "accuracy": None if evidence is None else {
            "exact": list(evidence.exact),
            "no_evidence": list(evidence.silent),
            "losses": {t: {m: [i.low, i.high] for m, i in ms.items()}
                       for t, ms in evidence.losses.items()},
        },
        "plan_hash": candidate.plan_hash or None,
    }


def candidates_table(study: Study) -> pa.Table:
    """Return all candidates as an Arrow table, one row each, in the order of trying."""
    rank = {i: k for k, i in enumerate(study.ranking, 1)}
    front = set(study.front)
    rows = []
    for index, candidate in enumerate(study.candidates):
        row: dict[str, Any] = {
            "number": candidate.number, "choices": candidate.label,
            "techniques": list(candidate.techniques), "status": candidate.status,
            "reason": candidate.reason or None, "rank": rank.get(index),
            "on_front": index in front, "simulated": candidate.simulated,
            "needed_memory_gib": candidate.peak_gib, "plan_hash": candidate.plan_hash or None,
        }
        row |= _accuracy(study, candidate)
        row |= {k: candidate.metrics.get(k) for k in summary_fields()}
        rows.append(row)
    scenario = study.scenario
    metadata = {
        "scenario": scenario.name, "seed": str(scenario.seed), "llamasim": __version__,
        "schema": VERSION, "objective": study.objective.metric, "accuracy": study.accuracy,
    }
    return pa.Table.from_pylist(rows, schema=_schema().with_metadata(metadata))


def _accuracy(study: Study, candidate: Candidate) -> dict[str, Any]:
    evidence = candidate.evidence
    if evidence is None:
        return {"loss_low": None, "loss_high": None, "no_evidence": []}
    known = evidence.known(study.accuracy)
    return {"loss_low": known.low, "loss_high": known.high,
            "no_evidence": sorted(evidence.unknown(study.accuracy))}


def _schema() -> pa.Schema:
    words = pa.list_(pa.string())
    fields = [
        ("number", pa.int32(), "", "order of trying"), ("choices", pa.string(), "", ""),
        ("techniques", words, "", ""), ("status", pa.string(), "", ""),
        ("reason", pa.string(), "", "why it is not feasible"),
        ("rank", pa.int32(), "", "by the objective, from 1; null where not feasible"),
        ("on_front", pa.bool_(), "", "no other is as good in everything"),
        ("simulated", pa.bool_(), "", "else bounds in closed form"),
        ("needed_memory_gib", pa.float64(), "GiB", "on the fullest device, also where it lacks"),
        ("plan_hash", pa.string(), "", ""),
        ("loss_low", pa.float64(), "", "accuracy, of techniques with evidence"),
        ("loss_high", pa.float64(), "", "likewise"),
        ("no_evidence", words, "", "techniques without a claim in this metric"),
        *((k, pa.float64(), unit, "") for k, unit in summary_fields().items()),
    ]
    return pa.schema([
        pa.field(name, kind, metadata={k: v for k, v in (("unit", unit), ("doc", doc)) if v})
        for name, kind, unit, doc in fields
    ])


def write_candidates(study: Study, folder: Path) -> None:
    """Write `candidates.arrow` into a results folder, whole or not at all, beside what it holds.

    Raises:
        OSError: the folder cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    table = candidates_table(study)
    fresh = folder / ".candidates.arrow"
    with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    fresh.replace(folder / "candidates.arrow")
