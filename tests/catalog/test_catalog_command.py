"""`llamasim catalog` as a user meets it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from llamasim import catalog
from llamasim.cli.catalog import command


def run(*args: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, list(args))


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_lists_name_every_entry_within_the_width(kind: str) -> None:
    """Ids are never cut, because they are there to be copied."""
    result = run(kind)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(catalog.ids(kind))
    assert max(map(len, lines)) <= 100


def test_without_arguments_the_kinds_are_counted() -> None:
    """The first look says what there is."""
    result = run()
    assert result.exit_code == 0
    counts = [line.split()[:2] for line in result.stdout.splitlines()]
    assert counts[0] == ["devices", str(len(catalog.ids("devices")))]


def test_an_entry_shows_figures_with_units_and_sources() -> None:
    """Each figure is marked with the number of its source."""
    result = run("devices", "h100")
    assert result.exit_code == 0
    assert "memory_bandwidth   3350 GB/s     [1]" in result.stdout
    assert "default, not fitted" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_a_model_shows_its_exact_parameter_count() -> None:
    """The count comes from the shape, not from a file."""
    assert "405,853,388,800" in run("models", "llama-3.1-405b").stdout


def test_a_name_alone_is_found_in_any_kind() -> None:
    """Nobody has to know which kind `nvlink4` is."""
    result = run("nvlink4")
    assert result.exit_code == 0
    assert "450 GB/s" in result.stdout


@pytest.mark.parametrize(("args", "close"), [
    (("devices", "h100-sxn"), "h100-sxm"),
    (("models", "lama-3.1-8b"), "llama-3.1-8b"),
    (("fabrics", "nvlnk4"), "nvlink4"),
    (("devcies",), "devices"),
    (("devcies", "h100"), "devices"),
])
def test_a_mistyped_name_suggests_the_nearest(args: tuple[str, ...], close: str) -> None:
    """Exit code 2, a code to look up, and the likely name."""
    result = run(*args)
    assert result.exit_code == 2
    assert "error[E0601]" in result.stderr
    assert f"did you mean `{close}`?" in result.stderr
    assert result.stdout == ""


def test_json_has_engine_units_beside_the_values() -> None:
    """A program can read a record without parsing text."""
    record = json.loads(run("devices", "h100", "--json").stdout)
    assert record["id"] == "h100-sxm"
    assert record["memory_bandwidth"] == 3.35e12
    assert record["units"]["memory_bandwidth"] == "B/s"
    assert record["sources"]["*"]
    models = json.loads(run("models", "--json").stdout)
    assert {m["id"]: m["params"] for m in models}["llama-3.1-8b"] == 8_030_261_248


def test_json_reports_a_mistyped_name_too() -> None:
    """Whoever asks for JSON gets the diagnostic as JSON."""
    result = run("devices", "h100-sxn", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["diagnostics"][0]["code"] == "E0601"
