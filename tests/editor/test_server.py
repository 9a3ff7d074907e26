"""A client that speaks the protocol with the real server gets what editors need."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.command_line import call
from tests.editor.client import PATIENCE, Client, server, talking

from llamasim.diagnostics import Source, Span
from llamasim.editor.protocol import Units

TEXT = """edition 2026
module family.mine
import parallelism.tensor
source book = "a ä😀 book" const group: Int = 64

/// Mine.
technique mine {
  /// Ways.
  param ways: Int in 1..8 = 2
  on weight of *.attn.q where ways > 1 {
    shard dim_in over tp
    add 16 bit * ways / group to numerics.bits_overhead
  }
  claim loss_delta: 0..0 from book
}
test "it" {
  given use mine(ways: 3)
  expect true
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a family of rules."""
    found = tmp_path_factory.mktemp("editor")
    (found / "family").mkdir()
    return found


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    """Return a client that has greeted a server of its own."""
    with talking(folder) as found:
        yield found


@pytest.fixture
def mine(client: Client, folder: Path) -> Iterator[str]:
    """Return an open file that is right and lies nowhere yet."""
    uri = client.open(folder / "family" / "mine.rules", TEXT)
    assert client.findings(uri) == []
    yield uri
    client.tell("textDocument/didClose", {"textDocument": {"uri": uri}})
    assert client.findings(uri) == []


def at(uri: str, words: str, nth: int = 1, inside: int = 0, **more: Any) -> dict[str, Any]:
    """Return a request about the place of some words; columns count units of UTF-16."""
    offset = -1
    for _ in range(nth):
        offset = TEXT.index(words, offset + 1)
    line = TEXT.count("\n", 0, offset)
    before = TEXT[TEXT.rfind("\n", 0, offset) + 1 : offset]
    column = len(before.encode("utf-16-le")) // 2 + inside
    return {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}, **more}


def covered(span: dict[str, Any], text: str = TEXT) -> str:
    """Return what a range of one line covers."""
    line = text.split("\n")[span["start"]["line"]].encode("utf-16-le")
    return line[2 * span["start"]["character"] : 2 * span["end"]["character"]].decode("utf-16-le")


def test_it_says_what_it_can(client: Client) -> None:
    assert {"hoverProvider", "completionProvider", "definitionProvider", "referencesProvider",
            "documentFormattingProvider", "documentSymbolProvider", "documentHighlightProvider",
            "textDocumentSync"} <= set(client.can)
    assert client.can["renameProvider"] == {"prepareProvider": True}


def test_columns_are_counted_as_agreed() -> None:
    """Behind `ä😀` are 2 characters, 3 units of UTF-16, 6 bytes of UTF-8."""
    span = Span(Source("m", "\nä😀x"), 2, 3, 2, 4)
    for encoding, start in (("utf-32", 2), ("utf-16", 3), ("utf-8", 6)):
        units = Units(encoding)
        found = units.range(span)
        assert (found.start.line, found.start.character) == (1, start)
        assert found.end.character == start + 1
        assert units.place("\nä😀x", found.start) == (2, 3)


def test_findings_follow_the_typing(client: Client, mine: str) -> None:
    """A mistake is told with its code, place, reason and way out, and is gone when it is mended."""
    wrong = TEXT.replace("numerics.bits_overhead", "numerics.bits_overhed")
    client.change(mine, wrong, 2)
    (found,) = client.findings(mine, 2)
    assert found["code"] == "E0205"
    assert found["severity"] == 1
    assert found["source"] == "llamasim"
    assert covered(found["range"], wrong) == "numerics.bits_overhed"
    assert "help: did you mean `numerics.bits_overhead`?" in found["message"]
    client.change(mine, TEXT, 3)
    assert client.findings(mine, 3) == []


def test_quick_typing_is_checked_once(client: Client, mine: str) -> None:
    """Only the last of several quick changes is checked."""
    for version in range(2, 8):
        client.change(mine, TEXT + "#" * version, version)
    assert client.findings(mine) == []
    told = [m for m in client.notices if m["method"] == "textDocument/publishDiagnostics"]
    assert told == []
    assert client.ask("textDocument/hover", at(mine, "ways: Int")) is not None


def test_unused_names_are_greyed_out(client: Client, mine: str) -> None:
    wrong = TEXT.replace("  on weight", "  param spare: Int = 1\n  on weight")
    client.change(mine, wrong, 2)
    (found,) = client.findings(mine, 2)
    assert (found["code"], found["severity"], found["tags"]) == ("W0201", 2, [1])
    assert covered(found["range"], wrong) == "spare"


def test_hover_shows_a_cell(client: Client, mine: str) -> None:
    found = client.ask("textDocument/hover", at(mine, "numerics.bits_overhead", inside=3))
    assert "Further bits an element" in found["contents"]["value"]
    assert covered(found["range"]) == "numerics.bits_overhead"


def test_columns_behind_wide_characters_count_twice(client: Client, mine: str) -> None:
    """In UTF-16 a character outside of the basic plane is two units."""
    found = client.ask("textDocument/hover", at(mine, "group: Int"))
    assert "const group: Int = 64" in found["contents"]["value"]
    assert covered(found["range"]) == "group"


def test_completion_offers_cells_for_the_word_begun(client: Client, mine: str) -> None:
    found = client.ask("textDocument/completion", at(mine, "numerics.bits_overhead", inside=9))
    items = {i["label"]: i for i in found["items"]}
    assert "numerics.bits_overhead" in items
    assert "cost.flops" not in items
    edit = items["numerics.bits_overhead"]["textEdit"]
    assert covered(edit["range"]) == "numerics."
    assert edit["newText"] == "numerics.bits_overhead"


def test_completion_works_in_an_unfinished_file(client: Client, mine: str) -> None:
    unfinished = TEXT[: TEXT.index("over tp") + len("over ")]
    client.change(mine, unfinished, 2)
    found = client.ask("textDocument/completion", at(mine, "over tp", inside=5))
    assert [i["label"] for i in found["items"]] == ["dp", "replicas", "tp"]


def test_definition_leads_into_shipped_files(client: Client, mine: str) -> None:
    own = client.ask("textDocument/definition", at(mine, "ways: 3"))
    assert own["uri"] == mine
    assert covered(own["range"]) == "ways"
    axis = client.ask("textDocument/definition", at(mine, "tp\n"))
    assert axis["uri"].endswith("/rules/parallelism/tensor.rules")


def test_references_and_highlights(client: Client, mine: str) -> None:
    asked = at(mine, "ways: Int", context={"includeDeclaration": True})
    found = client.ask("textDocument/references", asked)
    assert [covered(f["range"]) for f in found] == ["ways"] * 4
    shown = client.ask("textDocument/documentHighlight", at(mine, "group to"))
    assert [covered(f["range"]) for f in shown] == ["group"] * 2


def test_formatting_lays_out_the_file(client: Client, mine: str) -> None:
    options = {"tabSize": 2, "insertSpaces": True}
    asked = {"textDocument": {"uri": mine}, "options": options}
    (edit,) = client.ask("textDocument/formatting", asked)
    assert edit["range"]["start"] == {"line": 0, "character": 0}
    assert '"a ä😀 book"\n\nconst group' in edit["newText"]
    client.change(mine, edit["newText"], 2)
    assert client.ask("textDocument/formatting", asked) == []


def test_renaming_changes_rules_and_tests(client: Client, mine: str) -> None:
    prepared = client.ask("textDocument/prepareRename", at(mine, "ways > 1"))
    assert covered(prepared) == "ways"
    found = client.ask("textDocument/rename", at(mine, "ways > 1", newName="degree"))
    assert [(covered(e["range"]), e["newText"]) for e in found["changes"][mine]] == (
        [("ways", "degree")] * 4)


def test_a_name_that_cannot_be_changed_says_why(client: Client, mine: str) -> None:
    error = client.answer("textDocument/rename", at(mine, "ways > 1", newName="set"))["error"]
    assert "`set` is a keyword" in error["message"]
    error = client.answer("textDocument/prepareRename", at(mine, "mine {"))["error"]
    assert "scenarios" in error["message"]


def test_symbols_are_a_tree(client: Client, mine: str) -> None:
    found = client.ask("textDocument/documentSymbol", {"textDocument": {"uri": mine}})
    assert [s["name"] for s in found] == ["book", "group", "mine", "it"]
    assert [s["name"] for s in found[2]["children"]] == [
        "ways", "on weight of *.attn.q", "loss_delta"]


def test_a_change_in_another_window_counts(client: Client, folder: Path) -> None:
    """What one file imports is what another window shows, once that is saved."""
    path = folder / "family" / "other.rules"
    path.write_text("edition 2026\nmodule family.other\n")
    text = "edition 2026\nmodule family.user\nimport family.other\n" \
           "technique t { conflicts with family.other.u }\n"
    user = client.open(folder / "family" / "user.rules", text)
    assert [d["code"] for d in client.findings(user)] == ["E0221"]
    other = client.open(path, path.read_text())
    client.change(other, path.read_text() + "technique u { }\n", 2)
    client.tell("textDocument/didSave", {"textDocument": {"uri": other}})
    assert client.findings(user) == []


def test_a_file_that_was_never_saved_needs_no_path(client: Client) -> None:
    uri = "untitled:Untitled-1"
    client.tell("textDocument/didOpen", {"textDocument": {
        "uri": uri, "languageId": "llamasim-rules", "version": 1, "text": TEXT}})
    assert client.findings(uri) == []


def test_lines_may_end_as_on_windows(client: Client, folder: Path) -> None:
    uri = client.open(folder / "family" / "mine.rules", TEXT.replace("\n", "\r\n"))
    assert client.findings(uri) == []
    found = client.ask("textDocument/hover", at(uri, "ways > 1"))
    assert covered(found["range"]) == "ways"


def test_scenarios_are_checked_too(client: Client, folder: Path) -> None:
    text = ("edition: 2026\nmodel: llama-3.1-8b\ncluster: {device: h100-sxm}\nruntime: vllm\n"
            "workload: {mode: inference, promt: 512 tok}\n")
    uri = client.open(folder / "chat.yaml", text, "yaml")
    (found,) = client.findings(uri)
    assert found["code"] == "E0505"
    assert covered(found["range"], text) == "promt"
    client.change(uri, text.replace("promt", "prompt"), 2)
    assert client.findings(uri, 2) == []
    other = client.open(folder / "compose.yaml", "services: {}\n", "yaml")
    assert client.findings(other) == []
    where = {"textDocument": {"uri": other}, "position": {"line": 0, "character": 1}}
    assert client.ask("textDocument/hover", where) is None
    assert client.ask("textDocument/completion", where) is None


def test_further_folders_are_searched(folder: Path) -> None:
    more = folder / "more"
    more.mkdir()
    (more / "shared.rules").write_text("edition 2026\nmodule shared\n")
    with talking(folder, "--rules", str(more)) as client:
        uri = client.open(folder / "a.rules", "edition 2026\nmodule a\nimport shared\n")
        assert client.findings(uri) == []


def test_it_listens_on_a_port(folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with server(folder, "--tcp", str(port)) as process:
        link = _connected(port)
        with link, link.makefile("rb") as read, link.makefile("wb") as write:
            client = Client(write)
            client.listen(read)
            assert "hoverProvider" in client.begin(folder)
            said = call("lsp", "--tcp", str(port))
            assert said.code == 2
            assert f"E0718]: cannot listen on port {port}" in said.err
            client.end()
            assert process.wait(PATIENCE) == 0


def _connected(port: int) -> socket.socket:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_it_ends_with_the_editor(folder: Path) -> None:
    """An editor that is killed closes the streams, and leaves nothing behind."""
    with server(folder, "--stdio") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "llamasim.editor.server", None)
    for name in [n for n in sys.modules if n.split(".")[0] in ("pygls", "lsprotocol")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "llamasim.editor.server")
    said = call("lsp")
    assert said.code == 2
    assert 'pip install "llamasim[lsp]"' in said.err


def test_ways_to_speak_exclude_each_other() -> None:
    said = call("lsp", "--stdio", "--tcp", "4000")
    assert said.code == 2
    assert "do not go together" in said.err
