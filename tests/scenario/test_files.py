"""Files that cannot be read at all, and bounds on those that can."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.scenario.scenario_texts import INFERENCE, codes

from llamasim.scenario import read


def test_a_missing_file_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("laptop.yaml").write_text(INFERENCE)
    scenario, (finding,) = read(Path("lapto.yaml"))
    assert scenario is None
    assert finding.code == "E0501"
    assert finding.message == "there is no scenario `lapto.yaml`"
    assert finding.help == ("did you mean `laptop.yaml`?",)


def test_a_folder_is_not_a_scenario(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(INFERENCE)
    _, (finding,) = read(tmp_path)
    assert "folder" in finding.message
    assert finding.help == ("name a file in it: one.yaml",)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    assert codes(tmp_path, INFERENCE + "#" * (1 << 20)) == ["E0501"]


def test_an_odd_path_is_a_finding() -> None:
    for path in (Path("a\0b"), Path("x" * 5000), Path("/dev/null/x.yaml")):
        scenario, found = read(path)
        assert scenario is None
        assert [d.code for d in found] == ["E0501"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "a: [{b: "])
def test_depth_is_bounded(tmp_path: Path, opening: str) -> None:
    assert codes(tmp_path, INFERENCE + "use: " + opening * 20_000)[:1] in (["E0502"], ["E0503"])


def test_aliases_cannot_multiply(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{" + ", ".join(f"k{j}: *a{i - 1}" for j in range(9)) + "}"
              for i in range(1, 25)]
    assert codes(tmp_path, "\n".join(lines)) == ["E0503"]


def test_aliases_cannot_deepen_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 {x: 1}"] + [f"a{i}: &a{i} {{x: *a{i - 1}}}" for i in range(1, 200)]
    assert codes(tmp_path, "\n".join(lines)) == ["E0503"]
