"""How far a server's run is: said at a terminal, and kept on disk when the run is stopped."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import click

#: Seconds of work after which it is said how far the run is, and between two times.
PATIENCE, EVERY = 2.0, 0.2
#: Seconds of work between two states on disk, for runs that are killed.
KEPT_EVERY = 60.0
#: The file of a state in its folder.
STATE = "state"


class Interrupted(Exception):  # noqa: N818 no fault
    """Someone stopped the run; the state is kept."""


def _terminal() -> bool:
    return sys.stderr.isatty()


class Progress:
    """Looks on while a server runs; Ctrl-C ends the run between two events, with its state kept.

    A second Ctrl-C ends it at once, with the state of the last minute.
    """

    def __init__(self, path: Path, total: int, *, shows: bool, resume: bool) -> None:
        self.path, self.come = path, 0
        self._total, self._shows, self._resume = total, shows and _terminal(), resume
        self._begin = self._said = self._kept = time.monotonic()
        self._stop = False
        self._line = ""
        self._before: Any = None

    def __enter__(self) -> Progress:
        """Take Ctrl-C from here on."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._stopped)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give Ctrl-C back and clear the line."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        self._say("")
        if kind is None and self._stop:
            raise KeyboardInterrupt

    def _stopped(self, number: int, frame: FrameType | None) -> None:
        self._stop = True
        signal.signal(signal.SIGINT, self._before)

    def kept(self) -> bytes | None:
        """Return the state to go on from, where one was asked for and there is one.

        Raises:
            OSError: it cannot be read.

        """
        state = self.path / STATE
        return state.read_bytes() if self._resume and state.is_file() else None

    def folder(self) -> Path:
        """Return the folder of the run's state, where iterations go, too."""
        return self.path

    def look(self, come: Callable[[], int], state: Callable[[], bytes]) -> None:
        """Say how far the run is, and keep its state now and then.

        Raises:
            Interrupted: Ctrl-C was pressed.
            OSError: the state cannot be written.

        """
        now = time.monotonic()
        if self._stop or now - self._kept >= KEPT_EVERY:
            self._kept, self.come = now, come()
            self._keep(state())
            if self._stop:
                raise Interrupted
        if self._shows and now - self._said >= EVERY and now - self._begin >= PATIENCE:
            self._said = now
            self._say(self._words(come(), now - self._begin))

    def _keep(self, state: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        draft = self.path / f"{STATE}.draft"
        try:
            draft.write_bytes(state)
            draft.replace(self.path / STATE)
        finally:
            draft.unlink(missing_ok=True)

    def _words(self, come: int, seconds: float) -> str:
        share = come / self._total if self._total else 1.0
        text = f"{come:,} of {self._total:,} requests, {share:.0%}, {seconds:.0f} s"
        return f"{text}, about {seconds / share - seconds:.0f} s to go" if share > 0.02 else text

    def _say(self, line: str) -> None:
        if line or self._line:
            click.echo("\r" + line.ljust(len(self._line)) + ("" if line else "\r"), err=True,
                       nl=False)
        self._line = line
