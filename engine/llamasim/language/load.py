"""Finds the rule files that a scenario names, and those that they import."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Diagnostic, Label, Source, Span
from llamasim.language import kept, missing
from llamasim.language.ast import Conflicts, Import, Module, Refines, Technique, Test
from llamasim.language.caps import MOST_BYTES, MOST_IMPORTS
from llamasim.language.parser import parse, start_of, too_large

SUFFIX = ".rules"


@attrs.frozen
class Program:
    """The modules that were loaded, by name.

    Attributes:
        modules: those in use, and what they import.
        mentioned: others that rules speak of (`conflicts with`, `refines`, a test's `use`), where
            they were looked for.

    """

    modules: Mapping[str, Module]
    mentioned: Mapping[str, Module] = attrs.field(factory=dict)

    def known(self, module_name: str) -> Module | None:
        """Return a module that is in use or mentioned, or None."""
        return self.modules.get(module_name) or self.mentioned.get(module_name)

    def technique(self, full_name: str) -> tuple[Module, Technique] | None:
        """Return a technique and its module by the full dotted name, or None."""
        module_name, _, name = full_name.rpartition(".")
        module = self.modules.get(module_name)
        found = module.technique(name) if module else None
        return (module, found) if module and found else None


@attrs.define
class _Loading:
    """The files read so far."""

    search: tuple[Path, ...]
    texts: Mapping[Path, str] = attrs.field(factory=dict)
    modules: dict[str, Module] = attrs.field(factory=dict)
    failed: set[str] = attrs.field(factory=set)
    mentioned: dict[str, Module] = attrs.field(factory=dict)
    diagnostics: list[Diagnostic] = attrs.field(factory=list)

    def module(self, name: str, importers: tuple[tuple[str, Import], ...]) -> None:
        """Load a module that exists, and what it imports."""
        if name in self.modules or name in self.failed:
            return
        path = find_file(name, self.search)
        if path is not None and leads_out(path, self.search):
            self.diagnostics.append(missing.leads_out(path))
            path = None
        module = self.read(path) if path else None
        if module is None:
            self.failed.add(name)
            return
        if module.name != name:
            self.diagnostics.append(missing.wrong_module_name(module, name))
            module = attrs.evolve(module, name=name)
        self.modules[name] = module
        self.imports(module, importers)

    def imports(self, module: Module, importers: tuple[tuple[str, Import], ...]) -> None:
        """Load what a module imports."""
        for imported in module.imports:
            self._import(imported, (*importers, (module.name, imported)))

    def _import(self, imported: Import, importers: tuple[tuple[str, Import], ...]) -> None:
        names = [n for n, _ in importers]
        if len(names) > MOST_IMPORTS:
            self.diagnostics.append(missing.too_long_a_chain(imported))
        elif imported.module in names:
            first = names.index(imported.module)
            self.diagnostics.append(missing.cycle(importers[first:]))
        elif find_file(imported.module, self.search) is None:
            self.diagnostics.append(
                missing.no_module(imported.module, self.search, imported.span)
            )
        else:
            self.module(imported.module, importers)

    def mentions(self, module: Module) -> None:
        """Load the modules of techniques that a file speaks of, and those that they refine."""
        for name, span in spoken_of(module):
            full = module.full_name(name)
            owner = full.rpartition(".")[0]
            if owner == module.name or owner in self.modules or owner in self.mentioned:
                continue
            path = find_file(owner, self.search)
            if path is None:
                self.diagnostics.append(missing.no_technique(full, self.search, span))
                continue
            other = _Loading(self.search, self.texts).read(path)
            if other is not None:
                self.mentioned[owner] = attrs.evolve(other, name=owner)
                self._refined(self.mentioned[owner])

    def _refined(self, module: Module) -> None:
        """Load what a mentioned module refines, so that rings show; it is not checked itself."""
        for name, _ in spoken_of(module, (Refines,)):
            owner = module.full_name(name).rpartition(".")[0]
            path = find_file(owner, self.search)
            if owner in self.modules or owner in self.mentioned or path is None:
                continue
            other = _Loading(self.search, self.texts).read(path)
            if other is not None:
                self.mentioned[owner] = attrs.evolve(other, name=owner)
                self._refined(self.mentioned[owner])

    def read(self, path: Path) -> Module | None:
        """Return the module of a file, from the cache or parsed; None where it is no module."""
        text = self.texts.get(path.resolve()) if self.texts else None
        if text is not None:
            module, said = parse(Source(shown_name(path), text))
            self.diagnostics += said
            return module
        source, problem = read_source(path)
        if problem is not None:
            self.diagnostics.append(problem)
            return None
        module, found = _parsed(path.resolve(), source.name, source.text)
        self.diagnostics += found
        return module


@lru_cache(maxsize=256)
def _parsed(path: Path, name: str, text: str) -> tuple[Module | None, tuple[Diagnostic, ...]]:
    """Return the module of a text, once for all files of a run that import it."""
    source = Source(name, text)
    module = kept.recall(path, source)
    if module is not None:
        return module, ()
    module, said = parse(source)
    if module is not None and not said:
        kept.keep(path, source, module)
    return module, tuple(said)


def load(
    names: Iterable[str],
    search: Sequence[Path],
    spans: Mapping[str, Span] | None = None,
    texts: Mapping[Path, str] | None = None,
) -> tuple[Program, list[Diagnostic]]:
    """Load the modules of techniques (`folder.file.technique`) or modules by name.

    Args:
        names: full names of techniques, or names of modules.
        search: folders in which `parallelism/tensor.rules` is looked for, the first match wins.
        spans: where a user wrote each name, for messages about those that do not exist.
        texts: by resolved path, texts that stand for what lies on the disk, such as an editor's.

    Returns:
        The program with every module that could be read, and what is wrong.

    """
    loading = _Loading(tuple(search), texts or {})
    wanted = sorted(set(names))
    at = spans or {}
    for name in wanted:
        as_technique = find_file(name.rpartition(".")[0], search)
        if find_file(name, search):
            loading.module(name, ())
        elif as_technique:
            loading.module(name.rpartition(".")[0], ())
        else:
            loading.diagnostics.append(missing.no_technique(name, search, at.get(name)))
    program = Program(dict(sorted(loading.modules.items())))
    for name in wanted:
        module_name = name.rpartition(".")[0]
        module = program.modules.get(module_name)
        if module is None or name in program.modules or program.technique(name):
            continue
        if not any(_in(module, d) for d in loading.diagnostics):  # else it may be in what is broken
            loading.diagnostics.append(missing.not_in_module(name, module, search, at.get(name)))
    return program, loading.diagnostics


def load_file(
    path: Path, search: Sequence[Path] = (), texts: Mapping[Path, str] | None = None
) -> tuple[Module | None, Program, list[Diagnostic]]:
    """Load one rule file, wherever it lies, and what it imports.

    Imports are looked for beside the file first, then in `search`. `texts` are as in `load`.

    Returns:
        The file's module (None where it could not be read), the program with it and its imports,
        and what is wrong; a name that is not the file's path is.

    """
    loading = _Loading(tuple(search), texts or {})
    module = loading.read(path)
    if module is None:
        return None, Program({}), loading.diagnostics
    parts = path.resolve().with_suffix("").parts
    count = module.name.count(".") + 1
    expected = ".".join(parts[-count:])
    if module.name != expected:
        loading.diagnostics.append(missing.wrong_module_name(module, expected))
    root = path.resolve().parents[min(count, len(parts) - 1) - 1]
    loading.search = (root, *search)
    loading.modules[module.name] = module
    loading.imports(module, ())
    loading.mentions(module)
    program = Program(dict(sorted(loading.modules.items())), dict(loading.mentioned))
    return module, program, loading.diagnostics


def spoken_of(
    module: Module, kinds: tuple[type, ...] = (Conflicts, Refines)
) -> list[tuple[str, Span]]:
    """Return the techniques that a file speaks of, as it names them, and where."""
    found: list[tuple[str, Span]] = []
    for item in module.items:
        if isinstance(item, Technique):
            found += [(m.other, m.span) for m in item.members
                      if isinstance(m, Conflicts | Refines) and isinstance(m, kinds)]
        elif isinstance(item, Test) and Conflicts in kinds:
            found += [(g.target, g.span) for g in item.givens if g.what == "use" and g.target]
    return found


def _in(module: Module, found: Diagnostic) -> bool:
    """Whether a finding is an error in a module's file."""
    return found.is_error and any(label.span.source.name == module.span.source.name
                                  for label in found.labels if label.primary)


def find_file(module: str, search: Iterable[Path]) -> Path | None:
    """Return the file of a module, or None."""
    parts = module.split(".")
    if not all(p.isidentifier() for p in parts):
        return None
    for folder in search:
        path = folder.joinpath(*parts[:-1], parts[-1] + SUFFIX)
        try:
            if path.is_file():
                return path
        except OSError:  # a name longer than the system allows
            continue
    return None


def leads_out(path: Path, search: Iterable[Path]) -> bool:
    """Whether a file found in the search path is a link to one outside of it.

    The shipped rules are as they were installed, and some installers make links.
    """
    if path.is_relative_to(rules_dir()):
        return False
    real = path.resolve()
    return not any(real.is_relative_to(folder.resolve()) for folder in search)


def read_source(path: Path) -> tuple[Source, Diagnostic | None]:
    """Read a rule file; its name is relative to where the user stands where that is shorter."""
    source = Source(shown_name(path), "")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            return source, too_large(start_of(source), "this file is larger than 1 MiB")
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        return Source(source.name, text), None
    except UnicodeDecodeError:
        return source, _unreadable(source, "this file is not UTF-8 text", "save it as UTF-8")
    except FileNotFoundError:
        return source, _unreadable(source, "there is no such file",
                                   "give the path of a .rules file")
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        return source, _unreadable(source, f"this file cannot be read: {reason.lower()}",
                                   "check its permissions")


def _unreadable(source: Source, message: str, way: str) -> Diagnostic:
    return Diagnostic("E0224", message, (Label(start_of(source)),), help=(way,))


def shown_name(path: Path) -> str:
    """Return a path as messages show it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return relative if len(relative) <= len(str(path)) else str(path)
