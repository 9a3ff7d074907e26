"""Fuzzes the rules parser, the rules checker and the scenario reader.

    python -m tests.fuzz --inputs 1000000

Inputs are divided evenly over the targets. Failures are kept, whole and minimised, in a folder;
the exit code is 1 when there are any.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.mutate import text_of
from tests.fuzz.session import HEADER, Session
from tests.fuzz.targets import TARGETS

ENGINES = ("mutation", "hypothesis", "atheris")


def main(argv: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args(argv)
    os.environ["LLAMASIM_NO_CACHE"] = "1"
    targets = [options.target] if options.target else list(TARGETS)
    if options.replay:
        return _replay(targets, options.replay, options.failures)
    print(f"engine {options.engine}, seed {options.seed}, Python {platform.python_version()}")
    print(HEADER, flush=True)
    failed = False
    for k, target in enumerate(targets):
        count = options.inputs // len(targets) + (k < options.inputs % len(targets))
        session = _run(options, target, count)
        print(session.line(), flush=True)
        failed = failed or bool(session.failures)
        for failure, times in session.failures.items():
            print(f"    {times} x {failure}", flush=True)
        if options.show_slowest:
            print(repr(session.slowest[:300]))
    if failed:
        print(f"failures are kept in {options.failures}")
    return int(failed)


def _run(options: argparse.Namespace, target: str, count: int) -> Session:
    session = Session(target, options.failures)
    if options.engine == "hypothesis":
        from tests.fuzz.strategies import drawn

        return session.run(drawn(target, options.seed, count))
    if options.engine == "atheris":
        from tests.fuzz.guided import run_guided

        return run_guided(session, options.seed, count)
    return session.run(_mutated(target, options.seed, options.start, count))


def _mutated(target: str, seed: int, start: int, count: int) -> Iterator[str]:
    return (text_of(target, seed, number) for number in range(start, start + count))


def _replay(targets: list[str], path: Path, folder: Path) -> int:
    """Run one kept input again."""
    text = path.read_bytes().decode("utf-8", "surrogatepass")
    failed = 0
    for target in targets:
        session = Session(target, folder).run([text])
        print(f"{target}: {1e3 * session.slowest_s:.1f} ms, {session.failures or 'sound'}")
        failed |= bool(session.failures)
    return failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=3000, help="how many, over all targets")
    parser.add_argument("--target", choices=list(TARGETS), help="one target only")
    parser.add_argument("--engine", choices=ENGINES, default="mutation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--failures", type=Path, default=Path("results/fuzz"),
                        help="folder for inputs that fail")
    parser.add_argument("--replay", type=Path, help="run one kept input again")
    parser.add_argument("--show-slowest", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
