"""Rule files that were checked and found without fault, kept between runs.

A file stays sound as long as its text, the texts of all files that its check looked into, the
folders in which they were looked for, and the program are the same. Then nothing of the language
need be loaded. A cache that cannot be read or written is as good as none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs

import llamasim

#: Rooms on which the check of a rule file depends.
_ROOMS = ("units", "diagnostics", "language", "catalog", "cli")
_MOST_ENTRIES = 1000


@attrs.define
class Sound:
    """The files that are known to be sound.

    Attributes:
        folders: where modules are looked for behind the file's own folder.
        advice: whether nothing was advised either.

    """

    folders: Sequence[Path]
    advice: bool
    _place: Path | None = attrs.field(factory=lambda: _place())
    _entries: dict[str, Any] = attrs.field(factory=dict)
    _changed: bool = False

    def __attrs_post_init__(self) -> None:
        if self._place is None:
            return
        try:
            entries = json.loads(self._place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        self._entries = entries if isinstance(entries, dict) else {}

    def holds(self, path: Path) -> bool:
        """Whether a file is known to be sound as it is now."""
        entry = self._entries.get(self._name(path))
        if not isinstance(entry, dict):
            return False
        names, root, key = entry.get("names"), entry.get("root"), entry.get("key")
        if not isinstance(names, list) or not isinstance(root, str):
            return False
        return key is not None and key == self._key(path, Path(root), names)

    def note(self, path: Path, module: str, names: Iterable[str]) -> None:
        """Note that a file is sound; `names` are the modules that its check looked into."""
        if self._place is None:
            return
        others = sorted(set(names) - {module})
        parents = path.resolve().parents
        root = parents[min(module.count("."), len(parents) - 1)]
        key = self._key(path, root, others)
        if key is not None:
            self._entries.pop(self._name(path), None)
            self._entries[self._name(path)] = {"names": others, "root": str(root), "key": key}
            self._changed = True

    def save(self) -> None:
        """Keep what was noted."""
        if self._place is None or not self._changed:
            return
        kept = dict(list(self._entries.items())[-_MOST_ENTRIES:])
        draft = self._place.with_suffix(f".{os.getpid()}.draft")
        try:
            draft.write_text(json.dumps(kept), encoding="utf-8")
            draft.replace(self._place)
        except OSError:
            draft.unlink(missing_ok=True)

    def _name(self, path: Path) -> str:
        return f"{path.resolve()}{' with advice' if self.advice else ''}"

    def _key(self, path: Path, root: Path, names: Sequence[str]) -> str | None:
        """Return a digest of all that a check depends on, or None where a file is missing."""
        digest = hashlib.sha256(_program().encode())
        folders = [root, *(f.resolve() for f in self.folders)]
        try:
            for file in (path, *(_find(n, folders) for n in names)):
                digest.update(f"\n{file.resolve()}\n".encode())
                digest.update(file.read_bytes())
        except (OSError, ValueError):
            return None
        return digest.hexdigest()


def _find(module: str, folders: Iterable[Path]) -> Path:
    """Return the file of a module, the first one in the order of folders."""
    parts = module.split(".")
    for folder in folders:
        path = folder.joinpath(*parts[:-1], f"{parts[-1]}.rules")
        if path.is_file():
            return path
    raise FileNotFoundError(module)


@cache
def _program() -> str:
    """Return what tells this program from another: version, and its files' sizes and times."""
    package = Path(llamasim.__file__).parent
    found = [llamasim.__version__, str(package)]
    for room in _ROOMS:
        for file in sorted((package / room).rglob("*.*")):
            if "__pycache__" not in file.parts:
                stat = file.stat()
                found.append(f"{file} {stat.st_size} {stat.st_mtime_ns}")
    return "\n".join(found)


def _place() -> Path | None:
    """Return the file in which sound files are kept, or None where there can be none."""
    if os.environ.get("LLAMASIM_NO_CACHE"):
        return None
    from platformdirs import user_cache_path

    try:
        folder = user_cache_path("llamasim")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder / "sound.json"
