"""`llamasim show`: print the tables of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from llamasim.cli.support import stop
from llamasim.diagnostics import Diagnostic, nearest


@click.command(name="show")
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("table", required=False)
@click.option("--rows", default=20, show_default=True, type=click.IntRange(min=0),
              help="Rows to print.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a row.")
def command(results: Path, table: str | None, rows: int, as_json: bool) -> None:
    """Print the tables in RESULTS, or the first rows of one TABLE."""
    folder = results if results.exists() else Path("results") / results
    from llamasim.tables import is_results, read

    if not folder.is_dir() or not is_results(folder):
        stop([_no_results(results)], as_json=as_json)
    try:
        tables = read(folder)
    except (OSError, ValueError) as error:
        stop([Diagnostic("E0705", f"{folder} cannot be read", why=str(error).splitlines()[0],
                         help=("run the scenario again",))], as_json=as_json)
        return
    if table is None:
        _overview(tables, as_json=as_json)
        return
    if table not in tables:
        near = nearest(table, tables)
        known = ", ".join(tables)
        help_ = (f"did you mean `{near}`?",) if near else ()
        stop([Diagnostic("E0706", f"there is no table `{table}` in {folder}",
                         help=(*help_, f"there are: {known}"))], as_json=as_json)
    _print(tables[table], rows, as_json=as_json)


def _no_results(path: Path) -> Diagnostic:
    made = sorted(p.name for p in Path("results").iterdir()) if Path("results").is_dir() else []
    near = nearest(path.name, made)
    help_ = (f"did you mean `results/{near}`?",) if near else ()
    return Diagnostic("E0704", f"{path} holds no results",
                      help=(*help_, "`llamasim run SCENARIO` writes to results/<scenario>"))


def _overview(tables: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({k: t.num_rows for k, t in tables.items()}))
        return
    from llamasim.report.layout import facts

    rows = [(k, f"{t.num_rows:,} rows: " + ", ".join(t.column_names)) for k, t in tables.items()]
    click.echo("\n".join(facts(rows)))


def _print(table: Any, rows: int, *, as_json: bool) -> None:
    picked = table.slice(0, rows).to_pylist()
    if as_json:
        for row in picked:
            click.echo(json.dumps(row))
        return
    from llamasim.report.layout import columns

    if table.num_rows == 1:
        units = {f.name: (f.metadata or {}).get(b"unit", b"").decode() for f in table.schema}
        click.echo(columns([(k, _cell(v), units[k]) for k, v in picked[0].items()]))
        return
    click.echo(columns([tuple(table.column_names), *(tuple(map(_cell, r.values()))
                                                     for r in picked)], indent=0, width=None))
    if table.num_rows > rows:
        click.echo(f"... {table.num_rows - rows:,} more rows (--rows)")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)
