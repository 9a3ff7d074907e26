"""One run of the fuzzer: inputs of an engine through a target, figures, and failures kept."""

from __future__ import annotations

import faulthandler
import gc
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
from tests.fuzz.minimise import minimise
from tests.fuzz.targets import TARGETS, Target
from tests.fuzz.watch import LONGEST_S, Watch, peak_mib

#: Kept of failures that look alike.
_EXAMPLES = 3
#: An interpreter that is stuck in one call of C for so long is ended, its input kept.
_STUCK_S = 300.0
_BEAT = 1000


@attrs.define
class Session:
    """The figures of one target.

    Attributes:
        slowest_s: processor time of the slowest input; `slowest` is that input.
        failures: how often each kind of failure occurred.

    """

    target: str
    folder: Path
    inputs: int = 0
    characters: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    slowest: str = ""
    wall_s: float = 0.0
    peak_mib: float = 0.0
    failures: dict[str, int] = attrs.field(factory=dict)

    def run(self, texts: Iterable[str]) -> Session:
        """Run inputs one by one until there are no more."""
        with self.feeding() as feed:
            for text in texts:
                feed(text)
        return self

    @contextmanager
    def feeding(self) -> Iterator[Callable[[str], None]]:
        """Give what runs one input; the figures are complete afterwards."""
        target, start = TARGETS[self.target], time.monotonic()
        with Watch(self.folder / f"{self.target}.in-flight") as watch:
            # The first input of a process pays for imports and the parser's tables.
            watch.longest_s = 30.0
            watch.run(target, "")
            watch.longest_s = LONGEST_S
            gc.freeze()
            yield lambda text: self._one(watch, target, text)
            faulthandler.cancel_dump_traceback_later()
        self.wall_s += time.monotonic() - start
        self.peak_mib = peak_mib()

    def _one(self, watch: Watch, target: Target, text: str) -> None:
        if self.inputs % _BEAT == 0:
            faulthandler.dump_traceback_later(_STUCK_S, exit=True)
        outcome = watch.run(target, text)
        self.inputs += 1
        self.characters += len(text)
        self.seconds += outcome.seconds
        if outcome.seconds > self.slowest_s:
            self.slowest_s, self.slowest = outcome.seconds, text
        if outcome.failure is None:
            return
        count = self.failures[outcome.failure] = self.failures.get(outcome.failure, 0) + 1
        if count <= _EXAMPLES:
            small = minimise(text, lambda t: watch.run(target, t).failure == outcome.failure)
            self._keep(outcome.failure, text, small, outcome.detail)

    def _keep(self, failure: str, text: str, small: str, detail: str) -> None:
        mark = hashlib.sha256(f"{failure}{text}".encode("utf-8", "surrogatepass")).hexdigest()[:10]
        folder = self.folder / f"{self.target}-{mark}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("input", text), ("minimised", small),
                              ("why", f"{failure}\n\n{detail}")):
            (folder / name).write_bytes(content.encode("utf-8", "surrogatepass"))

    def line(self) -> str:
        """Return the figures as a row of a Markdown table."""
        mean = 1e3 * self.seconds / max(1, self.inputs)
        return (f"| {self.target} | {self.inputs:,} | {sum(self.failures.values())} "
                f"| {mean:.2f} | {1e3 * self.slowest_s:.0f} | {self.characters / 1e6:.0f} "
                f"| {self.peak_mib:.0f} |")


HEADER = ("| target | inputs | failures | mean ms | slowest ms | million characters | peak MiB |\n"
          "|---|---|---|---|---|---|---|")
