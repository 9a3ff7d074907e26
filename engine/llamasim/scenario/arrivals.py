"""How requests arrive and how long they are: `workload.arrivals`, `prompt` and `output`."""

from __future__ import annotations

import math
from typing import Any, Literal

import attrs

from llamasim.catalog.recordings import Columns, Recording
from llamasim.diagnostics import Span
from llamasim.scenario import problems
from llamasim.scenario.fields import FIELDS, LENGTH, children
from llamasim.scenario.nodes import Mapping, Scalar
from llamasim.scenario.recorded import columns_known, named
from llamasim.scenario.spec import Arrivals, Length
from llamasim.scenario.values import Reading, place, read_keys, read_number, what_is

_NEEDS = {"closed": "concurrency", "poisson": "rate", "gamma": "rate", "diurnal": "rate",
          "stepped": "rates"}
#: Keys that only some processes take.
_TAKES = {
    "closed": ("concurrency",),
    "poisson": ("rate",),
    "gamma": ("rate", "cv"),
    "batch": (),
    "stepped": ("rates", "cv"),
    "diurnal": ("rate", "cv", "period", "swing"),
    "replay": ("trace", "file", "columns", "block", "time_unit", "speed"),
}
_SOME = {key for keys in _TAKES.values() for key in keys}
_RATE = FIELDS["workload.arrivals.rate"]
_TIME = attrs.evolve(FIELDS["workload.arrivals.period"], path="workload.arrivals.rates",
                     example="{0 s: 2 req/s, 60 s: 8 req/s}", above=False)


def read_arrivals(reading: Reading, values: dict[str, Any], node: Mapping) -> Arrivals | None:
    """Read `workload.arrivals`; None where there are none, or once what is wrong is noted."""
    entry, path = node.get("arrivals"), "workload.arrivals"
    if "arrivals" not in values or entry is None:
        return None
    at = place(entry.value, entry.key)
    if not isinstance(entry.value, Mapping):
        ways = (f"write `arrivals: {FIELDS[path].example}`",)
        reading.add(problems.wrong_kind(path, "a mapping", what_is(entry.value), at, ways))
        return None
    inner = read_keys(reading, path, entry.value, children(path), at)
    process = inner.get("process")
    if process is None:
        return None
    _check_process(reading, process, entry.value, at)
    if process == "replay":
        return _replay(reading, inner, entry.value, at)
    rates = _rates(reading, inner.get("rates", {})) if process == "stepped" else ()
    return Arrivals(
        process, inner.get("requests", 200), inner.get("rate", 0.0), inner.get("cv", 1.0),
        inner.get("concurrency", 1), rates, inner.get("period", 86400.0), inner.get("swing", 0.5),
    )


def _check_process(reading: Reading, process: str, node: Mapping, at: Span) -> None:
    need = _NEEDS.get(process)
    if need is not None and node.get(need) is None:
        field = FIELDS[f"workload.arrivals.{need}"]
        reading.add(problems.missing(field.path, at, f"`{process}` arrivals need it",
                                     field.example))
    for entry in node.entries:
        key = entry.key.text
        if key in _SOME and key not in _TAKES[process]:
            fits = [p for p, keys in _TAKES.items() if key in keys]
            reading.add(problems.error(
                "E0512", f"`{key}` has no meaning for {process} arrivals", entry.key.span,
                f"for {_listed(fits)} only",
                help=(f"delete it, or write `process: {fits[0]}`",)))


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _rates(reading: Reading, pairs: dict[str, Scalar]) -> tuple[tuple[float, float], ...]:
    """Return (seconds, requests per second) in order of time; the first begins the run."""
    found: list[tuple[float, float]] = []
    path = "workload.arrivals.rates"
    for text, scalar in pairs.items():
        said = len(reading.found)
        time = read_number(reading, _TIME, path, attrs.evolve(scalar, text=text))
        # What would be written is a key within the value, not the value.
        reading.found[said:] = [attrs.evolve(d, help=(f"as in {_TIME.example}",))
                               for d in reading.found[said:]]
        rate = read_number(reading, attrs.evolve(_RATE, above=False), path, scalar)
        if time is not None and rate is not None:
            found.append((float(time), float(rate)))
    found.sort()
    if found and found[-1][1] <= 0:
        last = list(pairs.values())[-1]
        reading.add(problems.error(
            "E0509", "the last of `rates` is 0, so requests would never come", last.span,
            "holds to the end", help=("end with a rate above 0",)))
    return tuple(found)


def _replay(
    reading: Reading, inner: dict[str, Any], node: Mapping, at: Span
) -> Arrivals | None:
    path = "workload.arrivals"
    entry, given = node.get("columns"), inner.get("columns")
    own: dict[str, Any] = {}
    if entry is not None and given is not None:
        if not isinstance(given, Mapping):
            ways = (f"write `columns: {FIELDS[path + '.columns'].example}`",)
            reading.add(problems.wrong_kind(f"{path}.columns", "a mapping", what_is(given),
                                            entry.key.span, ways))
            return None
        own = read_keys(reading, f"{path}.columns", given, children(f"{path}.columns"),
                        entry.key.span)
    for key in ("columns", "block", "time_unit"):
        if (extra := node.get(key)) is not None and node.get("trace") is not None:
            reading.add(problems.error(
                "E0512", f"`{key}` has no meaning beside `trace`", extra.key.span, "for files only",
                why="the catalog knows the columns of its traces", help=("delete it",)))
    if (block := node.get("block")) is not None and node.get("file") and not own.get("blocks"):
        reading.add(problems.error(
            "E0512", "`block` has no meaning without a column of blocks", block.key.span,
            "needs `columns.blocks`",
            help=("delete it, or add `columns: {blocks: hash_ids}`",)))
    before = len(reading.found)
    recording = named(reading, node, path, at, _columns(reading, inner, own))
    if recording is None or len(reading.found) > before:
        return None
    requests = inner.get("requests", recording.count)
    if requests > recording.count:
        requested = node.get("requests")
        assert requested is not None
        reading.add(problems.error(
            "E0509", f"there are {recording.count:,} recorded requests, not {requests:,}",
            requested.value.span, "more than there are", help=("leave it out to take all",)))
        return None
    return Arrivals("replay", requests, speed=inner.get("speed", 1.0), digest=recording.digest,
                    recording=recording)


