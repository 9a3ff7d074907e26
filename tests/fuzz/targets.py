"""What is fuzzed: the rules parser, the rules checker, the scenario reader.

A target takes a text and either returns or raises. Returning means that the text was understood or
refused with findings that a user can read; anything else is a `Breach` or the exception itself.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from llamasim.diagnostics import Diagnostic, Source, render
from llamasim.language import Program, check, parse
from llamasim.scenario import read

Target = Callable[[str], None]


class Breach(AssertionError):  # noqa: N818 - a promise is breached, no call went wrong
    """A promise that an answer did not keep."""


def rules_parser(text: str) -> None:
    """Parse a rule file."""
    module, found = parse(Source("fuzz.rules", text))
    if module is None and not any(d.is_error for d in found):
        raise Breach("neither a module nor an error")
    _readable(found)


def rules_checker(text: str) -> None:
    """Check what could be understood of a rule file."""
    module, _ = parse(Source("fuzz.rules", text))
    if module is not None:
        _readable(check(Program({module.name: module})))


def scenario_reader(text: str) -> None:
    """Read a scenario from a file."""
    path = _case()
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    scenario, found = read(path)
    if (scenario is None) != any(d.is_error for d in found):
        raise Breach("a scenario beside an error, or neither")
    _readable(found)


def _readable(found: Iterable[Diagnostic]) -> None:
    """Hold findings to what their form promises, and draw them."""
    for finding in found:
        if not finding.message:
            raise Breach(f"{finding.code} says nothing")
        if finding.is_error and not finding.help and not finding.why:
            raise Breach(f"{finding.code} gives neither a reason nor a way out")
        for label in finding.labels:
            span = label.span
            if not (1 <= span.line <= span.end_line and span.column >= 1):
                raise Breach(f"{finding.code} points nowhere")
    render(found)


_FOLDER: list[tempfile.TemporaryDirectory[str]] = []


def _case() -> Path:
    """Return a file in a folder of this process, in memory where the system has such a place."""
    if not _FOLDER:
        shared = Path("/dev/shm")
        where = str(shared) if shared.is_dir() else None
        _FOLDER.append(tempfile.TemporaryDirectory(prefix="fuzz-", dir=where))
    return Path(_FOLDER[0].name) / "case.yaml"


TARGETS: Mapping[str, Target] = MappingProxyType(
    {"parser": rules_parser, "checker": rules_checker, "scenario": scenario_reader}
)
