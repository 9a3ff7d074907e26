"""Write what was measured of runtimes and devices, from a folder of measurements.

    python -m benchmarks.measured FOLDER

Each row of its CSV files is predicted; what is kept of it is what it was a run of and how far the
prediction is off, by runtime, device and kind of figure: `catalog/data/measured.json`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from llamasim.scenario.spec import Scenario
from llamasim.tables.reach import Setting, setting_of
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.files import Row, read_rows
from llamasim.validate.holdout import held_out
from llamasim.validate.inference import inference_scenario
from llamasim.validate.mapping import read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.requests import measured, read_setup, replayed
from llamasim.validate.score import Scored
from llamasim.validate.training import training_scenario

OUT = Path(__file__).parents[1] / "engine/llamasim/catalog/data/measured.json"
FILES = ("training.csv", "training_vtrain_single_node.csv", "inference.csv")
_PROMPTS = ("prefill_tok_s", "ttft_ms")

Found = dict[tuple[str, str, str], list[tuple[Setting, Scored]]]


def job_of(scenario: Scenario, metric: str) -> str:
    """Return the kind of figure that a metric is."""
    if scenario.workload.mode == "training":
        return "" if metric == "peak_memory_gib" else "training"
    if scenario.workload.serving:
        return "serving"
    return "prompts" if metric in _PROMPTS else "generation"


def settings(path: Path) -> Iterator[tuple[str, Setting, Scored]]:
    """Yield what each row of a file is a run of, and its error."""
    file, said = read_rows(path)
    if file is None:
        raise SystemExit(said[0].message)
    if file.kind == "requests":
        yield from _replayed(path, file.rows)
        return
    training = file.kind == "training"
    mapping = read_mapping("training" if training else "inference")
    predictor = Predictor(mapping)
    for row in file.rows:
        yield from _row(row, predictor, training=training)


def _replayed(path: Path, rows: tuple[Row, ...]) -> Iterator[tuple[str, Setting, Scored]]:
    setup, _ = read_setup(path)
    mapping = read_mapping("inference")
    scenario = None if setup is None else replayed(path, setup, mapping)[0]
    if setup is None or scenario is None:
        return
    predictor = Predictor(mapping)
    setting = setting_of(predictor.plan(scenario), scenario)
    for scored in predictor.requests(setup, scenario, measured(rows)):
        yield "serving", setting, scored


def _row(
    row: Row, predictor: Predictor, *, training: bool
) -> Iterator[tuple[str, Setting, Scored]]:
    read = training_scenario if training else inference_scenario
    try:
        scenario = read(row, predictor.mapping)
        setting = setting_of(predictor.plan(scenario), scenario)
    except UnsupportedError:
        return
    for scored in predictor.training(row) if training else predictor.inference(row):
        job = job_of(scenario, scored.metric)
        if job and scored.error is not None:
            yield job, setting, scored


def group(key: tuple[str, str, str], rows: list[tuple[Setting, Scored]]) -> dict[str, object]:
    """Return what is kept of some runs."""
    errors = [abs(s.error or 0.0) for _, s in rows]
    unseen = [abs(s.error or 0.0) for _, s in rows if held_out(s)]
    some = [setting for setting, _ in rows]

    def span(values: list[int]) -> list[int]:
        return [min(values), max(values)]

    return {
        "runtime": key[0], "device": key[1], "job": key[2], "runs": len(rows),
        "held_out": len(unseen), "error": round(median(errors), 3),
        "held_out_error": round(median(unseen), 3) if unseen else None,
        "bits": sorted({s.bits for s in some if s.bits}), "math": sorted({s.math for s in some}),
        "params": span([s.params for s in some]), "context": span([s.context for s in some]),
        "sequences": span([s.sequences for s in some]), "devices": span([s.devices for s in some]),
    }


def main() -> None:
    """Predict all rows and write what they are runs of."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found: Found = {}
    folder = Path(sys.argv[1])
    for path in (*(folder / name for name in FILES), *sorted(folder.glob("serving_*.csv"))):
        for job, setting, scored in settings(path):
            found.setdefault((setting.runtime, setting.device, job), []).append((setting, scored))
    rows = [group(key, rows) for key, rows in sorted(found.items())]
    text = ",\n".join(json.dumps(row) for row in rows)
    OUT.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    print(f"{len(rows)} groups of {sum(map(len, found.values())):,} runs: {OUT}")


if __name__ == "__main__":
    main()
