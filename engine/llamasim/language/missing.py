"""Messages about modules and techniques that are not where they should be."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamasim.diagnostics import Diagnostic, Label, Source, Span, nearest
from llamasim.language.ast import Import, Module, Technique
from llamasim.language.caps import MOST_BYTES, MOST_IMPORTS

if TYPE_CHECKING:
    from llamasim.language.load import Program

_DECLARED = re.compile(r"^technique[ \t]+([A-Za-z_][A-Za-z0-9_]*)", re.MULTILINE)


def library(search: Iterable[Path]) -> dict[str, Path]:
    """Return every module of the search path by name, found by listing files."""
    found: dict[str, Path] = {}
    for folder in search:
        for path in sorted(_rule_files(folder)):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            found.setdefault(name, path)
    return found


def _rule_files(folder: Path) -> Iterator[Path]:
    """Yield rule files below a folder, not through links, and not beyond a bound.

    A scenario may lie in a folder with anything in it, such as a home folder.
    """
    level, left = [folder], _MOST_ENTRIES
    for _ in range(_DEEPEST):
        below: list[Path] = []
        for place in level:
            try:
                entries = sorted(os.scandir(place), key=lambda e: e.name)
            except OSError:
                continue
            left -= len(entries)
            for entry in entries:
                if entry.name.endswith(".rules") and entry.is_file():
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    below.append(Path(entry.path))
            if left <= 0:
                return
        level = below


_DEEPEST, _MOST_ENTRIES = 6, 10_000


def _techniques(search: Iterable[Path]) -> list[str]:
    """Return full names of all techniques, read off the files without parsing them."""
    names = []
    for module, path in library(search).items():
        try:
            with path.open("rb") as file:
                text = file.read(MOST_BYTES).decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        names += [f"{module}.{t}" for t in _DECLARED.findall(text)]
    return names


def _like(name: str, full_names: Sequence[str]) -> str | None:
    """Return the known technique that a name means: by its last part first, then by the whole."""
    last = {n.rpartition(".")[2]: n for n in reversed(full_names)}
    if inside := next((n for n in full_names if n.startswith(f"{name}.")), None):
        return inside
    tail = name.rpartition(".")[2]
    if tail in last:
        return last[tail]
    close = nearest(tail, last)
    return nearest(name, full_names) or (last[close] if close else None)


def technique_like(name: str, search: Sequence[Path]) -> str | None:
    """Return the technique of some folders that a name means, if it is near one."""
    return _like(name, _techniques(search))


def _labels(span: Span | None, text: str) -> tuple[Label, ...]:
    return (Label(span, text),) if span else ()


def no_technique(name: str, search: Sequence[Path], span: Span | None) -> Diagnostic:
    """Return the finding that no rule file holds a technique of that name."""
    known = _techniques(search)
    guess = _like(name, known)
    way = f"did you mean `{guess}`?" if guess else (
        f"put its rules into `{name.rpartition('.')[0].replace('.', '/') or name}.rules` "
        "beside the scenario"
    )
    return Diagnostic(
        "E0221", f"there is no technique `{name}`", _labels(span, "not in the library"),
        why=f"looked in {_folders(search)}", help=(way,),
    )


def no_module(name: str, search: Sequence[Path], span: Span | None) -> Diagnostic:
    """Return the finding that no rule file has that module's path."""
    guess = nearest(name, library(search))
    way = f"did you mean `{guess}`?" if guess else f"add `{name.replace('.', '/')}.rules`"
    return Diagnostic(
        "E0220", f"there is no module `{name}`", _labels(span, "no such rule file"),
        why=f"looked in {_folders(search)}", help=(way,),
    )


