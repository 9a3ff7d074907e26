"""A model's shape from a file beside the scenario: `model: {import: config.json}`."""

from __future__ import annotations

from pathlib import Path

from llamasim.catalog.importers import model_from_gguf, model_from_hf_config
from llamasim.catalog.specs import Model
from llamasim.diagnostics import Span, nearest
from llamasim.scenario import problems
from llamasim.scenario.values import Reading, shorten


def import_model(reading: Reading, name: str, span: Span) -> Model | None:
    """Return the model that a file describes, or None with what is wrong.

    Errors: no such file (E0515); a file that describes no transformer (E0602).
    """
    path = reading.folder / name
    try:
        known = path.exists()
    except (OSError, ValueError):
        known = False
    if not known:
        reading.add(problems.error(
            "E0515", f"there is no file `{shorten(name)}` to import", span, "not found",
            why="the path is relative to the scenario's folder", help=(_beside(path),)))
        return None
    read = model_from_gguf if path.suffix == ".gguf" else model_from_hf_config
    model, found = read(path, span)
    reading.found += found
    return model


def _beside(path: Path) -> str:
    """Return a hint at a file of nearly that name."""
    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".json", ".gguf"))
    except (OSError, ValueError):
        names = []
    close = nearest(path.name, names)
    return f"did you mean `{close}`?" if close else "write `import: ./config.json`"
