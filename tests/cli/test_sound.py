"""Files that were found sound are not checked again, and those that changed are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import call

from llamasim.cli import sound

GOOD = "technique t { on kv_cache { set numerics.bits = 8 bit } }"
BAD = "technique t { on kv_cache { set numerics.bits = 0 bit } }"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with a cache of its own."""
    monkeypatch.setattr(sound, "_place", lambda: tmp_path / "sound.json")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **modules: str) -> None:
    for name, text in modules.items():
        (folder / f"{name}.rules").write_text(f"edition 2026\nmodule {name}\n{text}\n")


def looked_into(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that the language looks into from now on."""
    import llamasim.language as language

    seen: list[str] = []
    load_file = language.load_file

    def spy(path: Path, *args: object) -> object:
        seen.append(path.name)
        return load_file(path, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(language, "load_file", spy)
    return seen


def test_a_sound_file_is_checked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, m=GOOD)
    seen = looked_into(monkeypatch)
    assert [call("check", "m.rules").code for _ in range(3)] == [0, 0, 0]
    assert seen == ["m.rules"]
    assert "1 file checked" in call("check", "m.rules").out


def test_a_faulty_file_is_told_of_each_time(folder: Path) -> None:
    write(folder, m=BAD)
    first, second = call("check", "m.rules"), call("check", "m.rules")
    assert first.code == second.code == 2
    assert first.err == second.err


def test_a_warning_is_told_of_each_time(folder: Path) -> None:
    write(folder, m=GOOD.replace("{ on", "{ param unused: Int in 1..2 = 1\n on"))
    assert "W0201" in call("check", "m.rules").err
    assert "W0201" in call("check", "m.rules").err


def test_a_change_is_seen(folder: Path) -> None:
    write(folder, m=GOOD)
    assert call("check", "m.rules").code == 0
    write(folder, m=BAD)
    assert call("check", "m.rules").code == 2
    write(folder, m=GOOD)
    assert call("check", "m.rules").code == 0


def test_a_change_of_an_import_is_seen(folder: Path) -> None:
    """And of what an import imports, and of what is only mentioned."""
    write(folder, far="technique f { axis cp size 2 }", near="import far",
          m="import near\ntechnique t { on kv_cache { shard heads over cp } }",
          n=GOOD.replace("{ on", "{ conflicts with far.f\n on"))
    assert call("check", "m.rules", "n.rules").code == 0
    write(folder, far="technique f { axis tp size 2 }")
    assert call("check", "m.rules").code == 2
    write(folder, far="technique g { axis cp size 2 }")
    assert call("check", "n.rules").code == 2


def test_another_file_of_that_name_is_seen(folder: Path) -> None:
    """A module that is found earlier in the order of folders takes the place of one found later."""
    extra = folder / "extra"
    extra.mkdir()
    write(extra, far="technique f { axis cp size 2 }")
    write(folder, m="import far\ntechnique t { on kv_cache { shard heads over cp } }")
    assert call("check", "--rules", "extra", "m.rules").code == 0
    write(folder, far="technique f { axis tp size 2 }")
    assert call("check", "--rules", "extra", "m.rules").code == 2


def test_advice_is_another_question(folder: Path) -> None:
    write(folder, m=GOOD)
    assert call("check", "m.rules").err == ""
    assert "W0210" in call("check", "--pedantic", "m.rules").err
    assert call("check", "m.rules").err == ""


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"x": 3}', "\x00"])
def test_a_damaged_cache_is_as_good_as_none(folder: Path, damage: str) -> None:
    write(folder, m=GOOD, n=BAD)
    call("check", "m.rules")
    (folder / "sound.json").write_text(damage)
    assert call("check", "m.rules").code == 0
    assert call("check", "n.rules").code == 2


def test_another_program_checks_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, m=GOOD)
    call("check", "m.rules")
    seen = looked_into(monkeypatch)
    monkeypatch.setattr(sound, "_program", lambda: "another")
    call("check", "m.rules")
    assert seen == ["m.rules"]


def test_a_second_check_loads_nothing_of_the_language(tmp_path: Path) -> None:
    """All shipped rules, in a fraction of a second."""
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    env.pop("LLAMASIM_NO_CACHE", None)
    command = [sys.executable, "-X", "importtime", "-m", "llamasim", "check"]
    ran = [subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
           for _ in range(2)]
    assert "llamasim.language.check" in ran[0].stderr
    assert "llamasim.language" not in ran[1].stderr
    assert ran[0].stdout == ran[1].stdout
