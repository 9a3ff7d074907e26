"""Files and functions stay small enough to read."""

from __future__ import annotations

import ast

from tests.policy.source_tree import ENGINE, modules

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 40


def test_no_file_of_the_engine_is_over_400_lines() -> None:
    """Files are about 150 lines; 400 is the cap."""
    counts = {
        p.relative_to(ENGINE).as_posix(): len(p.read_text(encoding="utf-8").splitlines())
        for p in modules()
    }
    assert {name: n for name, n in counts.items() if n > MOST_LINES_OF_A_FILE} == {}


def test_no_function_of_the_engine_is_over_40_lines() -> None:
    """Counted from `def` to the last line, without the docstring."""
    long = {
        f"{path.relative_to(ENGINE).as_posix()}:{node.name}": size
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := _lines(node)) > MOST_LINES_OF_A_FUNCTION
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    """The first statement of each module is a docstring."""
    silent = [p.relative_to(ENGINE).as_posix() for p, t in modules().items()
              if not ast.get_docstring(t)]
    assert silent == []


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    size = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        size -= (first.end_lineno or first.lineno) - first.lineno + 1
    return size
