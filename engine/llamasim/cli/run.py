"""`llamasim run`: from scenarios to results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import headline, read_with_warnings, results_folder, say, stop
from llamasim.diagnostics import Diagnostic

if TYPE_CHECKING:
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a scenario.")
def command(
    scenarios: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path,
    kind: str,
    rules: tuple[str, ...],
    as_json: bool,
) -> None:
    """Simulate SCENARIOS (files, or names of shipped ones) and print what they come to.

    Tables go to results/<scenario>/; several scenarios are compared side by side.
    """
    rows: list[dict[str, Any]] = []
    read = [read_with_warnings(text, overrides, rules, as_json=as_json) for text in scenarios]
    folders = [results_folder(out, scenario.name) for scenario, _ in read]
    stop(_twice(scenarios, folders), as_json=as_json)
    for (scenario, said), folder in zip(read, folders, strict=True):
        rows.append(_one(scenario, said, folder, kind, as_json=as_json))
    if as_json:
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2, allow_nan=False))
    elif len(rows) > 1:
        from llamasim.report import compare_text

        click.echo("\n" + compare_text([r["summary"] for r in rows]))


def _one(
    scenario: Scenario, said: list[Diagnostic], folder: Path, kind: str, *, as_json: bool
) -> dict[str, Any]:
    from llamasim.plan import compile_plan

    plan, more = compile_plan(scenario)
    stop(more, as_json=as_json)
    assert plan is not None
    if not as_json:
        say(more)
    from llamasim.simulate import run
    from llamasim.tables import tabulate, write

    trace = run(plan, scenario)
    tables = tabulate(trace)
    try:
        write(tables, folder, "parquet" if kind == "parquet" else "ipc")
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
