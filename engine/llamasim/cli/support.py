"""What commands share: finding scenarios, reading them, and saying what is wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llamasim.assets import scenarios_dir
from llamasim.diagnostics import Diagnostic, nearest, render, to_json

if TYPE_CHECKING:
    from llamasim.scenario.spec import Scenario


def say(diagnostics: Sequence[Diagnostic], *, as_json: bool = False) -> None:
    """Print diagnostics: text on standard error, or JSON on standard output."""
    if not diagnostics:
        return
    if as_json:
        click.echo(json.dumps({"diagnostics": to_json(diagnostics)}, indent=2))
    else:
        click.echo(render(list(diagnostics), color=sys.stderr.isatty()), err=True)


def stop(diagnostics: Sequence[Diagnostic], *, as_json: bool = False) -> None:
    """Print diagnostics and end with exit code 2 if there is an error among them."""
    if any(d.is_error for d in diagnostics):
        say(diagnostics, as_json=as_json)
        if not as_json:
            point_to_page(diagnostics)
        raise SystemExit(2)


def point_to_page(diagnostics: Sequence[Diagnostic]) -> None:
    """Tell a person at a terminal where the first error's page is."""
    code = next((d.code for d in diagnostics if d.is_error), None)
    if code is not None and sys.stderr.isatty():
        click.echo(f"\n`llamasim explain {code}` tells more", err=True)


def shipped() -> dict[str, Path]:
    """Return the shipped scenarios by name (`cluster`, `guide/laptop-8b`)."""
    root = scenarios_dir()
    files = sorted(root.rglob("*.yaml"))
    return {f.relative_to(root).with_suffix("").as_posix(): f for f in files}


def find_scenario(text: str) -> tuple[Path | None, list[Diagnostic]]:
    """Return the file that a path or a shipped scenario's name stands for."""
    path = Path(text)
    if path.exists():
        return path, []
    known = shipped()
    name = text.removesuffix(".yaml").removeprefix("scenarios/")
    if name in known:
        return known[name], []
    inside = ", ".join(n for n in known if n.startswith(f"{name.rstrip('/')}/"))
    if inside:
        return None, [Diagnostic("E0702", f"`{text}` is a folder of scenarios",
                                 help=(f"give one of: {inside}",))]
    near = nearest(name, known)
    help_ = (f"did you mean `{near}`?",) if near else ()
    listed = ", ".join(n for n in known if "/" not in n)
    folders = ", ".join(f"{n}/" for n in dict.fromkeys(n.rpartition("/")[0] for n in known) if n)
    return None, [
        Diagnostic("E0702", f"there is no scenario `{text}`",
                   help=(*help_, f"give a path to a YAML file, or one of: {listed}",
                         f"there are more in folders: {folders}"))
    ]


def read_scenario(
    text: str, overrides: Sequence[str] = (), rules: Sequence[str] = (), *, as_json: bool = False
) -> Scenario:
    """Return a scenario, or end with what is wrong with it."""
    return read_with_warnings(text, overrides, rules, as_json=as_json)[0]


def read_with_warnings(
    text: str, overrides: Sequence[str] = (), rules: Sequence[str] = (), *, as_json: bool = False
) -> tuple[Scenario, list[Diagnostic]]:
    """Return a scenario with its warnings (printed, unless JSON is), or end with its errors."""
    import attrs

    from llamasim.scenario import read

    path, said = find_scenario(text)
    stop([*said, *_no_folders(rules)], as_json=as_json)
    assert path is not None
    scenario, said = read(path, tuple(overrides))
    stop(said, as_json=as_json)
    if not as_json:
        say(said)
    assert scenario is not None
    if rules:
        paths = (*(str(Path(r)) for r in rules), *scenario.rule_paths)
        scenario = attrs.evolve(scenario, rule_paths=paths)
    return scenario, said


def untried(scenario: Scenario) -> list[Diagnostic]:
    """Return a warning where a scenario leaves choices open that the command does not try."""
    if not scenario.choices:
        return []
    from llamasim.diagnostics import Label

    span = scenario.spans.get("choices")
    return [Diagnostic(
        "W0503", "`choices` are not tried here; this is the scenario without any of them",
        (Label(span, "not used"),) if span else (), "warning",
        help=("`llamasim optimize` tries them all",),
    )]


def _no_folders(rules: Sequence[str]) -> list[Diagnostic]:
    return [
        Diagnostic("E0711", f"there is no folder `{r}`",
                   help=("--rules takes a folder; a technique `family.file.name` is looked for in "
                         "family/file.rules below it",))
        for r in rules if not Path(r).is_dir()
    ]


def unreadable(path: Path, error: OSError | UnicodeDecodeError) -> Diagnostic:
    """Return what to say of a rule file that cannot be read."""
    why = f"byte {error.start} is not UTF-8" if isinstance(error, UnicodeDecodeError) else (
        error.strerror or str(error))
    return Diagnostic("E0708", f"{path} cannot be read", why=why,
                      help=("give the path of a .rules file",))


def results_folder(out: Path, name: str) -> Path:
    """Return the folder for a scenario's results; no name leads out of `out`."""
    return out / (re.sub(r"[^\w.+-]+", "-", name).lstrip(".") or "scenario")


def unfinished(folder: Path) -> Path:
    """Return where the state of a run is kept whose results would go to a folder."""
    return folder.with_name(folder.name + ".unfinished")


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """Return files as given, and of folders the rule files below them; a folder without any ends
    the command, because whoever names one expects something to be done.
    """
    found: list[Path] = []
    for path in paths:
        below = sorted(path.rglob("*.rules")) if path.is_dir() else [path]
        if not below:
            stop([Diagnostic(
                "E0707", f"there is no rule file below `{path}`",
                help=("give a folder that holds files ending in .rules, or such a file",
                      "begin one with `llamasim new technique NAME`"))])
        found += below
    return found


def counted(count: int, word: str) -> str:
    """Return a number with its word, in the plural where it needs it."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def headline(scenario: Scenario) -> str:
    """Return one line about model and hardware."""
    c = scenario.cluster
    count = f"{c.devices:,} x " if c.devices > 1 else ""
    return (f"{scenario.model.name} {scenario.workload.mode} on {count}{c.device.name}, "
            f"{scenario.runtime.name}")
