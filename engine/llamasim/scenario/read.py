"""From a YAML file to a `Scenario`: many findings in one pass, never an exception."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest
from llamasim.scenario import problems
from llamasim.scenario.cluster import read_cluster
from llamasim.scenario.endurance import read_reliability
from llamasim.scenario.fields import EDITION, FIELDS, METRICS, children
from llamasim.scenario.nodes import MAX_BYTES, Mapping, Node, compose
from llamasim.scenario.overrides import override
from llamasim.scenario.records import check_model, read_record
from llamasim.scenario.spec import Objective, Scenario
from llamasim.scenario.uses import check_prefer, read_choices, read_uses
from llamasim.scenario.values import Enough, Reading, place, read_keys, shorten, what_is
from llamasim.scenario.workload import read_workload


def read(
    path: Path, overrides: Iterable[str] = (), text: str | None = None
) -> tuple[Scenario | None, list[Diagnostic]]:
    """Read a scenario file.

    Args:
        path: the YAML file.
        overrides: `key.path=value` texts, applied in order before anything is checked.
        text: what to read in place of the file's own text, such as an editor's.

    Returns:
        The scenario, or None where an error was found; and all findings, warnings included.

    """
    source, problem = _load(path) if text is None else (Source(shown_name(path), text), None)
    if text is not None and len(text) > MAX_BYTES:
        return None, [_too_large(shown_name(path))]
    if source is None:
        return None, [] if problem is None else [problem]
    root, found = compose(source)
    reading = Reading(path.parent, found)
    if root is None:
        return None, found or [problems.empty(source)]
    if not isinstance(root, Mapping):
        ways = ("start with `edition: 2026`",)
        first = Span(source, root.span.line, root.span.column, root.span.line,
                     max(root.span.column + 1, root.span.end_column))
        found.append(problems.wrong_kind("the scenario", "a mapping", what_is(root), first, ways))
        return None, found
    scenario: Scenario | None = None
    try:
        root = override(reading, root, overrides)
        _note_spans(reading, "", root)
        scenario, found = _assemble(reading, path, root, source)
    except Enough:
        found = reading.found
    return scenario, sorted(found, key=lambda d: _order(d, source))


def _order(finding: Diagnostic, source: Source) -> tuple[bool, int, int]:
    """Order findings as the file has them, those elsewhere (`--set`) first."""
    if not finding.labels or finding.labels[0].span.source is not source:
        return (False, 0, 0)
    span = finding.labels[0].span
    return (True, span.line, span.column)


def _load(path: Path) -> tuple[Source | None, Diagnostic | None]:
    name = shown_name(path)
    try:
        if path.is_dir():
            inside = sorted(p.name for p in path.glob("*.yaml"))
            ways = (f"name a file in it: {', '.join(inside[:12])}",) if inside else (
                "name a `.yaml` file",)
            return None, problems.file_problem(f"`{name}` is a folder, not a scenario", help=ways)
        if not path.exists():
            return None, problems.file_problem(f"there is no scenario `{name}`", help=_near(path))
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return None, _too_large(name)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        return None, problems.file_problem(
            f"`{name}` is not text in UTF-8", f"byte {reason.start} cannot be read",
            ("save it as UTF-8",))
    except (OSError, ValueError) as reason:
        text = getattr(reason, "strerror", None) or str(reason)
        return None, problems.file_problem(f"`{name}` cannot be read", text,
                                           ("check the path and its permissions",))
    return Source(name, text), None


def _too_large(name: str) -> Diagnostic:
    return problems.file_problem(f"`{name}` is larger than 1 MiB", "scenarios are bounded in size",
                                 ("check that this is the right file",))


def shown_name(path: Path) -> str:
    """Return a path as the user would type it: relative to where they stand, if below it."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError, RuntimeError):
        return str(path)


def _near(path: Path) -> tuple[str, ...]:
    try:
        names = sorted(p.name for p in path.parent.glob("*.yaml"))
    except (OSError, ValueError):
        names = []
    close = nearest(path.name, names)
    if close:
        return (f"did you mean `{shown_name(path.parent / close)}`?",)
    shown = ", ".join(names[:12])
    return (f"scenarios in that folder: {shown}",) if names else ("check the path",)


def _note_spans(reading: Reading, path: str, node: Node) -> None:
    """Keep the place of every key (`path@key`) and value (`path`)."""
    if isinstance(node, Mapping):
        for entry in node.entries:
            full = f"{path}.{entry.key.text}" if path else entry.key.text
            reading.spans[f"{full}@key"] = entry.key.span
            reading.spans[full] = place(entry.value, entry.key)
            _note_spans(reading, full, entry.value)


