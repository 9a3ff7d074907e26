"""Files of single requests: what a real server was given is replayed, and the means compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs

from llamasim.catalog.recordings import Columns, RecordingError, read_recording
from llamasim.diagnostics import Diagnostic
from llamasim.scenario.spec import Arrivals, Length, Scenario
from llamasim.validate.files import Row
from llamasim.validate.inference import inference_scenario
from llamasim.validate.mapping import Mapping

_COLUMNS = Columns("arrived_at_s", "input_tokens", "output_tokens")
#: What of a set-up is a scheduler's limit, and the runtime's attribute for it.
_LIMITS = {"max_num_seqs": "max_sequences", "max_num_batched_tokens": "token_budget",
           "gpu_memory_utilization": "memory_share"}


def read_setup(path: Path) -> tuple[Row | None, list[Diagnostic]]:
    """Read what a file of requests ran on, from the `.json` of the same name beside it."""
    beside = path.with_suffix(".json")
    try:
        said = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return None, [_unreadable(beside, str(error))]
    if not isinstance(said, dict):
        return None, [_unreadable(beside, "it holds no object")]
    texts = {str(k): _text(v) for k, v in said.items() if v is not None}
    return Row(path.stem, {"id": path.stem, **texts}, {}), []


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _unreadable(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        "E0720", f"{path} cannot be read: {why}",
        help=("a file of requests needs its set-up beside it: a .json of the same name with model, "
              "device, runtime, n_devices, tp, weight_dtype",),
    )


def replayed(path: Path, setup: Row, mapping: Mapping) -> tuple[Scenario | None, list[Diagnostic]]:
    """Return the scenario that gives a simulated server the same requests at the same times.

    Raises:
        UnsupportedError: the set-up cannot be expressed.

    """
    try:
        found = read_recording(path, _COLUMNS)
    except (OSError, RecordingError) as error:
        return None, [Diagnostic("E0720", f"{path} cannot be read: {error}",
                                 help=("give a CSV file with one request a row",))]
    assert found.prompt is not None
    assert found.output is not None
    base = inference_scenario(setup, mapping)
    longest = int((found.prompt + found.output).max())
    workload = attrs.evolve(
        base.workload, sequence=longest,
        arrivals=Arrivals("replay", found.count, digest=found.digest, recording=found),
        prompt=_recorded(found.prompt, found.digest), output=_recorded(found.output, found.digest),
    )
    limits = {name: type(getattr(base.runtime, name))(float(setup.texts[key]))
              for key, name in _LIMITS.items() if key in setup.texts}
    return attrs.evolve(base, workload=workload,
                        runtime=attrs.evolve(base.runtime, **limits)), []


def _recorded(lengths: Any, digest: str) -> Length:
    return Length("recorded", float(lengths.mean()), digest=digest, known=lengths)


def measured(rows: tuple[Row, ...]) -> dict[str, float]:
    """Return the means that the file's requests come to, by the names of metrics."""
    def column(name: str) -> list[float]:
        values = (row.measured.get(name, row.number(name)) for row in rows)
        return [value for value in values if value is not None]

    first, whole, began = column("ttft_s"), column("latency_s"), column("arrived_at_s")
    outputs = column("output_tokens")
    found: dict[str, float] = {}
    if first:
        found["ttft_ms"] = sum(first) / len(first) * 1e3
    if whole and len(whole) == len(began):
        found["latency_s"] = sum(whole) / len(whole)
        ends = [b + w for b, w in zip(began, whole, strict=True)]
        found["makespan_s"] = max(ends) - min(began)
    if first and len(first) == len(whole) == len(outputs):
        each = [(w - f) / (n - 1) for w, f, n in zip(whole, first, outputs, strict=True) if n > 1]
        found["tpot_ms"] = sum(each) / len(each) * 1e3
    return found
