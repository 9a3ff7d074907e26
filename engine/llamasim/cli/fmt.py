"""`llamasim fmt`: one way to lay out rule files."""

from __future__ import annotations

from pathlib import Path

import click

from llamasim.cli.support import rule_files, say, unreadable
from llamasim.diagnostics import Source


@click.command(name="fmt")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--check", "only_check", is_flag=True,
              help="Change nothing; exit with 2 if a file would change.")
def command(files: tuple[Path, ...], only_check: bool) -> None:
    """Format rule FILES in place; comments stay. Without FILES: all rule files below here."""
    from llamasim.language.format import format_text

    changed = failed = 0
    for path in rule_files(files or (Path(),)):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            say([unreadable(path, error)])
            failed += 1
            continue
        formatted, said = format_text(Source(str(path), text))
        say(said)
        if formatted is None:
            failed += 1
        elif formatted != text:
            changed += 1
            click.echo(f"{'would change' if only_check else 'formatted'} {path}")
            if not only_check:
                path.write_text(formatted, encoding="utf-8")
    if failed or (only_check and changed):
        raise SystemExit(2)
