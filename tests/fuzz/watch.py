"""Runs one input under watch: time, memory, exceptions; and keeps those that fail.

Time is the processor time of this process, so a busy machine makes no failure. The input that is
being run lies in a mapped file, so it is known even after a crash of the interpreter.
"""

from __future__ import annotations

import mmap
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

import attrs
from tests.fuzz.targets import Breach, Target

#: Longest that one input may take, in seconds of processor time.
LONGEST_S = 1.0
#: Most by which one input may raise the peak of the process's memory, in MiB.
MOST_MIB = 256.0
_IN_FLIGHT_BYTES = 4 << 20


class TooLong(BaseException):
    """An input ran out of time; no handler of ordinary exceptions swallows it."""


@attrs.frozen
class Outcome:
    """What came of one input.

    Attributes:
        failure: what went wrong in one line, the same for inputs that fail alike; None if nothing.
        seconds: processor time.
        detail: the traceback, if there is one.

    """

    failure: str | None
    seconds: float
    detail: str = ""


@attrs.define
class Watch:
    """Holds the alarm and the file of the input at work."""

    in_flight: Path
    longest_s: float = LONGEST_S
    _map: mmap.mmap | None = None

    def __enter__(self) -> Watch:
        self.in_flight.parent.mkdir(parents=True, exist_ok=True)
        self.in_flight.write_bytes(b"\0" * _IN_FLIGHT_BYTES)
        with self.in_flight.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _IN_FLIGHT_BYTES)
        signal.signal(signal.SIGPROF, _too_long)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if self._map is not None:
            self._map.close()
        self.in_flight.unlink(missing_ok=True)

    def run(self, target: Target, text: str) -> Outcome:
        """Run one input to its end, or until its time is up."""
        self._note(text)
        peak = peak_mib()
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, self.longest_s)
        try:
            try:
                target(text)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
        except TooLong:
            spent = time.process_time() - start
            return Outcome(f"took more than {self.longest_s:g} s", spent, traceback.format_exc())
        except Exception as error:  # a fuzzer reports whatever there is
            return Outcome(signature(error), time.process_time() - start, traceback.format_exc())
        spent = time.process_time() - start
        if spent > self.longest_s:
            return Outcome(f"took more than {self.longest_s:g} s", spent)
        if peak_mib() - peak > MOST_MIB:
            return Outcome(f"took more than {MOST_MIB:g} MiB", spent)
        return Outcome(None, spent)

    def _note(self, text: str) -> None:
        data = text.encode("utf-8", "surrogatepass")[: _IN_FLIGHT_BYTES - 8]
        assert self._map is not None
        self._map[: 8 + len(data)] = len(data).to_bytes(8, "little") + data


def _too_long(_signal: int, _frame: FrameType | None) -> None:
    raise TooLong


def peak_mib() -> float:
    """Return the most memory that this process has held, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def signature(error: BaseException) -> str:
    """Return an exception's kind and the innermost line of the program that raised it."""
    said = f": {error}" if isinstance(error, Breach) else ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "llamasim" in f.filename]
    at = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{said}{at}"


def read_in_flight(path: Path) -> str:
    """Return the input that a process was at when it died."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    return data[8 : 8 + size].decode("utf-8", "surrogatepass")
