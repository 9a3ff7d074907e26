"""The engine that is guided by coverage: Atheris changes further what reached new lines.

Atheris is an extra (`pip install -e ".[fuzz]"`); it has wheels for Linux and Python 3.11 to 3.14.
It must see the program being imported and never returns, so it has a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.session import Session

#: Rooms whose lines are watched.
_WATCHED = ("llamasim.language", "llamasim.scenario", "llamasim.units")
_LONGEST = 4000
_FIGURES = ("inputs", "characters", "seconds", "slowest_s", "slowest", "wall_s", "peak_mib",
            "failures")


def run_guided(session: Session, seed: int, count: int) -> Session:
    """Run inputs that Atheris makes of the shipped files, and take over its figures."""
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit('this engine needs Atheris: pip install -e ".[fuzz]"')
    from tests.fuzz import corpus

    seeds = corpus.scenario_texts() if session.target == "scenario" else corpus.rule_pieces()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder, figures = Path(name) / "seeds", Path(name) / "figures"
        folder.mkdir()
        for number, text in enumerate(seeds):
            (folder / f"{number:05}").write_bytes(text.encode())
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", session.target, str(session.folder),
             str(seed), str(count), str(folder), str(figures)], check=False)
        if figures.exists():
            for key, value in json.loads(figures.read_text()).items():
                setattr(session, key, value)
        else:
            session.failures["the process died; its input is in the `.in-flight` file"] = 1
    return session


def _guide(target: str, failures: str, seed: str, count: str, folder: str, figures: str) -> None:
    import atheris

    with atheris.instrument_imports(include=[*_WATCHED]):
        for room in _WATCHED:
            package: Any = importlib.import_module(room)
            for module in pkgutil.iter_modules(package.__path__, f"{room}."):
                importlib.import_module(module.name)
    from tests.fuzz.session import Session

    session, stack = Session(target, Path(failures)), ExitStack()
    feed = stack.enter_context(session.feeding())

    def one(data: bytes) -> None:
        feed(data.decode("utf-8", "replace"))
        if session.inputs >= int(count):
            stack.close()
            Path(figures).write_text(json.dumps({k: getattr(session, k) for k in _FIGURES}))
            os._exit(0)

    atheris.Setup(
        [sys.argv[0], f"-seed={int(seed) + 1}", f"-max_len={_LONGEST}", "-timeout=120",
         "-verbosity=0", "-rss_limit_mb=4096", folder], one)
    atheris.Fuzz()


if __name__ == "__main__":
    _guide(*sys.argv[1:])
