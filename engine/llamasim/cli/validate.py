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
    from llamasim.validate.files import File
    from llamasim.validate.score import Scored
    from llamasim.validate.sensitivity import Effect


@click.command(name="validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--by", default="source", type=click.Choice(["device", "source", "runtime",
                                                           "workload", "model"]),
              help="What to group errors by.", show_default=True)
@click.option("--worst", "count", default=10, show_default=True, help="How many bad rows to show.")
@click.option("--out", type=click.Path(path_type=Path), help="Write all rows as an Arrow table.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg",
              help="Draw predicted against measured.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE.md",
              help="Write the fidelity report, rows held out of fits apart.")
@click.option("--sensitivity", is_flag=True,
              help="Also tell what each fitted figure does to the errors (minutes).")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    files: tuple[Path, ...], by: str, count: int, out: Path | None, plot: Path | None,
    report: Path | None, sensitivity: bool, as_json: bool,
) -> None:
    """Predict every row of FILES (measurements as CSV) and print how far off the predictions are.

    A row that ran in reality and is predicted not to fit counts with an error of 100 %.
    """
    from llamasim.report.validation import text, told_effects
    from llamasim.validate.score import summary

    read = _read(files)
    by_file = _rows(read, quiet=as_json)
    effects = _effects(read, quiet=as_json) if sensitivity else []
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

        held = frozenset(r.row for r in rows if held_out(r))
        _write(report, markdown(by_file, held, effects))
    if as_json:
        told = {"sensitivity": [_plain(e) for e in effects]} if sensitivity else {}
        click.echo(json.dumps({**summary(rows), **told}, indent=2))
        return
    click.echo(text(rows, by, count))
    if sensitivity:
        click.echo(told_effects(effects))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _read(files: Sequence[Path]) -> list[File]:
    from llamasim.validate import read_rows

    found = []
    for path in files:
        file, said = read_rows(path)
        stop(said)
        assert file is not None
        found.append(file)
    return found


def _rows(files: Sequence[File], *, quiet: bool) -> dict[str, list[Scored]]:
    from llamasim.validate.runner import predict_file

    found: dict[str, list[Scored]] = {}
    for file in files:
        with click.progressbar(length=len(file.rows), label=file.path.name, file=sys.stderr,
                               hidden=quiet) as bar:
            rows, said = predict_file(file, bar.update)
        stop(said)
        found[file.path.name] = rows
    return found


def _effects(files: Sequence[File], *, quiet: bool) -> list[Effect]:
    from llamasim.catalog.fits import fits
    from llamasim.validate.sensitivity import effects

    with click.progressbar(length=sum(1 for _ in fits()), label="fitted figures", file=sys.stderr,
                           hidden=quiet) as bar:
        return list(effects([(f.kind, f.rows) for f in files], bar.update))


def _plain(effect: Effect) -> dict[str, object]:
    return {"kind": effect.fit.kind, "record": effect.fit.owner, "figure": effect.fit.path,
            "value": effect.fit.value, "rows": effect.rows, "less": effect.less,
            "now": effect.now, "more": effect.more, "change": effect.change}
