"""`llamasim validate`: predictions against published measurements."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llamasim.cli.support import stop

if TYPE_CHECKING:
    from llamasim.validate.score import Scored


@click.command(name="validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", default="source", type=click.Choice(["device", "source", "runtime",
                                                           "workload"]),
              help="What to group errors by.", show_default=True)
@click.option("--worst", "count", default=10, show_default=True, help="How many bad rows to show.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all rows as an Arrow table.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg",
              help="Draw predicted against measured.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.md",
              help="Write the fidelity report, rows held out of fits apart.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    files: tuple[Path, ...], by: str, count: int, out: Path | None, plot: Path | None,
    report: Path | None, as_json: bool,
) -> None:
    """Predict every row of FILES (measurements as CSV) and print how far off the predictions are.

    A row that ran in reality and is predicted not to fit counts with an error of 100 %.
    """
    from llamasim.report.validation import text
    from llamasim.validate.score import summary

    by_file = _rows(files, quiet=as_json)
    rows = [row for found in by_file.values() for row in found]
    if out is not None:
        from llamasim.tables.validation import write

        write(rows, out)
    if plot is not None:
        from llamasim.report.scatter import svg

        _write(plot, svg(rows, by))
    if report is not None:
        from llamasim.report.fidelity import report as markdown
        from llamasim.validate.holdout import held_out

        _write(report, markdown(by_file, frozenset(r.row for r in rows if held_out(r))))
    if as_json:
        click.echo(json.dumps(summary(rows), indent=2))
        return
    click.echo(text(rows, by, count))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _rows(files: Sequence[Path], *, quiet: bool) -> dict[str, list[Scored]]:
    from llamasim.validate import read_rows
    from llamasim.validate.runner import predict_file

    found: dict[str, list[Scored]] = {}
    for path in files:
        file, said = read_rows(path)
        stop(said)
        assert file is not None
        with click.progressbar(length=len(file.rows), label=path.name, file=sys.stderr,
                               hidden=quiet) as bar:
            rows, said = predict_file(file, bar.update)
        stop(said)
        found[path.name] = rows
    return found

