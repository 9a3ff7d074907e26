"""What the documentation says can be done can be done, and comes out as it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from tests.cli.command_line import call
from tests.docs.pages import PAGES, ROOT, commands, fences, inline_commands, missing, module_of
from tests.docs.reference import PAGE, generated, words

#: Figures move when a fit improves; pages are written anew when they move by more than this.
TOLERANCE = 0.05
#: Commands that take longer than everything else together, or serve until they are ended; the guide
#: and the editor have tests of their own.
LONG = {("optimize", "guide"), ("lsp",)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, in which a reader follows a page."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_a_page_can_be_followed(page: str, folder: Path) -> None:
    """Files are written, commands run in order, and output is as shown."""
    printed = ""
    for fence in fences(page):
        kind, *info = fence.info.split() or [""]
        if kind == "yaml" or (kind == "text" and info):
            (folder / info[0]).write_text(fence.text)
        elif kind == "rules":
            written = folder / f"{module_of(fence)}.rules"
            written.write_text(fence.text)
            said = [call(c, written.name) for c in ("check", "test")]
            assert [s.code for s in said] == [0, 0], "".join(s.out + s.err for s in said)
        elif kind == "sh":
            wanted = 2 if "fails" in info else 0
            said = [(args, call(*args)) for args in commands(fence)]
            wrong = [(args, s.code, s.err) for args, s in said if s.code != wanted]
            assert not wrong, f"{page}:{fence.line}"
            printed = "\n".join(s.out + s.err for _, s in said) or printed
            if ".venv/bin/llamasim run scenarios/cluster.yaml" in fence.text:
                printed = call("run", "cluster").out
        elif kind == "":
            assert missing(fence.text, printed, TOLERANCE) == [], f"{page}:{fence.line}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_running_text_work(page: str, folder: Path) -> None:
    """Commands between backticks too, where they name no placeholder."""
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    (folder / "mine.yaml").write_text((ROOT / "scenarios" / "laptop.yaml").read_text())
    call("run", "cluster", "laptop", "workstation")
    for args in inline_commands(page):
        if any(re.fullmatch(r"[A-Z_]+|\.\.\.", a) for a in args) or tuple(args) in LONG:
            continue
        said = call(*args)
        assert said.code == 0, f"{page}: llamasim {' '.join(args)}\n{said.err}"


def test_the_table_of_cells_is_the_programs_own() -> None:
    """`python -m tests.docs.reference` writes it anew."""
    page = PAGE.read_text(encoding="utf-8")
    assert generated(page) == page


def test_the_library_page_is_what_the_rule_files_say() -> None:
    """`llamasim doc --markdown > docs/library.md` writes it anew."""
    assert call("doc", "--markdown").out == (ROOT / "docs" / "library.md").read_text("utf-8")


def test_the_lists_of_words_are_the_programs_own() -> None:
    page = PAGE.read_text(encoding="utf-8").replace("\n", " ")
    for name, text in words().items():
        assert text in page, name


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*PAGES, "docs/guide.md", "CHANGELOG.md"):
        path = ROOT / page
        for target in re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (path.parent / target).is_file(), f"{page}: {target}"


def test_a_missing_line_of_output_would_be_seen() -> None:
    """Words and order count; numbers only roughly."""
    printed = "step time  6.59 s\nmemory  75 GiB: fits\n"
    assert missing("step time  6.5 s\n...\nmemory 75.4 GiB: fits", printed, 0.05) == []
    assert missing("step time  5.5 s", printed, 0.05) == ["step time  5.5 s"]
    assert missing("memory 75 GiB: fits\nstep time 6.59 s", printed, 0.05) == ["step time 6.59 s"]
