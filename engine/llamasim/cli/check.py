"""`llamasim check`: rule files and scenarios."""

from __future__ import annotations

import json
from pathlib import Path

import click

from llamasim.assets import rules_dir
from llamasim.cli.sound import Sound
from llamasim.cli.support import counted, point_to_page, rule_files, say
from llamasim.diagnostics import Diagnostic, to_json


@click.command(name="check")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--rules", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Further folder of rule files.")
@click.option("--pedantic", is_flag=True,
              help="Advise on rule files without errors: tests, claims, descriptions, ...")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def command(
    files: tuple[Path, ...], rules: tuple[Path, ...], pedantic: bool, as_json: bool
) -> None:
    """Check rule FILES (.rules) and scenarios (.yaml); without any, the shipped rules."""
    chosen = rule_files(files or (rules_dir(),))
    found: list[Diagnostic] = []
    sound = Sound([*rules, rules_dir()], pedantic)
    for path in chosen:
        if path.suffix != ".rules" or not sound.holds(path):
            found += _check(path, rules, pedantic, sound)
    sound.save()
    errors = sum(d.is_error for d in found)
    if as_json:
        click.echo(json.dumps({"errors": errors, "diagnostics": to_json(found)}, indent=2))
    else:
        say(found)
        point_to_page(found)
        words = f"{counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}"
        click.echo(f"{counted(len(chosen), 'file')} checked: {words}")
    if errors:
        raise SystemExit(2)


def _check(
    path: Path, rules: tuple[Path, ...], pedantic: bool, sound: Sound
) -> list[Diagnostic]:
    if path.suffix in (".yaml", ".yml") or (not path.exists() and path.suffix != ".rules"):
        return _check_scenario(str(path))
    if path.suffix != ".rules":
        return [Diagnostic("E0707", f"{path} is neither a rule file nor a scenario",
                           help=("rule files end in .rules, scenarios in .yaml",))]
    return _check_rules(path, rules, pedantic, sound)


def _check_rules(
    path: Path, rules: tuple[Path, ...], pedantic: bool, sound: Sound
) -> list[Diagnostic]:
    from llamasim.catalog import unknown_in_tests
    from llamasim.language import check_module, load_file

    module, program, said = load_file(path, [*rules, rules_dir()])
    if module is None:
        return said
    found = [*said, *check_module(module, program, said), *unknown_in_tests(module)]
    if pedantic and not any(d.is_error for d in found):
        from llamasim.language.pedantic import pedantic as advice

        found += advice(module, program)
    if not found:
        sound.note(path, module.name, (*program.modules, *program.mentioned))
    return found


def _check_scenario(text: str) -> list[Diagnostic]:
    from llamasim.cli.support import find_scenario
    from llamasim.plan import compile_plan, idle
    from llamasim.scenario import read

    path, said = find_scenario(text)
    if path is None:
        return said
    scenario, said = read(path)
    if scenario is None:
        return said
    plan, more = compile_plan(scenario)
    return [*said, *more, *(idle(scenario, plan) if plan is not None else ())]