def _columns(reading: Reading, inner: dict[str, Any], own: dict[str, Any]) -> Columns:
    """Return a file's columns: those named, and lengths called as here if there are any."""
    known: tuple[str, ...] = ()
    if "file" in inner:
        known = columns_known(reading.folder / inner["file"])
    prompt, output = (own.get(k, k if k in known else "") for k in ("prompt", "output"))
    return Columns(own.get("arrived", "arrived"), prompt, output, own.get("blocks", ""),
                   inner.get("block", 512), inner.get("time_unit", "s"), own.get("variant", ""))


def read_length(
    reading: Reading, values: dict[str, Any], node: Mapping, key: Literal["prompt", "output"],
    otherwise: Length,
) -> Length:
    """Read `workload.prompt` or `output`."""
    given, entry = values.get(key), node.get(key)
    if given is None or entry is None:
        return otherwise
    path, at = f"workload.{key}", place(entry.value, entry.key)
    mean = LENGTH[1]
    if isinstance(given, Scalar):
        number = read_number(reading, attrs.evolve(mean, path=path), path, given)
        return otherwise if number is None else Length("fixed", number)
    if not isinstance(given, Mapping):
        ways = (f"write `{key}: 512 tok`",)
        reading.add(problems.wrong_kind(path, "a number of tokens or a mapping", what_is(given), at,
                                        ways))
        return otherwise
    inner = read_keys(reading, path, given, LENGTH, at)
    distribution = inner.get("distribution", "fixed")
    _check_length(reading, path, distribution, given, inner.get("cv", 0.0))
    known = {e.key.text for e in given.entries} <= {f.key for f in LENGTH}
    if distribution in ("uniform", "lognormal") and given.get("cv") is None and known:
        reading.add(problems.missing(f"{path}.cv", at, LENGTH[2].doc, "0.5"))
    if distribution == "empirical":
        return _empirical(reading, inner, given, key, at) or otherwise
    if "mean" not in inner:
        if given.get("mean") is None:
            reading.add(problems.missing(f"{path}.mean", at, mean.doc, mean.example))
        return otherwise
    return Length(distribution, inner["mean"], inner.get("cv", 0.0))


def _check_length(
    reading: Reading, path: str, distribution: str, given: Mapping, cv: float
) -> None:
    empirical = distribution == "empirical"
    for name in ("mean", "cv") if empirical else ("trace", "file", "column"):
        if (extra := given.get(name)) is not None:
            reading.add(problems.error(
                "E0512", f"`{path}.{name}` has no meaning where it is {distribution}",
                extra.key.span, "says nothing here",
                help=(f"delete `{name}`" if empirical else "add `distribution: empirical`",)))
    if empirical and given.get("trace") is not None and (extra := given.get("column")) is not None:
        reading.add(problems.error(
            "E0512", f"`{path}.column` has no meaning beside a trace, which has columns of its own",
            extra.key.span, "of a file", help=("delete `column`",)))
    spread = given.get("cv")
    if distribution == "fixed" and cv > 0 and spread is not None:
        reading.add(problems.error(
            "E0512", f"`{path}` is fixed and has a spread", spread.key.span, "no spread",
            help=("add `distribution: lognormal`",)))
    if distribution == "uniform" and cv > 1 / math.sqrt(3) and spread is not None:
        reading.add(problems.error(
            "E0509", f"`{path}` would go below zero", spread.value.span, "at most 0.577",
            why="a uniform distribution from 0 to twice the mean has a cv of 1 / sqrt(3)",
            help=("lower `cv`, or write `distribution: lognormal`",)))


def _empirical(
    reading: Reading, inner: dict[str, Any], node: Mapping, key: Literal["prompt", "output"],
    at: Span,
) -> Length | None:
    column = inner.get("column", key)
    columns = Columns(prompt=column) if key == "prompt" else Columns(output=column)
    recording = named(reading, node, f"workload.{key}", at, columns)
    return None if recording is None else _known("empirical", recording, key)


def recorded_length(
    arrivals: Arrivals | None, key: Literal["prompt", "output"]
) -> Length | None:
    """Return the lengths that came with recorded arrivals, if they did."""
    if arrivals is None or arrivals.recording is None:
        return None
    if getattr(arrivals.recording, key) is None:
        return None
    return _known("recorded", arrivals.recording, key, arrivals.requests)


def _known(
    distribution: Literal["empirical", "recorded"], recording: Recording,
    key: Literal["prompt", "output"], count: int | None = None,
) -> Length:
    values = getattr(recording, key)[:count]
    mean = float(values.mean())
    return Length(distribution, mean, float(values.std()) / mean, recording.digest, values)
