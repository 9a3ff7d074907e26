"""Finding rule files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llamasim.diagnostics import render
from llamasim.language import check_module, kept, load, load_file
from llamasim.language.missing import library


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of rule files, with a cache of its own."""
    monkeypatch.setattr(kept, "folder", lambda: tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    return tmp_path


def write(folder: Path, name: str, body: str, module: str | None = None) -> None:
    path = folder / (name.replace(".", "/") + ".rules")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"edition 2026\nmodule {module or name}\n{body}", encoding="utf-8")


def test_techniques_and_their_imports_are_loaded_and_nothing_else(folder: Path) -> None:
    write(folder, "a.b", "import c.d as e\ntechnique t { }\n")
    write(folder, "c.d", "technique u { }\n")
    write(folder, "x.y", "this is not parsed")
    program, found = load(["a.b.t"], [folder])
    assert not found
    assert set(program.modules) == {"a.b", "c.d"}
    assert program.technique("a.b.t") is not None
    assert program.technique("a.b.u") is None


def test_the_first_folder_wins(folder: Path) -> None:
    write(folder / "mine", "a", "technique t { }\ntechnique mine { }\n")
    write(folder / "theirs", "a", "technique t { }\n")
    program, _ = load(["a.t"], [folder / "mine", folder / "theirs"])
    assert program.technique("a.mine") is not None


@pytest.mark.parametrize(("wanted", "code", "guess"), [
    ("family.tensor.tensor_paralel", "E0221", "family.tensor.tensor_parallel"),
    ("famly.tensor.tensor_parallel", "E0221", "family.tensor.tensor_parallel"),
    ("tensor_parallel", "E0221", "family.tensor.tensor_parallel"),
    ("family.tensors.tensor_parallel", "E0221", "family.tensor.tensor_parallel"),
])
def test_a_mistyped_technique_names_the_nearest(
    folder: Path, wanted: str, code: str, guess: str
) -> None:
    write(folder, "family.tensor", "technique tensor_parallel { }\n")
    write(folder, "family.zero", "technique zero1 { }\n")
    _, found = load([wanted], [folder])
    assert [d.code for d in found] == [code]
    assert guess in found[0].help[0]


def test_a_missing_import_names_the_nearest(folder: Path) -> None:
    write(folder, "a", "import family.tensr\ntechnique t { }\n")
    write(folder, "family.tensor", "technique u { }\n")
    _, found = load(["a.t"], [folder])
    assert [d.code for d in found] == ["E0220"]
    assert found[0].labels[0].span.line == 3
    assert "family.tensor" in found[0].help[0]


def test_imports_in_a_ring_are_refused(folder: Path) -> None:
    write(folder, "a", "import b\ntechnique t { }\n")
    write(folder, "b", "import c\n")
    write(folder, "c", "import a\n")
    _, found = load(["a.t"], [folder])
    assert [d.code for d in found] == ["E0223"]
    assert "a -> b -> c -> a" in found[0].message
    assert len(found[0].labels) == 3


def test_a_module_is_called_as_its_path(folder: Path) -> None:
    write(folder, "a.b", "technique t { }\n", module="a.c")
    _, found = load(["a.b.t"], [folder])
    assert [d.code for d in found] == ["E0222"]
    assert "module a.b" in found[0].help[0]
    assert found[0].labels[0].span.line == 2


def test_names_that_leave_the_folder_are_not_followed(folder: Path) -> None:
    write(folder, "a", "technique t { }\n")
    for name in ("...a.t", "/etc.passwd", "..", "a..t", ""):
        _, found = load([name], [folder / "deep"])
        assert [d.code for d in found] == ["E0221"]


def test_a_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "a.rules").write_bytes(b"\xff\xfe\x00")
    _, found = load(["a.t"], [folder])
    assert "E0224" in [d.code for d in found]


def test_a_kept_module_is_the_module(folder: Path) -> None:
    write(folder, "a", "technique t { on weight { set numerics.bits = 4 bit } }\n")
    first, _ = load(["a.t"], [folder])
    assert list((folder / "cache").iterdir())
    again, _ = load(["a.t"], [folder])
    assert first.modules == again.modules
    technique = again.modules["a"].technique("t")
    assert technique is not None
    assert technique.span.line == 3
    assert technique.span.source.text.startswith("edition 2026")


