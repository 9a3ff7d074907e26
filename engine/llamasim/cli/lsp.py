"""`llamasim lsp`: the language server that editors start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from llamasim.cli.support import say
from llamasim.diagnostics import Diagnostic


@click.command(name="lsp")
@click.option("--stdio", is_flag=True, help="Speak over standard input and output (the default).")
@click.option("--tcp", "port", type=click.IntRange(1, 65535), metavar="PORT",
              help="Listen on this port of this machine instead.")
@click.option("--rules", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
              help="Further folder of rule files.")
def command(stdio: bool, port: int | None, rules: tuple[Path, ...]) -> None:
    """Serve rule files and scenarios to an editor (Language Server Protocol)."""
    if stdio and port is not None:
        raise click.UsageError("--stdio and --tcp do not go together")
    try:
        from llamasim.editor.server import server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("llamasim"):
            raise
        say([_without_extra(error.name)])
        raise SystemExit(2) from None
    if port is None:
        # What is printed by mistake would be no message; and the server closes what it writes to.
        with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
            sys.stdout = sys.stderr
            server(rules).start_io(sys.stdin.buffer, out)
        return
    try:
        server(rules).start_tcp("127.0.0.1", port)
    except OSError as error:
        say([_port_taken(port, error)])
        raise SystemExit(2) from None


def _without_extra(name: str) -> Diagnostic:
    return Diagnostic(
        "E0717", f"the language server needs the package `{name.partition('.')[0]}`",
        why="who runs no editor needs none of it, so it is an extra",
        help=('install it beside llamasim: pip install "llamasim[lsp]"',
              'in a checkout: pip install -e ".[lsp]"'),
    )


def _port_taken(port: int, error: OSError) -> Diagnostic:
    return Diagnostic("E0718", f"cannot listen on port {port}", why=error.strerror or str(error),
                      help=("give --tcp another port",))