def _assemble(
    reading: Reading, path: Path, root: Mapping, source: Source
) -> tuple[Scenario | None, list[Diagnostic]]:
    at = root.entries[0].key.span if root.entries else Span(source, 1, 1, 1, 2)
    values = read_keys(reading, "", root, children(""), at)

    def where(key: str) -> Span:
        return reading.spans.get(key, at)

    model = runtime = cluster = workload = None
    if "model" in values:
        model = read_record(reading, "model", "models", values["model"], where("model"))
        if model is not None and not check_model(reading, model, where("model")):
            model = None
    if "runtime" in values:
        runtime = read_record(reading, "runtime", "runtimes", values["runtime"], where("runtime"))
    if "cluster" in values:
        cluster = read_cluster(reading, values["cluster"], where("cluster"))
    if "workload" in values:
        workload = read_workload(reading, values["workload"], where("workload"), model)
    rest = _rest(reading, path, values, where)
    if "reliability" in values:
        rest["reliability"] = read_reliability(
            reading, values["reliability"], where("reliability"), cluster, workload)
    if any(d.is_error for d in reading.found):
        return None, reading.found
    if model is None or runtime is None or cluster is None or workload is None:
        absent = [n for n, v in (("model", model), ("runtime", runtime), ("cluster", cluster),
                                 ("workload", workload)) if v is None]
        label = Label(where(absent[0]), "something that it needs is empty")
        reading.found.append(
            Diagnostic("E0506", f"`{absent[0]}` is incomplete", (label,),
                       help=("give every key in it a value, or remove the empty ones",))
        )
        return None, reading.found
    scenario = Scenario(
        edition=EDITION, model=model, cluster=cluster, runtime=runtime, workload=workload,
        spans=reading.spans, inferred=reading.inferred, **rest,
    )
    return scenario, reading.found


def _rest(
    reading: Reading, path: Path, values: dict[str, Any], where: Any
) -> dict[str, Any]:
    """Read everything but the model, the machines and the job."""
    uses = read_uses(reading, "use", values["use"], where("use")) if "use" in values else ()
    choices = (
        read_choices(reading, values["choices"], where("choices")) if "choices" in values else ()
    )
    return {
        "name": _name(reading, values.get("name"), path, where("name")),
        "mesh_order": _mesh(reading, values.get("mesh"), where("mesh")),
        "use": uses,
        "choices": choices,
        "prefer": check_prefer(reading, values.get("prefer", {}), uses, choices),
        "objective": _objective(reading, values.get("optimize"), where("optimize")),
        "rule_paths": _rules(reading, path, values.get("rules", ()), where("rules")),
        "seed": values.get("seed", 0),
    }


def _name(reading: Reading, given: str | None, path: Path, at: Span) -> str:
    """Return how results call the scenario: as it says, else as its file is called."""
    if given is None:
        return path.stem
    if not given.strip():
        reading.add(problems.error("E0509", "`name` is empty", at, "no name",
                                   help=(f"leave it out: the file's name is `{path.stem}`",)))
    elif len(given) > _LONGEST_NAME:
        reading.add(problems.error("E0509", f"`name` is longer than {_LONGEST_NAME} characters",
                                   at, f"{len(given):,} characters",
                                   help=("results lie in a folder of this name; shorten it",)))
    return given.strip()


_LONGEST_NAME = 100


def _section(reading: Reading, key: str, node: Node | None, at: Span) -> dict[str, Any]:
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        ways = (f"write `{key}: {FIELDS[key].example}`",)
        reading.add(problems.wrong_kind(key, "a mapping", what_is(node), at, ways))
        return {}
    return read_keys(reading, key, node, children(key), at)


def _mesh(reading: Reading, node: Node | None, at: Span) -> tuple[str, ...]:
    order: tuple[str, ...] = _section(reading, "mesh", node, at).get("order", ())
    for name, times in Counter(order).items():
        if times > 1:
            reading.add(problems.error(
                "E0504", f"axis `{name}` is given twice in `mesh.order`",
                reading.spans.get("mesh.order", at), "twice", help=("name every axis once",)))
            break
    return order


def _objective(reading: Reading, node: Node | None, at: Span) -> Objective:
    text = _section(reading, "optimize", node, at).get("objective")
    if text is None:
        return Objective()
    span = reading.spans.get("optimize.objective", at)
    direction, _, metric = text.strip().partition(" ")
    metric = metric.strip()
    if direction not in ("maximize", "minimize"):
        near = nearest(text.split()[-1] if text.split() else "", METRICS) or "tokens_per_s"
        reading.add(problems.error("E0516", "an objective is `maximize METRIC` or "
                                   "`minimize METRIC`", span, "no direction",
                                   help=(f"write `objective: maximize {near}`",)))
    elif metric not in METRICS:
        reading.add(problems.error("E0516", f"there is no metric `{metric}`", span,
                                   "unknown metric",
                                   help=problems.did_you_mean(metric, METRICS, "metrics")))
    return Objective(metric, direction == "maximize")


def _rules(reading: Reading, path: Path, given: Iterable[str], at: Span) -> tuple[str, ...]:
    folders = [path.parent]
    for name in given:
        folder = path.parent / name
        if Path(name).is_absolute():
            reading.add(problems.error(
                "E0519", f"`{shorten(name)}` is not relative to the scenario", at,
                "an absolute path", why="a scenario means the same on every machine",
                help=(f"give it on the command line: `--rules {shorten(name)}`",)))
            continue
        try:
            fine = folder.is_dir()
        except (OSError, ValueError):
            fine = False
        if not fine:
            reading.add(problems.error("E0519", f"there is no folder of rules `{name}`", at,
                                       "not a folder",
                                       help=("the path is relative to the scenario's folder",)))
        folders.append(folder)
    return tuple(str(f) for f in folders)
