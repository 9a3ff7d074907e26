"""Parsed modules kept between runs, so that unchanged rule files need no parser.

A kept module is used only for the same text under the same syntax; anything else, and a folder
that cannot be read or written, means that the file is parsed again.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

from llamasim import __version__
from llamasim.assets import grammar_path
from llamasim.diagnostics import Source
from llamasim.language.ast import Module

_TREE = ("ast", "ast_effects", "ast_expr")
_CODE = ("ast.py", "ast_effects.py", "ast_expr.py", "build.py", "build_expr.py", "caps.py",
         "kept.py")


@cache
def _syntax() -> bytes:
    """Return a digest of everything that a text's tree depends on but the text."""
    digest = hashlib.sha256(__version__.encode())
    folder = Path(__file__).parent
    for path in (grammar_path(), *(folder / n for n in _CODE)):
        digest.update(path.read_bytes())
    return digest.digest()


@cache
def folder() -> Path | None:
    """Return the folder of kept modules, or None where there can be none."""
    if os.environ.get("LLAMASIM_NO_CACHE"):
        return None
    from platformdirs import user_cache_path

    try:
        path = user_cache_path("llamasim") / "modules"
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return path


def _place(path: Path) -> Path | None:
    base = folder()
    if base is None:
        return None
    return base / (hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24] + ".module")


def _key(source: Source) -> bytes:
    return hashlib.sha256(_syntax() + source.text.encode()).digest()


def recall(path: Path, source: Source) -> Module | None:
    """Return the module kept for a file, if its text is still the same."""
    place = _place(path)
    try:
        data = place.read_bytes() if place else b""
        if data[:32] != _key(source):
            return None
        found = _Unpickler(data[32:], source).load()
    except Exception:  # a damaged file of the cache is as good as none
        return None
    return found if isinstance(found, Module) else None


def keep(path: Path, source: Source, module: Module) -> None:
    """Keep the module of a file that parsed without a finding."""
    place = _place(path)
    if place is None:
        return
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(module)
    draft = place.with_suffix(f".{os.getpid()}.draft")
    try:
        draft.write_bytes(_key(source) + buffer.getvalue())
        draft.replace(place)
    except OSError:
        draft.unlink(missing_ok=True)


class _Pickler(pickle.Pickler):
    """Writes spans without their source, which the reader has."""

    def persistent_id(self, obj: Any) -> str | None:
        """Return a mark for the source."""
        return "source" if isinstance(obj, Source) else None


class _Unpickler(pickle.Unpickler):
    """Reads nodes of the syntax tree and nothing else."""

    def __init__(self, data: bytes, source: Source) -> None:
        super().__init__(io.BytesIO(data))
        self._source = source

    def persistent_load(self, pid: Any) -> Source:
        """Return the source at hand."""
        return self._source

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the tree; any other is refused."""
        package, _, last = module.rpartition(".")
        if module == "llamasim.diagnostics.model" or (
            package == "llamasim.language" and last in _TREE
        ):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a syntax tree")
