"""The command line: one command a file, imported when it is called."""

from __future__ import annotations

import gc
import os
import sys

import click

from llamasim import __version__

#: Commands by name: the module that has them and one line for `--help`.
COMMANDS = {
    "run": "Simulate scenarios and print what they come to.",
    "plan": "Show what each technique changes, before any time is simulated.",
    "diff": "Say why two runs differ, by cause.",
    "explain": "Derive a value, say why a technique is not used, or explain an error's code.",
    "capacity": "Find the highest rate of arrivals that a server takes within its targets.",
    "optimize": "Try a scenario's choices and recommend.",
    "validate": "Compare predictions with published measurements.",
    "show": "Print the tables of a run.",
    "doc": "List techniques, their parameters and evidence.",
    "catalog": "List devices, models, fabrics, hosts, instances and runtimes.",
    "new": "Write a rule file or a scenario to begin with.",
    "check": "Check rule files and scenarios.",
    "fmt": "Format rule files.",
    "test": "Run the tests of rule files.",
    "schema": "Print the JSON Schema of scenarios, for editors.",
    "lsp": "Serve rule files and scenarios to an editor.",
    "debug": "Print what a stage makes of a scenario.",
}


class Commands(click.Group):
    """Imports a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        import importlib

        command: click.Command = importlib.import_module(f"llamasim.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="llamasim")
def cli() -> None:
    """Simulate running large language models on any hardware.

    \b
    llamasim run cluster                 Llama 3.1 405B pre-training on 16,384 GPUs
    llamasim run my-scenario.yaml        your model, hardware and job
    llamasim catalog devices             what hardware is known
    llamasim check my-technique.rules    check a technique of your own
    """


def main(argv: list[str] | None = None) -> None:
    """Run the command line; every mistake of a user ends in a diagnostic and exit code 2."""
    # Hundreds of classes and hundreds of thousands of rows, few of them in cycles: by default a
    # tenth of a run goes into looking for those.
    gc.set_threshold(100_000, 20, 20)
    try:
        result = cli.main(argv, prog_name="llamasim", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help())
        sys.exit(0)
    except click.ClickException as error:
        sys.exit(_usage(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; earlier results are as they were", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get("LLAMASIM_TRACEBACK"):
            raise
        click.echo(_bug(error), err=True)
        sys.exit(70)
    sys.exit(result if isinstance(result, int) else 0)


def _usage(error: click.ClickException) -> int:
    from llamasim.diagnostics import Diagnostic, nearest, render

    words = error.format_message().rstrip(".")
    help_: tuple[str, ...] = (_ALL,)
    context = getattr(error, "ctx", None)
    if isinstance(error, click.NoSuchOption):
        near = nearest(error.option_name, error.possibilities or [])
        words = f"there is no option `{error.option_name}`"
        help_ = ((f"did you mean `{near}`?",) if near else ()) + (_see(context),)
    elif isinstance(error, click.UsageError) and "No such command" in words:
        name = words.split("'")[1] if "'" in words else ""
        words, help_ = f"there is no command `{name}`", _commands(context, name)
    elif context is not None:
        help_ = (*_near_choice(error), _see(context))
    diagnostic = Diagnostic("E0701", words[:1].lower() + words[1:], help=help_)
    click.echo(render([diagnostic]), err=True)
    return 2


_ALL = "`llamasim --help` lists the commands"


def _commands(context: click.Context | None, name: str) -> tuple[str, ...]:
    """Return ways out of a command that there is not, here or below another one."""
    from llamasim.diagnostics import nearest

    below = list(getattr(context.command, "commands", {})) if context and context.parent else []
    near = nearest(name, below or COMMANDS)
    path = f"llamasim {context.info_name}" if context and below else "llamasim"
    listed = f"there are: {', '.join(f'`{path} {c}`' for c in below)}" if below else _ALL
    return (f"did you mean `{path} {near}`?", listed) if near else (listed,)


def _near_choice(error: click.ClickException) -> tuple[str, ...]:
    from llamasim.diagnostics import nearest

    kind = error.param.type if isinstance(error, click.BadParameter) and error.param else None
    words = error.format_message().split("'")
    if not isinstance(kind, click.Choice) or len(words) < 4:
        return ()
    near = nearest(words[3], kind.choices)
    return (f"did you mean `{near}`?",) if near else ()


def _see(context: click.Context | None) -> str:
    return f"`{context.command_path if context else 'llamasim'} --help` shows what there is"


def _bug(error: Exception) -> str:
    return (
        f"error[E0799]: llamasim itself failed ({type(error).__name__}: {error})\n"
        "help: this is a bug; LLAMASIM_TRACEBACK=1 shows where. Please report it with the scenario"
    )
