"""What each fitted figure does: the errors with a tenth less and a tenth more of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from statistics import fmean

import attrs

from llamasim.catalog.fits import Fit, fits, owner_of, with_figure
from llamasim.catalog.specs import Fabric
from llamasim.scenario.spec import Scenario
from llamasim.validate.cluster import UnsupportedError
from llamasim.validate.collectives import links_of, predict_collective
from llamasim.validate.files import Kind, Row
from llamasim.validate.inference import inference_scenario
from llamasim.validate.mapping import read_mapping
from llamasim.validate.predict import Predictor
from llamasim.validate.score import Scored
from llamasim.validate.training import training_scenario

#: By how much a figure is changed.
STEP = 0.1
#: Rows that tell what a figure does, spread over those of its record.
SAMPLE = 32
#: A change of a prediction below which a row has nothing to do with a figure.
MOVED = 1e-6


@attrs.frozen
class Effect:
    """What a figure does to the rows that it moves.

    Attributes:
        rows: how many predictions of the sample it moves.
        now, less, more: their mean absolute error, as it is and with a tenth less and more.
        change: by how much a tenth more moves a prediction on average, whichever way.

    """

    fit: Fit
    rows: int
    now: float
    less: float
    more: float
    change: float


def effects(
    files: Sequence[tuple[Kind, Sequence[Row]]], done: Callable[[int], object] = lambda count: None
) -> Iterator[Effect]:
    """Yield what each fitted figure does that rows of these files depend on."""
    rows = [(kind, row, owners_of(kind, row)) for kind, part in files for row in part
            if kind != "requests"]
    tasks = []
    for fit in fits():
        own = [(kind, row) for kind, row, owners in rows if (fit.kind, fit.owner) in owners]
        if own:
            step = max(1, len(own) // SAMPLE)
            tasks.append((fit, own[::step][:SAMPLE]))
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        for effect in pool.map(_effect, tasks):
            done(1)
            if effect is not None:
                yield effect


def owners_of(kind: Kind, row: Row) -> frozenset[tuple[str, str]]:
    """Return the records whose fits a row's prediction may depend on, by kind and name."""
    if kind == "collectives":
        links: Mapping[str, str] = links_of(row) or {}
        return frozenset(("fabrics", links[k]) for k in ("inner", "outer") if links.get(k))
    try:
        if kind == "training":
            scenario = training_scenario(row, read_mapping("training"))
        else:
            scenario = inference_scenario(row, read_mapping("inference"))
    except UnsupportedError:
        return frozenset()
    cluster = scenario.cluster
    found = {("runtimes", scenario.runtime.id), ("devices", owner_of(cluster.device))}
    links_used = (cluster.inner, cluster.outer, cluster.host_link)
    return frozenset(found | {("fabrics", f.id) for f in links_used if f is not None})


def _effect(task: tuple[Fit, Sequence[tuple[Kind, Row]]]) -> Effect | None:
    fit, rows = task
    now, less, more = (list(_predicted(rows, fit, factor)) for factor in (1, 1 - STEP, 1 + STEP))
    moved = [
        (a, b, c) for a, b, c in zip(now, less, more, strict=True)
        if a.predicted and b.predicted and c.predicted
        and max(abs(b.predicted / a.predicted - 1), abs(c.predicted / a.predicted - 1)) > MOVED
    ]
    if not moved:
        return None
    errors = [fmean(abs(rows[k].error or 0.0) for rows in moved) for k in range(3)]
    change = fmean(abs((c.predicted or 0.0) / (a.predicted or 1.0) - 1) for a, _, c in moved)
    return Effect(fit, len(moved), errors[0], errors[1], errors[2], change)


def _predicted(rows: Sequence[tuple[Kind, Row]], fit: Fit, factor: float) -> Iterator[Scored]:
    value = fit.value * factor
    change = partial(changed, fit=fit, value=value)
    predictors: dict[Kind, Predictor] = {}
    for kind, row in rows:
        if kind == "collectives":
            yield predict_collective(row, partial(_changed_link, fit=fit, value=value))
            continue
        if kind not in predictors:
            mapping = read_mapping("training" if kind == "training" else "inference")
            predictors[kind] = Predictor(mapping, change)
        predictor = predictors[kind]
        yield from predictor.training(row) if kind == "training" else predictor.inference(row)


def changed(scenario: Scenario, fit: Fit, value: float) -> Scenario:
    """Return a scenario with another value of a fitted figure, where it is its device's, its
    runtime's or a link's.
    """
    cluster, runtime = scenario.cluster, scenario.runtime
    if fit.kind == "runtimes":
        if runtime.id != fit.owner:
            return scenario
        return attrs.evolve(scenario, runtime=with_figure(runtime, fit.path, value))
    if fit.kind == "devices":
        if owner_of(cluster.device) == fit.owner:
            device = with_figure(cluster.device, fit.path, value)
            cluster = attrs.evolve(cluster, device=device)
        return attrs.evolve(scenario, cluster=cluster)
    inner, outer = (f and _changed_link(f, fit, value) for f in (cluster.inner, cluster.outer))
    link = _changed_link(cluster.host_link, fit, value)
    return attrs.evolve(
        scenario, cluster=attrs.evolve(cluster, inner=inner, outer=outer, host_link=link))


def _changed_link(fabric: Fabric, fit: Fit, value: float) -> Fabric:
    ours = fit.kind == "fabrics" and fabric.id == fit.owner
    return with_figure(fabric, fit.path, value) if ours else fabric
