"""Names and files that commands cannot take: what is wrong, and what to type instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.command_line import call

RULES = "edition 2026\nmodule {0}\n\ntechnique t {{\n  on weight {{ set numerics.bits {1} }}\n}}\n"

#: Arguments, the code of the diagnostic, and what its help says.
MISTAKES = [
    ("explain laptop weight.bytes@layers.3.mlp.dwon", "E0713", "weight.bytes@layers.3.mlp.down"),
    ("explain laptop weight.byts@layers.3.mlp.down", "E0712", "weight.bytes"),
    ("explain laptop weight.bytes", "E0713", "weight.bytes@layers.0.mlp.up"),
    ("explain laptop layers.3.mlp.down", "E0712", "weight.bytes@layers.3.mlp.down"),
    ("explain laptop head", "E0712", "weight.bytes@head"),
    ("explain laptop numerics.bits@layers.99.attn.q", "E0713", "layers.9.attn.q"),
    ("explain laptop memory.weigths", "E0712", "memory.weights"),
    ("explain laptop op.cost.flops@layers.0.attn.q --phase backward", "E0714", "prefill, decode"),
    ("explain laptop", "E0712", "step.seconds"),
    ("explain", "E0701", "llamasim explain --help"),
    ("explain E0999", "E0715", ""),
    ("explain laptp weight.bytes@embed", "E0702", "laptop"),
    ("explain laptop --why-not tensr_parallel", "E0710", "parallelism.tensor.tensor_parallel"),
    ("explain laptop --why-not parallelism.tensor", "E0710", "parallelism.tensor.tensor_parallel"),
    ("explain laptop --why-not offload.weights", "E0710", "weights_from_host"),
    ("new technique Narrow-Cache", "E0716", "narrow_cache"),
    ("new technique 4bits", "E0716", "my_technique"),
    ("new technique on", "E0716", "on_technique"),
    ("new technique taken", "E0716", "--in"),
    ("new techniqe mine", "E0701", "llamasim new technique"),
    ("new rules mine", "E0701", "llamasim new scenario"),
    ("check nothing", "E0707", "llamasim new technique"),
    ("check bare.rules broken.rules", "E0104", "write `=`"),
    ("check moved.rules", "E0222", "elsewhere/moved.rules"),
    ("fmt nothing", "E0707", ".rules"),
    ("fmt broken.rules", "E0104", "write `=`"),
    ("fmt chat.yaml", "E0104", "write `edition 2026`"),
    ("test nothing", "E0707", ".rules"),
    ("test broken.rules", "E0104", "write `=`"),
    ("doc int4_weihgts", "E0710", "quantization.int4.int4_weights"),
    ("doc numerics.bits", "E0710", "is a cell"),
    ("run unknown", "E0702", "workstation"),
    ("run laptop laptop", "E0709", "--out"),
    ("run laptop --set use.int5_weights.group_size=64", "E0514", "int8_weights"),
    ("run laptop --set cluster.device.memory=36", "E0508", "36 GiB"),
    ("run laptop --rules nowhere", "E0711", "family.file.name"),
    ("debug graf laptop", "E0701", "did you mean `graph`?"),
    ("catalog models llama3-8", "E0601", "llama-3-8b"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with sound and broken files, in which commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "taken.rules").touch()
    (tmp_path / "chat.yaml").write_text("edition: 2026\nmodel: llama-3.1-8b\n")
    (tmp_path / "bare.rules").write_text(RULES.format("bare", "= 4 bit"))
    (tmp_path / "broken.rules").write_text(RULES.format("broken", "== 4 bit"))
    (tmp_path / "moved.rules").write_text(RULES.format("elsewhere.moved", "= 4 bit"))
    return tmp_path


def _files(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("args", "code", "help_"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_a_wrong_name_is_a_diagnostic(args: str, code: str, help_: str, folder: Path) -> None:
    before = _files(folder)
    said = call(*args.split())
    assert said.code == 2, said.out
    assert f"error[{code}]" in said.err
    assert help_ in " ".join(said.err.partition("help:")[2].split())
    assert "Traceback" not in said.err
    assert _files(folder) == before, "a command that failed changed a file"


def test_a_file_without_tests_says_so() -> None:
    """No test is no failure, and no success either: the output says what is missing."""
    said = call("test", "bare.rules")
    assert said.code == 0
    assert "0 passed, 0 failed" in said.out and "no tests" in said.out


def test_a_technique_in_use_is_compared_all_the_same() -> None:
    """`--why-not` of what is in use is no mistake: it shows what the technique changes."""
    said = call("explain", "laptop", "--why-not", "int4_weights")
    assert said.code == 0
    assert "quantization.int4.int4_weights is in use in laptop" in said.out
