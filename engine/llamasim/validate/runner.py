"""Files of measurements predicted row by row, on all processors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

from llamasim.diagnostics import Diagnostic
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.collectives import predict_collective
from llamasim.validate.files import File, Kind, Row
from llamasim.validate.mapping import read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.requests import measured, read_setup, replayed
from llamasim.validate.score import Scored

#: Rows that one process takes at a time: neighbours often tell of the same run.
PART = 24
#: Rows below which further processes cost more than they save.
FEW = 64


def predict_file(
    file: File, done: Callable[[int], object] = lambda count: None
) -> tuple[list[Scored], list[Diagnostic]]:
    """Return a file's rows with their errors; `done` is told of rows as they are predicted."""
    if file.kind == "requests":
        found, said = _requests(file.path, file.rows)
        done(len(file.rows))
        return found, said
    result: list[Scored] = []
    parts = [file.rows[i : i + PART] for i in range(0, len(file.rows), PART)]
    for part, scored in zip(parts, _in_parts(file.kind, parts), strict=True):
        result += scored
        done(len(part))
    return result, []


def _in_parts(kind: Kind, parts: Sequence[Sequence[Row]]) -> Iterator[list[Scored]]:
    workers = min(os.cpu_count() or 1, len(parts))
    if workers < 2 or sum(map(len, parts)) < FEW or kind == "collectives":
        yield from (predict_rows(kind, part) for part in parts)
        return
    with ProcessPoolExecutor(workers) as pool:
        waiting = [pool.submit(predict_rows, kind, part) for part in parts]
        try:
            for future in waiting:
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def predict_rows(kind: Kind, rows: Sequence[Row]) -> list[Scored]:
    """Return the errors of some rows of a kind."""
    if kind == "collectives":
        return [predict_collective(row) for row in rows]
    predictor = _predictor(kind)
    predict = predictor.training if kind == "training" else predictor.inference
    return [scored for row in rows for scored in predict(row)]


@cache
def _predictor(kind: Kind) -> Predictor:
    return Predictor(read_mapping("training" if kind == "training" else "inference"))


def _requests(path: Path, rows: tuple[Row, ...]) -> tuple[list[Scored], list[Diagnostic]]:
    setup, said = read_setup(path)
    if setup is None:
        return [], said
    mapping = read_mapping("inference")
    wanted = measured(rows)
    try:
        scenario, said = replayed(path, setup, mapping)
        if scenario is None:
            return [], said
        return list(Predictor(mapping).requests(setup, scenario, wanted)), []
    except UnsupportedError as error:
        groups = {"device": "", "source": path.stem, "runtime": "", "workload": "serving"}
        return [Scored(path.stem, m, v, None, None, "unsupported", str(error), groups)
                for m, v in wanted.items()], []
