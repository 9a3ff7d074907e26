"""`llamasim new`: a rule file or a scenario to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from llamasim.cli.support import stop
from llamasim.diagnostics import Diagnostic

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
#: Rules are what a user copies, so the template is one file of its own, read when it is asked for.
TEMPLATES = Path(__file__).parent / "templates"


@click.group(name="new")
def command() -> None:
    """Write a commented rule file or scenario to begin with."""


@command.command(name="technique")
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
              help="Folder for the file; the present one unless given.")
def technique(name: str, folder: Path) -> None:
    """Write NAME.rules with a technique NAME, which checks, passes its test and can be used."""
    stop(_bad_technique(name))
    path = folder / f"{name}.rules"
    _write(path, _filled("technique.rules", name))
    click.echo(
        f"wrote {path}: a technique that stores the cache in fewer bits, to be changed into yours\n"
        f"  llamasim check {path}\n"
        f"  llamasim test {path}\n"
        f"Use it in a scenario beside it (elsewhere, add --rules {folder.resolve()}):\n"
        f"  use:\n    {name}.{name}: {{bits: 4}}\n"
        "What rules may say: docs/techniques.md, and `llamasim doc` for the shipped ones"
    )


@command.command(name="scenario")
@click.argument("name")
@click.option("--in", "folder", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
              help="Folder for the file; the present one unless given.")
def scenario(name: str, folder: Path) -> None:
    """Write NAME.yaml, a scenario that runs, with what else could be said in comments."""
    stem = name.removesuffix(".yaml")
    stop(_bad_scenario(stem))
    path = folder / f"{stem}.yaml"
    _write(path, _filled("scenario.yaml", stem))
    click.echo(
        f"wrote {path}: a model of 8 billion parameters on one GPU of 24 GB\n"
        f"  llamasim run {path}\n"
        f"  llamasim plan {path}\n"
        "Other models and machines: `llamasim catalog`; techniques: `llamasim doc`"
    )


def _filled(template: str, name: str) -> str:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return text.replace("my_name", name)


def _bad_technique(name: str) -> list[Diagnostic]:
    from llamasim.language.keywords import KEYWORDS

    if name in KEYWORDS:
        return [Diagnostic("E0716", f"`{name}` is a keyword of the rules language",
                           help=(f"call it `{name}_technique` or so",))]
    if not _WORD.fullmatch(name):
        plain = re.sub(r"[^a-z0-9]+", "_", name.removesuffix(".rules").lower()).strip("_")
        good = plain if _WORD.fullmatch(plain) else "my_technique"
        return [Diagnostic("E0716", f"`{name}` cannot name a technique",
                           why="names are words of small letters, digits and underscores, and "
                               "begin with a letter",
                           help=(f"call it `{good}`",))]
    return []


def _bad_scenario(name: str) -> list[Diagnostic]:
    if _FILE.fullmatch(name):
        return []
    return [Diagnostic("E0716", f"`{name}` cannot name a scenario",
                       why="its results go to a folder of that name",
                       help=("use letters, digits, `-`, `_` and `.`; --in names the folder",))]


def _write(path: Path, text: str) -> None:
    """Write a file that is not there yet, or end with what is in the way."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        stop([Diagnostic("E0716", f"{path} is already there", why="nothing is overwritten",
                         help=("choose another name, or another folder with --in",))])
    except OSError as error:
        stop([Diagnostic("E0703", f"{path} cannot be written",
                         why=error.strerror or str(error),
                         help=("choose another folder with --in",))])
