"""`llamasim new` writes files that work, and never over another one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command_line import call

from llamasim.language.keywords import KEYWORDS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_technique_checks_tests_and_is_laid_out(folder: Path) -> None:
    said = call("new", "technique", "narrow_cache")
    assert said.code == 0
    assert "llamasim test narrow_cache.rules" in said.out
    strict = ["--pedantic"] if "--pedantic" in call("check", "--help").out else []
    checked = call("check", *strict, "narrow_cache.rules")
    assert checked.out == "1 file checked: 0 errors, 0 warnings\n"
    assert call("test", "narrow_cache.rules").out == "1 passed, 0 failed\n"
    assert call("fmt", "--check", "narrow_cache.rules").code == 0


def test_a_new_technique_can_be_used_as_it_says(folder: Path) -> None:
    """The scenario beside it, with the line that `new` prints."""
    said = call("new", "technique", "narrow_cache")
    call("new", "scenario", "chat")
    line = next(x.strip() for x in said.out.splitlines() if x.startswith("    narrow_cache."))
    text = (folder / "chat.yaml").read_text().replace("use: {}", f"use:\n  {line}")
    (folder / "chat.yaml").write_text(text)
    found = call("explain", "chat.yaml", "kv_cache.bytes@layers.0.attn.k", "--json").json
    assert found["value"] == 8 * 128 * (4 + 16 / 64) / 8


def test_a_new_scenario_runs(folder: Path) -> None:
    assert call("new", "scenario", "chat").code == 0
    said = call("run", "chat.yaml")
    assert said.code == 0
    assert said.err == ""
    assert "decode" in said.out


def test_the_folder_can_be_chosen(folder: Path) -> None:
    assert call("new", "technique", "narrow", "--in", "rules/mine").code == 0
    assert (folder / "rules" / "mine" / "narrow.rules").is_file()


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "narrow.rules").write_text("mine")
    said = call("new", "technique", "narrow")
    assert said.code == 2
    assert "error[E0716]" in said.err
    assert (folder / "narrow.rules").read_text() == "mine"


@pytest.mark.parametrize("name", ["Four-Bits", "4bit", "a.b", "../up", "", "narrow.rules", "é"])
def test_a_name_that_is_no_name_is_refused_with_one_that_is(folder: Path, name: str) -> None:
    said = call("new", "technique", name)
    assert said.code == 2
    assert "help: call it `" in said.err
    assert not list(folder.rglob("*.rules"))


@pytest.mark.parametrize("name", sorted(KEYWORDS)[:5])
def test_a_keyword_is_no_name(folder: Path, name: str) -> None:
    assert "is a keyword" in call("new", "technique", name).err


def test_a_scenario_stays_in_its_folder(folder: Path) -> None:
    assert call("new", "scenario", "../up").code == 2
    assert not (folder.parent / "up.yaml").exists()