def test_a_changed_file_is_read_again(folder: Path) -> None:
    write(folder, "a", "technique t { }\n")
    load(["a.t"], [folder])
    write(folder, "a", "technique t { }\ntechnique u { }\n")
    program, found = load(["a.u"], [folder])
    assert not found
    assert program.technique("a.u") is not None


def test_a_damaged_cache_is_no_matter(folder: Path) -> None:
    write(folder, "a", "technique t { }\n")
    load(["a.t"], [folder])
    for path in (folder / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    program, found = load(["a.t"], [folder])
    assert not found
    assert program.technique("a.t") is not None


def test_warm_loading_needs_no_parser(folder: Path) -> None:
    write(folder, "a", "technique t { }\n")
    load(["a.t"], [folder])
    script = (
        "import sys; from pathlib import Path; from llamasim.language import kept, load\n"
        f"kept.folder = lambda: Path({str(folder / 'cache')!r})\n"
        f"load(['a.t'], [Path({str(folder)!r})])\n"
        "print('lark' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                          check=True)
    assert done.stdout.split() == ["False", "False"]


def test_findings_without_a_span_can_still_be_shown(folder: Path) -> None:
    _, found = load(["nothing.there"], [folder])
    assert "there is no technique `nothing.there`" in render(found)


def test_a_file_can_be_loaded_by_its_path(folder: Path) -> None:
    write(folder, "a.b", "import c.d\ntechnique t { on wieght { } }\n")
    write(folder, "c.d", "technique u { }\n")
    module, program, found = load_file(folder / "a" / "b.rules")
    assert module is not None
    assert not found
    assert set(program.modules) == {"a.b", "c.d"}
    assert [d.code for d in check_module(module, program)] == ["E0207"]


def test_a_file_in_the_wrong_place_is_still_the_one_that_is_checked(folder: Path) -> None:
    write(folder / "library", "a.b", "technique sound { }\n")
    write(folder, "x", "technique t { on wieght { } }\n", module="a.b")
    module, program, found = load_file(folder / "x.rules", [folder / "library"])
    assert module is not None
    assert [d.code for d in found] == ["E0222"]
    assert [d.code for d in check_module(module, program)] == ["E0207"]


def test_a_file_that_imports_itself_is_refused(folder: Path) -> None:
    write(folder, "a", "import a\ntechnique t { }\n")
    _, _, found = load_file(folder / "a.rules")
    assert [d.code for d in found] == ["E0223"]


def test_a_long_chain_of_imports_is_refused(tmp_path: Path) -> None:
    """It is followed one within another, so it has an end."""
    for i in range(400):
        (tmp_path / f"m{i}.rules").write_text(f"edition 2026\nmodule m{i}\nimport m{i + 1}\n")
    _, found = load(["m0"], [tmp_path])
    assert [d.message for d in found] == ["this is the end of a chain of more than 32 imports"]
    assert found[0].labels[0].span.source.name.endswith("m32.rules")


def test_a_name_that_no_file_can_have_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "m.rules").write_text(f"edition 2026\nmodule m\nimport {'x' * 5000}\n")
    assert [d.code for d in load(["m"], [tmp_path])[1]] == ["E0220"]


def test_an_endless_file_is_read_no_further_than_the_cap() -> None:
    """The size that the system tells of it is 0."""
    _, _, found = load_file(Path("/dev/zero"))
    assert [d.message for d in found] == ["this file is larger than 1 MiB"]


def test_looking_for_names_does_not_walk_through_everything(tmp_path: Path) -> None:
    """A scenario may lie in a home folder; hidden folders, links and deep ones are left alone."""
    deep = tmp_path.joinpath(*"abcdefgh")
    for folder in (deep, tmp_path / ".hidden", tmp_path / "near"):
        folder.mkdir(parents=True)
        (folder / "x.rules").write_text("edition 2026\nmodule x\n")
    (tmp_path / "round").symlink_to(tmp_path)
    assert list(library([tmp_path])) == ["near.x"]
    for i in range(12_000):
        (tmp_path / f"{i}.txt").touch()
    assert list(library([tmp_path])) == []
