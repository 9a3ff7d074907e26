"""A rule file as an editor has it: its text, what it declares, and what it can see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import attrs

from llamasim.assets import rules_dir
from llamasim.diagnostics import Source, Span
from llamasim.editor.words import Word, read_words
from llamasim.language import Program, load
from llamasim.language.ast import Module, Technique
from llamasim.language.load import find_file, shown_name
from llamasim.language.missing import library


@attrs.frozen(slots=False, eq=False)
class Document:
    """One open rule file.

    Attributes:
        source: its text, under the name that messages show.
        path: where it lies or would lie.
        folders: further folders of rule files, before the shipped one.
        texts: texts of all open files by resolved path; they stand for what lies on the disk.

    """

    source: Source
    path: Path
    folders: tuple[Path, ...] = ()
    texts: Mapping[Path, str] = attrs.field(factory=dict)

    @cached_property
    def _read(self) -> tuple[tuple[Word, ...], Module | None]:
        return read_words(self.source)

    @property
    def words(self) -> tuple[Word, ...]:
        """Every word that could be understood."""
        return self._read[0]

    @property
    def module(self) -> Module | None:
        """What the words make; None where not even its first lines could be understood."""
        return self._read[1]

    @property
    def search(self) -> tuple[Path, ...]:
        """The folders in which imports are looked for."""
        name = self.module.name if self.module else self.path.stem
        parents = self.path.resolve().parents
        root = parents[min(name.count("."), len(parents) - 1)]
        return (root, *self.folders, rules_dir())

    @cached_property
    def imported(self) -> Program:
        """The modules that the file imports, and what they import."""
        names = [i.module for i in self.module.imports] if self.module else []
        return self.load(names)

    def load(self, names: Sequence[str]) -> Program:
        """Return those of some modules that exist, with what they import."""
        there = [n for n in names if find_file(n, self.search)]
        return load(there, self.search, texts=self.texts)[0]

    @cached_property
    def known_modules(self) -> Mapping[str, Path]:
        """Every module within reach by name, with its file; this one is not among them."""
        own = self.path.resolve()
        return {n: p for n, p in library(self.search).items() if p.resolve() != own}

    @cached_property
    def everything(self) -> Program:
        """All modules within reach."""
        return self.load(list(self.known_modules))

    def file_of(self, module: Module) -> Path:
        """Return the file that a loaded module came from."""
        if module is self.module:
            return self.path
        return find_file(module.name, self.search) or Path(module.span.source.name)

    def full_name(self, name: str) -> str:
        """Return a technique's full name for what a rule file calls it."""
        head, _, rest = name.partition(".")
        module = self.module
        for imported in module.imports if module else ():
            if imported.alias == head and rest:
                return f"{imported.module}.{rest}"
        return name if rest else f"{module.name if module else ''}.{name}"

    def technique(self, name: str) -> tuple[Module, Technique] | None:
        """Return a technique by what this file calls it, wherever it is declared."""
        owner, _, last = self.full_name(name).rpartition(".")
        if self.module is not None and owner == self.module.name:
            found = self.module.technique(last)
            return (self.module, found) if found else None
        program = self.imported if owner in self.imported.modules else self.load([owner])
        return program.technique(f"{owner}.{last}")

    def own_techniques(self) -> Iterator[Technique]:
        """Yield the techniques that the file declares."""
        for item in self.module.items if self.module else ():
            if isinstance(item, Technique):
                yield item

    def offset(self, line: int, column: int) -> int:
        """Return where a place lies in the text; lines and columns count from 1."""
        lines = self.source.text.split("\n")
        row = max(1, min(line, len(lines)))
        before = sum(len(text) + 1 for text in lines[: row - 1])
        return before + max(0, min(column - 1, len(lines[row - 1])))

    def span(self, start: int, end: int) -> Span:
        """Return the place of a part of the text that lies in one line."""
        text = self.source.text
        line = text.count("\n", 0, start) + 1
        column = start - text.rfind("\n", 0, start)
        return Span(self.source, line, column, line, column + end - start)


def open_document(
    text: str,
    path: Path,
    folders: Sequence[Path] = (),
    texts: Mapping[Path, str] | None = None,
) -> Document:
    """Return a rule file for the other functions of this room.

    Args:
        text: what the editor shows.
        path: where the file lies; imports are looked for beside it first.
        folders: further folders of rule files, as `--rules` gives them.
        texts: texts of other open files by resolved path.

    """
    return Document(Source(shown_name(path), text), path, tuple(folders), texts or {})
