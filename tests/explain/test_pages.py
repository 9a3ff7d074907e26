"""Every code has a page, and every page's example gives its code until it is mended."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from tests.cli.command_line import call
from tests.docs.errors import PAGE, generated
from tests.policy.source_tree import ENGINE, RULES

from llamasim.diagnostics.pages import FAMILIES, Example, Page, pages

_QUOTED = re.compile(r"""["'](?:error\[)?([EW]0\d{3})\b""")
#: A bug of the program has no example that a user could write, and an installation none.
WITHOUT_EXAMPLE = {"E0717", "E0718", "E0799"}
#: Mended by what no change of a file says.
WITHOUT_DIFF = {"E0224", "E0501", "E0521", "E0603", "E0705", "E0707", "E0708", "E0709", "E0710",
                "E0711", "E0717", "E0718", "E0720", "E0721", "E0799"}


def emitted() -> set[str]:
    """Return every code that stands as a text in the engine."""
    return {
        code for path in ENGINE.rglob("*.py")
        for code in _QUOTED.findall(path.read_text(encoding="utf-8"))
    }


def write(page: Page, folder: Path) -> None:
    """Write the files of a page's example."""
    for example in page.examples:
        kind, _, name = example.info.partition(" ")
        if kind in ("rules", "yaml", "text"):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(example.text, encoding="utf-8")


def commands(page: Page) -> list[str]:
    """Return the commands of a page; without any, the check of its files."""
    found = [line for e in page.examples if e.info == "sh" for line in e.text.splitlines()]
    names = [e.info.split()[1] for e in page.examples if e.info.split()[0] in ("rules", "yaml")]
    scenarios = [n for n in names if n.endswith(".yaml")]
    return found or [f"llamasim check {' '.join(scenarios or names)}"]


def said(lines: list[str]) -> str:
    """Return all that some commands print."""
    results = [call(*shlex.split(line)[1:]) for line in lines]
    return "\n".join(r.out + r.err for r in results)


def mended(page: Page, diff: Example, folder: Path) -> list[str]:
    """Change the example as its page says; return the commands, which may be what is changed."""
    lines = commands(page)
    removed: list[str] = []
    for old, new in changes(diff):
        files = [p for p in folder.rglob("*") if p.is_file() and _has(p, old)]
        if files:
            for path in files[:1]:
                text = path.read_text(encoding="utf-8")
                path.write_text(text.replace(old + "\n", "".join(f"{n}\n" for n in new), 1))
        else:
            assert old in lines, f"{page.code}: nothing says `{old}`"
            at = lines.index(old)
            lines[at : at + 1] = new
        removed.append(old)
    assert removed
    return lines


def changes(diff: Example) -> list[tuple[str, list[str]]]:
    """Return each removed line with the lines that take its place."""
    found: list[tuple[str, list[str]]] = []
    for line in diff.text.splitlines():
        if line.startswith("-"):
            found.append((line[1:], []))
        elif line.startswith("+"):
            found[-1][1].append(line[1:])
    return found


def _has(path: Path, line: str) -> bool:
    try:
        return line in path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        return False


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    """A new code needs a page, in the file of its family."""
    assert set(pages()) == emitted()
    for path in (ENGINE / "diagnostics" / "pages").glob("*.md"):
        family = next(k for k, (name, _) in FAMILIES.items() if name == path.stem)
        codes = re.findall(r"^## (\S+):", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert codes == sorted(codes)
        assert all(c.startswith(family) for c in codes), path.name


@pytest.mark.parametrize("code", sorted(set(pages()) - WITHOUT_EXAMPLE))
def test_the_example_of_a_page_gives_its_code(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a page shows is what happens, and what it says mends it does."""
    monkeypatch.chdir(tmp_path)
    if code == "E0603":
        monkeypatch.setitem(sys.modules, "gguf", None)
    page = pages()[code]
    write(page, tmp_path)
    printed = said(commands(page))
    assert f"[{code}]" in printed, printed
    diffs = [e for e in page.examples if e.info == "diff"]
    assert bool(diffs) == (code not in WITHOUT_DIFF)
    for diff in diffs:
        after = said(mended(page, diff, tmp_path))
        assert "error[" not in after, after
        assert f"[{code}]" not in after, after


@pytest.mark.parametrize("code", sorted(pages()))
def test_a_page_says_what_and_why(code: str) -> None:
    """A title, an explanation and a way out, in lines that a terminal shows whole."""
    page = pages()[code]
    assert page.title[0].islower() or page.title.startswith("`"), page.title
    assert not page.title.endswith(".")
    assert max(len(line) for line in page.text.splitlines()) <= 104
    assert page.text.startswith(f"{code}: {page.title}\n")


def test_pages_name_no_shipped_technique() -> None:
    """Examples bring rules of their own, so that pages hold whatever the library becomes."""
    names = {
        n for f in RULES.rglob("*.rules")
        for n in re.findall(r"^technique\s+(\w+)", f.read_text(encoding="utf-8"), re.MULTILINE)
    }
    text = "\n".join(p.markdown for p in pages().values())
    assert set(re.findall(r"\w+", text)) & names == set()


def test_the_index_of_errors_is_generated() -> None:
    """`python -m tests.docs.errors` writes it anew."""
    assert PAGE.read_text(encoding="utf-8") == generated()


def test_explain_prints_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("explain", "e0201").out.startswith("E0201: the wrong dimension\n")
    plain = call("explain", "E0201", "--json").json
    assert plain["code"] == "E0201"
    assert "group_size" in plain["text"]
