"""`llamasim optimize`: try a scenario's choices and say which is best, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llamasim.cli.support import read_scenario, results_folder, say, shipped, stop

if TYPE_CHECKING:
    from llamasim.study import Study


@click.command(name="optimize")
@click.argument("scenarios", nargs=-1, required=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="Change a field of every scenario, as in --set workload.batch=8.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("results"),
              show_default=True, help="Folder for results; candidates.arrow goes to one folder in "
              "it for each scenario.")
@click.option("--rules", multiple=True, metavar="DIR", help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was tried as JSON.")
def command(
    scenarios: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path,
    rules: tuple[str, ...],
    as_json: bool,
) -> None:
    """Try every combination of the `choices` of SCENARIOS and recommend one.

    SCENARIOS are files, names of shipped ones, or folders of them (`guide`). One is answered in
    full; several are answered in a table, one row each.
    """
    studies: list[Study] = []
    for text in _expanded(scenarios):
        study = _study(text, overrides, rules, as_json=as_json)
        _write(study, results_folder(out, study.scenario.name), as_json=as_json)
        studies.append(study)
    click.echo(_json(studies) if as_json else _text(studies))


def _expanded(names: Iterable[str]) -> list[str]:
    """Return the scenarios that names stand for, those of a folder one by one."""
    found: list[str] = []
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = [str(p) for p in sorted(path.glob("*.yaml"))]
        else:
            folder = name.removeprefix("scenarios/").rstrip("/") + "/"
            inside = [] if path.exists() else [s for s in shipped() if s.startswith(folder)]
        found += inside or [name]
    return found


def _study(text: str, overrides: Sequence[str], rules: Sequence[str], *, as_json: bool) -> Study:
    from llamasim.study import optimize

    scenario = read_scenario(text, overrides, rules, as_json=as_json)
    study, said = optimize(scenario, _progress(scenario.name))
    stop(said, as_json=as_json)
    if not as_json:
        say(said)
    assert study is not None
    return study


def _progress(name: str) -> Callable[[str], None] | None:
    """Return what shows progress on a terminal; nothing is shown elsewhere."""
    if not sys.stderr.isatty():
        return None

    def show(how_far: str) -> None:
        click.echo(f"\r\x1b[K{name}: {how_far}" if how_far else "\r\x1b[K", err=True, nl=False)

    return show


def _write(study: Study, folder: Path, *, as_json: bool) -> None:
    from llamasim.diagnostics import Diagnostic
    from llamasim.study.plain import write_candidates

    try:
        write_candidates(study, folder)
    except OSError as error:
        reason = error.strerror or str(error)
        stop([Diagnostic("E0703", f"results cannot be written to {folder}", why=reason,
                         help=("choose another folder with --out",))], as_json=as_json)


def _json(studies: Sequence[Study]) -> str:
    from llamasim.study.plain import study_json

    found: list[dict[str, Any]] = [study_json(s) for s in studies]
    return json.dumps(found[0] if len(found) == 1 else found, indent=2)


def _text(studies: Sequence[Study]) -> str:
    from llamasim.report.answers import answers_text, study_text

    return study_text(studies[0]) if len(studies) == 1 else answers_text(studies)
