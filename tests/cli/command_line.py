"""The command line as a test calls it: in this process, with what it printed."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import attrs

from llamasim.cli import main


@attrs.frozen
class Said:
    """What a command printed, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)


def call(*args: str) -> Said:
    """Run `llamasim ARGS`."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(args))
        except SystemExit as end:
            code = end.code
    return Said(code if isinstance(code, int) else int(bool(code)), out.getvalue(), err.getvalue())
