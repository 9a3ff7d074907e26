"""What fitted figures do to the errors of rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.command_line import call
from tests.validate.test_validate import KORTHIKANTI, file_of, row_of

from llamasim.validate.sensitivity import Effect, effects, owners_of


def found_of(tmp_path: Path) -> dict[str, Effect]:
    told = effects([("training", [row_of(tmp_path, KORTHIKANTI)])])
    return {f"{e.fit.owner} {e.fit.path}": e for e in told}


def test_a_row_depends_on_its_runtime_its_device_and_its_links(tmp_path: Path) -> None:
    """Eight A100 of one node, joined by NVLink 3, with the host behind PCIe 4."""
    assert owners_of("training", row_of(tmp_path, KORTHIKANTI)) == {
        ("runtimes", "megatron-lm-2022"), ("devices", "ampere-dc"), ("fabrics", "nvlink3"),
        ("fabrics", "pcie4-x16"),
    }


def test_only_figures_that_move_a_row_are_told(tmp_path: Path) -> None:
    """One row of A100: nothing of Hopper, of other runtimes or of other links plays a part."""
    found = found_of(tmp_path)
    assert "megatron-lm-2022 matmul_efficiency" in found
    assert {name.split()[0] for name in found} <= {"megatron-lm-2022", "nvlink3"}
    assert all(e.rows == 1 for e in found.values())


def test_faster_products_shorten_a_step_by_at_most_what_they_take(tmp_path: Path) -> None:
    """Products take most of a step of 22B, and not all of it: a tenth more rate saves between a
    half of 1 - 1/1.1 = 9.1 % and all of that.
    """
    effect = found_of(tmp_path)["megatron-lm-2022 matmul_efficiency"]
    assert 0.5 * (1 - 1 / 1.1) < effect.change < 1 - 1 / 1.1


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_the_command_tells_the_effects(tmp_path: Path, option: str) -> None:
    page = tmp_path / "page.md"
    options = ["--json"] if option == "--json" else ["--report", str(page)]
    result = call("validate", str(file_of(tmp_path, KORTHIKANTI)), "--sensitivity", *options)
    assert result.code == 0, result.err
    if option == "--json":
        told = json.loads(result.out)["sensitivity"]
        assert "matmul_efficiency" in {e["figure"] for e in told}
    else:
        assert "## What each of them does" in page.read_text()
        assert "10 % more" in result.out
