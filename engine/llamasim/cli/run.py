"""`llamasim run`: from scenarios to results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import (
    headline,
    read_with_warnings,
    results_folder,
    say,
    stop,
    unfinished,
    untried,
)
from llamasim.diagnostics import Diagnostic

if TYPE_CHECKING:
    from llamasim.plan.spec import Plan
    from llamasim.scenario.spec import Scenario
    from llamasim.simulate.trace import Trace


@click.command(name="run")
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a field, as in --set workload.micro_batch=2.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"),
              show_default=True, help="Folder for results; one folder in it for each scenario.")
@click.option("--format", "kind", type=click.Choice(["ipc", "parquet"]), default="ipc",
              show_default=True, help="Arrow IPC or Parquet.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--resume", is_flag=True,
              help="Go on where the same run was stopped, from results/<scenario>.unfinished.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a scenario.")
def command(
    scenarios: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path,
    kind: str,
    rules: tuple[str, ...],
    resume: bool,
    as_json: bool,
) -> None:
    """Simulate SCENARIOS (files, or names of shipped ones) and print what they come to.

    Tables go to results/<scenario>/; several scenarios are compared side by side. A server's run
    that Ctrl-C stops keeps its state, and goes on with --resume.
    """
    rows: list[dict[str, Any]] = []
    read = [_read(text, overrides, rules, as_json=as_json) for text in scenarios]
    folders = [results_folder(out, scenario.name) for scenario, _ in read]
    stop(_twice(scenarios, folders), as_json=as_json)
    for (scenario, said), folder in zip(read, folders, strict=True):
        rows.append(_one(scenario, said, folder, kind, resume=resume, as_json=as_json))
    if as_json:
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2, allow_nan=False))
    elif len(rows) > 1:
        from llamasim.report import compare_text

        click.echo("\n" + compare_text([r["summary"] for r in rows]))


def _read(
    text: str, overrides: Sequence[str], rules: Sequence[str], *, as_json: bool
) -> tuple[Scenario, list[Diagnostic]]:
    scenario, said = read_with_warnings(text, overrides, rules, as_json=as_json)
    more = untried(scenario)
    if not as_json:
        say(more)
    return scenario, [*said, *more]


def _one(
    scenario: Scenario, said: list[Diagnostic], folder: Path, kind: str, *, resume: bool,
    as_json: bool,
) -> dict[str, Any]:
    from llamasim.plan import compile_plan, idle

    plan, more = compile_plan(scenario)
    stop(more, as_json=as_json)
    assert plan is not None
    more += idle(scenario, plan)
    if not as_json:
        say(more)
    from llamasim.tables import tabulate, write

    trace = _simulated(plan, scenario, folder, resume=resume, as_json=as_json)
    tables = tabulate(trace)
    try:
        write(tables, folder, "parquet" if kind == "parquet" else "ipc")
        shutil.rmtree(unfinished(folder), ignore_errors=True)
    except OSError as error:
        stop([_unwritable(folder, error)], as_json=as_json)
    ways = _ways_out(scenario, trace)
    if as_json:
        return _object(tables, folder, [*said, *more], ways, scenario)
    from llamasim.report import report_text

    text = report_text(tables, scenario.name, headline(scenario), ways, scenario.inferred)
    first = "ops" if tables["ops"].num_rows else "requests"
    click.echo(f"{text}\n\nTables: {folder}/ (`llamasim show {folder} {first}`)\n")
    return {"summary": tables["summary"].to_pylist()[0]}


def _simulated(
    plan: Plan, scenario: Scenario, folder: Path, *, resume: bool, as_json: bool
) -> Trace:
    from llamasim.simulate import run

    if not scenario.workload.serving:
        if resume:
            stop([Diagnostic(
                "E0723", "there is nothing that this run could go on from",
                why="only a server's run keeps its state when it is stopped",
                help=("run it without --resume",))], as_json=as_json)
        return run(plan, scenario)
    from llamasim.cli.progress import Interrupted, Progress
    from llamasim.simulate.unfinished import Unfit

    assert scenario.workload.arrivals is not None
    total = scenario.workload.arrivals.requests
    progress = Progress(unfinished(folder), total, shows=not as_json, resume=resume)
    try:
        with progress:
            return run(plan, scenario, progress)
    except Interrupted:
        click.echo(
            f"interrupted: {progress.come:,} of {total:,} requests had come. No tables were "
            f"written; with --resume the same\ncommand goes on from {progress.path}", err=True)
        raise SystemExit(130) from None
    except Unfit as error:
        said = _other_run(progress.path, str(error))
    except OSError as error:
        said = _unwritable(progress.path, error)
    stop([said], as_json=as_json)
    raise AssertionError("an error stops")


def _other_run(path: Path, why: str) -> Diagnostic:
    return Diagnostic(
        "E0723", f"{path} is no state that this run could go on from", why=why,
        help=("run it without --resume, from the beginning",),
    )


def _ways_out(scenario: Scenario, trace: Trace) -> tuple[str, ...]:
    if all(f.fits for f in trace.fits):
        return ()
    from llamasim.study.wayout import ways_out

    return ways_out(scenario, trace.fits)


def _object(
    tables: Any, folder: Path, said: list[Diagnostic], ways: tuple[str, ...], scenario: Scenario
) -> dict[str, Any]:
    """Return what `--json` prints: figures only, no layout."""
    from llamasim.report.goodput import goodput_object

    goodput = goodput_object(tables)
    return {
        "summary": tables["summary"].to_pylist()[0],
        "memory": tables["fits"].to_pylist(),
        "time": {c["cause"]: c["seconds"] for c in tables["costs"].to_pylist()},
        **({} if goodput is None else {"reliability": goodput}),
        "measured": tables["measured"].to_pylist(),
        "claims": tables["claims"].to_pylist(),
        "techniques": list(dict.fromkeys(tables["ledger"]["technique"].to_pylist())),
        "warnings": [d.message for d in said],
        "inferred": dict(scenario.inferred),
        "would_fit_with": list(ways),
        "results": str(folder),
    }


def _twice(scenarios: Sequence[str], folders: Sequence[Path]) -> list[Diagnostic]:
    """Find scenarios that would write to one folder."""
    first: dict[Path, str] = {}
    found = []
    for text, folder in zip(scenarios, folders, strict=True):
        if folder in first:
            found.append(Diagnostic(
                "E0709", f"`{first[folder]}` and `{text}` would both write to {folder}",
                help=("give one of them another `name:`, or run them with different --out",),
            ))
        first.setdefault(folder, text)
    return found


def _unwritable(folder: Path, error: OSError) -> Diagnostic:
    return Diagnostic(
        "E0703", f"results cannot be written to {folder}", why=error.strerror or str(error),
        help=("choose another folder with --out",),
    )
