"""`llamasim optimize`: try a scenario's choices and say which is best, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from llamasim.diagnostics import Diagnostic
    from llamasim.study import Study


@click.command(name="optimize")
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE",
              help="Change a field of every scenario, `workload.batch=8`.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was tried as JSON.")
@click.option("--out", default="results", metavar="FOLDER", show_default=True,
              help="Write FOLDER/<scenario>/candidates.arrow.")
@click.option("--no-write", is_flag=True, help="Write nothing.")
def command(
    scenarios: tuple[str, ...], changes: tuple[str, ...], as_json: bool, out: str, no_write: bool
) -> None:
    """Try every combination of a scenario's `choices` and rank what is feasible.

    SCENARIOS are files, names of shipped scenarios, or folders of scenarios. One is answered in
    full, several in a table.
    """
    studies: list[Study] = []
    wrong: list[Diagnostic] = []
    for path in _paths(scenarios):
        study, said = _study(path, changes)
        wrong += said
        if study is not None:
            studies.append(study)
    _say(wrong, as_json)
    if not no_write:
        _write(studies, Path(out))
    _print(studies, as_json)


def _paths(names: Sequence[str]) -> list[Path]:
    """Return the files that names mean; a folder means the scenarios in it."""
    from llamasim.assets import scenarios_dir

    found: list[Path] = []
    for name in names:
        path, shipped = Path(name), scenarios_dir() / name
        if not path.exists():
            named = shipped.with_name(shipped.name + ".yaml")
            path = next((p for p in (shipped, named) if p.exists()), path)
        found += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return found


def _study(path: Path, changes: Sequence[str]) -> tuple[Study | None, list[Diagnostic]]:
    from llamasim import scenario
    from llamasim.study import optimize

    read, said = scenario.read(path, changes)
    if read is None:
        return None, said
    study, more = optimize(read, _progress(read.name))
    return study, said + more


def _progress(name: str) -> Callable[[int, int], None] | None:
    """Return what shows progress on a terminal; nothing is shown elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\r\x1b[K" if done == total else ""
        click.echo(f"\r{name}: {done} of {total}{end}", err=True, nl=False)

    return show


def _say(diagnostics: Sequence[Diagnostic], as_json: bool) -> None:
    """Print findings; errors end the program with exit code 2."""
    from llamasim.diagnostics import render, to_json

    failed = any(d.is_error for d in diagnostics)
    if as_json and failed:
        click.echo(json.dumps({"diagnostics": to_json(diagnostics)}, indent=2))
    elif diagnostics:
        click.echo(render(diagnostics, color=sys.stderr.isatty()) + "\n", err=True)
    if failed:
        raise SystemExit(2)


def _write(studies: Sequence[Study], out: Path) -> None:
    from llamasim.diagnostics import Diagnostic
    from llamasim.study.plain import write_candidates

    for study in studies:
        folder = out / study.scenario.name
        try:
            write_candidates(study, folder)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            _say([Diagnostic("E0702", f"`{folder}` cannot be written", why=reason,
                             help=("choose another folder with `--out`, or add `--no-write`",))],
                 as_json=False)


def _print(studies: Sequence[Study], as_json: bool) -> None:
    from llamasim.report.answers import answers_text, study_text
    from llamasim.study.plain import study_json

    if as_json:
        found: list[dict[str, Any]] = [study_json(s) for s in studies]
        text = json.dumps(found[0] if len(found) == 1 else {"studies": found}, indent=2)
    else:
        text = study_text(studies[0]) if len(studies) == 1 else answers_text(studies)
    click.echo(text)
