"""`llamasim run`: from scenarios to results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import headline, read_scenario, say, stop
from llamasim.diagnostics import Diagnostic

if TYPE_CHECKING:
    from llamasim.scenario.spec import Scenario


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
    for text in scenarios:
        scenario = read_scenario(text, overrides, rules, as_json=as_json)
        rows.append(_one(scenario, out / scenario.name, kind, as_json=as_json))
    if as_json:
        click.echo(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2))
    elif len(rows) > 1:
        from llamasim.report import compare_text

        click.echo("\n" + compare_text([r["summary"] for r in rows]))


def _one(scenario: Scenario, folder: Path, kind: str, *, as_json: bool) -> dict[str, Any]:
    from llamasim.plan import compile_plan

    plan, said = compile_plan(scenario)
    stop(said, as_json=as_json)
    assert plan is not None
    if not as_json:
        say(said)
    from llamasim.simulate import run
    from llamasim.tables import tabulate, write

    tables = tabulate(run(plan, scenario))
    try:
        write(tables, folder, "parquet" if kind == "parquet" else "ipc")
    except OSError as error:
        stop([_unwritable(folder, error)], as_json=as_json)
    if as_json:
        return _object(tables, folder, said)
    from llamasim.report import report_text

    click.echo(report_text(tables, scenario.name, headline(scenario)))
    click.echo(f"\nTables: {folder}/ (`llamasim show {folder} ops`)")
    return {"summary": tables["summary"].to_pylist()[0]}


def _object(tables: Any, folder: Path, said: list[Diagnostic]) -> dict[str, Any]:
    return {
        "summary": tables["summary"].to_pylist()[0],
        "memory": tables["fits"].to_pylist(),
        "time": tables["costs"].to_pylist(),
        "claims": tables["claims"].to_pylist(),
        "warnings": [d.message for d in said],
        "results": str(folder),
    }


def _unwritable(folder: Path, error: OSError) -> Diagnostic:
    return Diagnostic(
        "E0703", f"results cannot be written to {folder}", why=error.strerror or str(error),
        help=("choose another folder with --out",),
    )
