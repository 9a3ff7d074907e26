"""`llamasim check`: rule files and scenarios."""

from __future__ import annotations

import json
from pathlib import Path

import click

from llamasim.assets import rules_dir
from llamasim.cli.support import say
from llamasim.diagnostics import Diagnostic, Source, to_json


@click.command(name="check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--rules", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Further folder of rule files.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def command(files: tuple[Path, ...], rules: tuple[Path, ...], as_json: bool) -> None:
    """Check rule FILES (.rules) and scenarios (.yaml); without any, the shipped rules."""
    chosen = list(files) or sorted(rules_dir().rglob("*.rules"))
    found: list[Diagnostic] = []
    for path in _expanded(chosen):
        found += _check(path, rules)
    errors = sum(d.is_error for d in found)
    if as_json:
        click.echo(json.dumps({"errors": errors, "diagnostics": to_json(found)}, indent=2))
    else:
        say(found)
        words = f"{errors} errors, {len(found) - errors} warnings" if found else "no findings"
        click.echo(f"{len(chosen)} checked: {words}")
    if errors:
        raise SystemExit(2)


def _expanded(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.rules")) if path.is_dir() else [path]
    return found


def _check(path: Path, rules: tuple[Path, ...]) -> list[Diagnostic]:
    if path.suffix in (".yaml", ".yml") or (not path.exists() and path.suffix != ".rules"):
        return _check_scenario(str(path))
    if path.suffix != ".rules":
        return [Diagnostic("E0707", f"{path} is neither a rule file nor a scenario",
                           help=("rule files end in .rules, scenarios in .yaml",))]
    return _check_rules(path, rules)


def _check_rules(path: Path, rules: tuple[Path, ...]) -> list[Diagnostic]:
    from llamasim.language import check, load, parse

    try:
        source = Source(str(path), path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return [Diagnostic("E0708", f"{path} cannot be read", why=str(error),
                           help=("give the path of a .rules file",))]
    module, said = parse(source)
    if module is None or any(d.is_error for d in said):
        return said
    folders = path.resolve().parents
    depth = min(module.name.count("."), len(folders) - 1)
    program, more = load([module.name], [folders[depth], *rules, rules_dir()])
    if any(d.is_error for d in more):
        return more
    return more + list(check(program))


def _check_scenario(text: str) -> list[Diagnostic]:
    from llamasim.cli.support import find_scenario
    from llamasim.plan import compile_plan
    from llamasim.scenario import read

    path, said = find_scenario(text)
    if path is None:
        return said
    scenario, said = read(path)
    if scenario is None:
        return said
    _, more = compile_plan(scenario)
    return said + more
