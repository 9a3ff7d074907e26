"""`llamasim test`: run the `test` blocks of rule files."""

from __future__ import annotations

from pathlib import Path

import click

from llamasim.assets import rules_dir
from llamasim.cli.support import rule_files, say, stop, unreadable
from llamasim.diagnostics import Source


@click.command(name="test")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def command(files: tuple[Path, ...]) -> None:
    """Run the tests of rule FILES; without any, of the shipped rules."""
    from llamasim.language import parse
    from llamasim.study.ruletests import run_tests

    passed = failed = 0
    for path in rule_files(files or (rules_dir(),)):
        try:
            source = Source(str(path), path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            stop([unreadable(path, error)])
            continue
        module, said = parse(source)
        stop(said)
        assert module is not None
        for outcome in run_tests(module, (_root(path, module.name),)):
            passed += outcome.passed
            failed += not outcome.passed
            if not outcome.passed:
                place = f"{path}:{outcome.span.line}"
                click.echo(f"FAILED {place} {outcome.title}: got {outcome.actual}")
                say(outcome.diagnostics)
    click.echo(f"{passed} passed, {failed} failed")
    if not passed + failed:
        click.echo('no tests: a rule file says what should hold in `test "WHAT" { ... }`; '
                   "`llamasim new technique NAME` writes one")
    if failed:
        raise SystemExit(2)


def _root(path: Path, module: str) -> Path:
    """Return the folder from which a module's name is its path."""
    return path.resolve().parents[module.count(".")]