def not_in_module(
    name: str, module: Module, search: Sequence[Path], span: Span | None
) -> Diagnostic:
    """Return the finding that a module lacks a technique."""
    own = [i.name for i in module.items if isinstance(i, Technique)]
    tail = name.rpartition(".")[2]
    guess = nearest(tail, own)
    guess = f"{module.name}.{guess}" if guess else _like(name, _techniques(search))
    listed = ", ".join(own) or "no technique"
    way = f"did you mean `{guess}`?" if guess else f"`{module.name}` holds {listed}"
    return Diagnostic(
        "E0221", f"`{module.name}` has no technique `{tail}`", _labels(span, "not in that file"),
        why=f"{module.span.source.name} holds {listed}", help=(way,),
    )


def wrong_module_name(module: Module, expected: str) -> Diagnostic:
    """Return the finding that a module's name is not its path."""
    lines = module.span.source.text.splitlines()
    row = next((i for i, t in enumerate(lines) if t.lstrip().startswith("module")), 0)
    column = lines[row].find("module") + 1 if lines else 1
    end = len(lines[row].split("#")[0].rstrip()) + 1 if lines else 2
    span = Span(module.span.source, row + 1, max(column, 1), row + 1, max(end, column + 1))
    return Diagnostic(
        "E0222", f"this module calls itself `{module.name}`, and its path says `{expected}`",
        (Label(span, "not the path of this file"),),
        why="a module's name is its path, so that a name leads to its file",
        help=(f"write `module {expected}`, or move the file to "
              f"`{module.name.replace('.', '/')}.rules`",),
    )


def leads_out(path: Path) -> Diagnostic:
    """Return the finding that a rule file is a link to one outside the folders of rules."""
    from llamasim.language.load import shown_name

    source = Source(shown_name(path), "")
    return Diagnostic(
        "E0224", "this file is a link that leads out of the folders of rules",
        (Label(Span(source, 1, 1, 1, 2)),),
        why="a scenario reads rules from its own folder and from those that it names, and only "
            "from there",
        help=("put a copy in its place", "or name the other folder with `rules:` or `--rules`"),
    )


def too_long_a_chain(imported: Import) -> Diagnostic:
    """Return the finding that modules import each other in too long a chain."""
    return Diagnostic(
        "E0223", f"this is the end of a chain of more than {MOST_IMPORTS} imports",
        (Label(imported.span, "one too many"),),
        why="rule files are bounded, so that checking any of them ends quickly",
        help=("import what is needed directly",),
    )


def cycle(importers: Sequence[tuple[str, Import]]) -> Diagnostic:
    """Return the finding that modules import each other in a ring."""
    names = [n for n, _ in importers]
    if len(names) == 1:
        return Diagnostic(
            "E0223", f"`{names[0]}` imports itself", (Label(importers[0][1].span, "itself"),),
            why="what a module declares is known in it anyway", help=("remove the import",))
    labels = tuple(
        Label(i.span, f"`{n}` imports `{i.module}`", primary=k == len(importers) - 1)
        for k, (n, i) in enumerate(importers)
    )
    return Diagnostic(
        "E0223", "these modules import each other: " + " -> ".join([*names, names[0]]), labels,
        why="imports form no ring, so that every name has one place to come from",
        help=("move what both need into a third module",),
    )


def _folders(search: Sequence[Path]) -> str:
    from llamasim.language.load import shown_name

    return ", ".join(shown_name(p) for p in search) or "no folder"


def no_such_technique(
    name: str, span: Span, module: Module, program: Program
) -> Diagnostic | None:
    """Return the finding that a rule file names a technique that a loaded module lacks.

    Modules that are not loaded are not looked into: a file may speak of techniques that are not in
    use.
    """
    owner_name, _, last = module.full_name(name).rpartition(".")
    owner = module if owner_name == module.name else program.known(owner_name)
    if owner is None or owner.technique(last) is not None:
        return None
    own = [i.name for i in owner.items if isinstance(i, Technique)]
    guess = nearest(last, own)
    return Diagnostic(
        "E0221", f"`{owner.name}` has no technique `{last}`", (Label(span, "named here"),),
        help=(f"did you mean `{guess}`?" if guess else f"it holds {', '.join(own) or 'none'}",),
    )
