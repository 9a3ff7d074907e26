"""What a message tells a user to write works: with the pasted text the finding is gone.

Most ways out stand at the place that is underlined and are pasted there by the test itself; for
those that belong elsewhere, the edit that a reader makes is written down.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.errors.ways_out import mended

from llamasim.diagnostics import Diagnostic, Source
from llamasim.language import Program, check, parse
from llamasim.plan import compile_plan
from llamasim.scenario import read

HERE = Path(__file__).parent
RULES = sorted((HERE / "rules").glob("*.rules"))
SCENARIOS = [p for p in sorted((HERE / "scenarios").glob("*.yaml")) if p.stem != "not_utf8"]


def _of_rules(name: str, text: str) -> list[Diagnostic]:
    module, found = parse(Source(name, text))
    if module is None or found:
        return found
    return check(Program({module.name: module}))


def _line(finding: Diagnostic) -> int:
    return next((label.span.line for label in finding.labels if label.primary), 0)


def _remains(finding: Diagnostic, after: list[Diagnostic], syntax: str) -> bool:
    """Whether a finding is still there, or its line can no longer be read at all."""
    return any(
        _line(a) == _line(finding)
        and ((a.code, a.message) == (finding.code, finding.message)
             or (a.code.startswith(syntax) and not finding.code.startswith(syntax)))
        for a in after
    )


def _pasted(path: Path, found: list[Diagnostic]) -> list[tuple[Diagnostic, str]]:
    text = path.read_text(encoding="utf-8")
    every = ((f, mended(text, f)) for f in found)
    return [(f, new) for f, new in every if new is not None and new != text]


@pytest.mark.parametrize("path", RULES, ids=lambda p: p.stem)
def test_what_is_pasted_into_a_rule_file_mends_it(path: Path) -> None:
    for finding, new in _pasted(path, _of_rules(path.name, path.read_text(encoding="utf-8"))):
        after = _of_rules(path.name, new)
        assert not _remains(finding, after, "E01"), (finding.message, finding.help, new)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda p: p.stem)
def test_what_is_pasted_into_a_scenario_mends_it(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    pasted = _pasted(path, read(Path(path.name))[1])
    monkeypatch.chdir(tmp_path)
    for finding, new in pasted:
        Path(path.name).write_text(new, encoding="utf-8")
        after = read(Path(path.name))[1]
        assert not _remains(finding, after, "E0502"), (finding.message, finding.help, new)


def test_most_messages_give_text_to_paste(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two tests above would pass of themselves if no message gave any text."""
    rules = sum(len(_pasted(p, _of_rules(p.name, p.read_text(encoding="utf-8")))) for p in RULES)
    monkeypatch.chdir(HERE / "scenarios")
    scenarios = sum(len(_pasted(p, read(Path(p.name))[1])) for p in SCENARIOS)
    assert rules >= 110
    assert scenarios >= 55


#: A file in `plans`, the code of its finding, what its help says, and the edit that follows it.
EDITS = [
    ("no_draft.yaml", "E0233", "add `draft: llama_3_2_1b`",
     ("draft_model: {}", "draft_model: {draft: llama_3_2_1b}")),
    ("unknown_draft.yaml", "E0234", "did you mean `llama-3.2-1b`?", ("1.5b", "1b")),
    ("technique_misspelt.yaml", "E0221", "did you mean `quantization.int4.int4_weights`?",
     ("quantisation.int4", "quantization.int4")),
    ("module_without_technique.yaml", "E0221", "write `attention.flash.flash_attention`",
     ("attention.flash:", "attention.flash.flash_attention:")),
    ("mesh_order_as_text.yaml", "E0414", "write `order: [dp, tp]`",
     ("order: dp tp", "order: [dp, tp]")),
    ("batch_does_not_divide.yaml", "E0413",
     "set workload.global_batch to a multiple of 8, for example 16",
     ("global_batch: 12", "global_batch: 16")),
    ("devices_do_not_divide.yaml", "E0404",
     "use a multiple of 12 devices, or lower a degree", ("stages: 3", "stages: 2")),
    ("scope_of_nothing.yaml", "E0418", 'did you mean `scope: "*.attn.*"`?',
     ("*.attention.*", "*.attn.*")),
    ("parameter_units.yaml", "E0231", "such as `recent: 256 tok`",
     ("recent: 256", "recent: 256 tok")),
    ("parameter_misspelt.yaml", "E0230", "did you mean `group_size`?",
     ("groupsize", "group_size")),
    ("outside_the_domain.yaml", "E0232", "such as `group_size: 128`",
     ("group_size: 100", "group_size: 128")),
    ("yes_for_a_flag.yaml", "E0231", "write for example `head: true`", ("yes", "true")),
    ("two_set_one_cell.yaml", "E0301", 'prefer: {"weight.numerics.bits":',
     ("use:", 'prefer: {"weight.numerics.bits": quantization.int4.int4_weights}\nuse:')),
    ("conflict.yaml", "E0403", "or `offload.weights.weights_from_disk` from `use`",
     ("  offload.weights.weights_from_disk: {}", "")),
    ("partial_sum.rules", "E0410", "add `on activation of *.mlp.down { reduce over tp }`",
     ("over tp }", "over tp }\n  on activation of *.mlp.down { reduce over tp }")),
    ("import_of_nothing.rules", "E0220", "did you mean `quantization.int8`?", ("int5", "int8")),
    ("wrong_module.rules", "E0222", "write `module wrong_module`",
     ("module cache.mine", "module wrong_module")),
    ("broken.rules", "E0105", "add `}`", ("4 bits }", "4 bits }\n}")),
    ("empty_tokens.yaml", "E0406", "", ("empty_tokens.window: {}",
                                        "empty_tokens.window: {last: 128 tok}")),
]


def _planned(scenario_name: str) -> list[Diagnostic]:
    scenario, found = read(Path(scenario_name))
    return found if scenario is None else [*found, *compile_plan(scenario)[1]]


def _messages(found: list[Diagnostic], code: str) -> set[str]:
    return {d.message for d in found if d.code == code}


@pytest.mark.parametrize(("name", "code", "help_", "edit"), EDITS, ids=[e[0] for e in EDITS])
def test_what_the_help_says_mends_a_plan(
    name: str, code: str, help_: str, edit: tuple[str, str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path in (HERE / "plans").glob(f"{Path(name).stem}.*"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    scenario = f"{Path(name).stem}.yaml"
    before = _planned(scenario)
    told = next(d for d in before if d.code == code and any(help_ in h for h in d.help))
    text = Path(name).read_text(encoding="utf-8")
    assert edit[0] in text
    Path(name).write_text(text.replace(edit[0], edit[1], 1), encoding="utf-8")
    assert told.message not in _messages(_planned(scenario), code)
