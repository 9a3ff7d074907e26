"""The extension for VS Code names files that exist and words that the program has."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest
from tests.editor.files import ROOT, RULES

from llamasim.cli import COMMANDS
from llamasim.editor.server import LANGUAGE
from llamasim.language.load import SUFFIX

FOLDER = ROOT / "grammar" / "vscode"


@pytest.fixture(scope="module")
def package() -> Any:
    return json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))


def test_it_has_the_fields_that_packaging_asks_for(package: Any) -> None:
    for field in ("name", "displayName", "description", "version", "publisher", "license", "main"):
        assert isinstance(package[field], str)
        assert package[field]
    assert re.fullmatch(r"[a-z][a-z-]*", package["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert package["license"] == "Apache-2.0"
    assert re.fullmatch(r"\^\d+\.\d+\.\d+", package["engines"]["vscode"])


def test_its_files_exist(package: Any) -> None:
    made = package["contributes"]
    named = [package["main"], *(x["configuration"] for x in made["languages"]),
             *(x["path"] for x in made["grammars"]), "README.md", "LICENSE"]
    assert [n for n in named if not (FOLDER / n).is_file()] == []
    assert (FOLDER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_language_and_grammar_are_those_of_the_program(package: Any) -> None:
    (language,) = package["contributes"]["languages"]
    (grammar,) = package["contributes"]["grammars"]
    assert (language["id"], language["extensions"]) == (LANGUAGE, [SUFFIX])
    assert grammar["language"] == LANGUAGE
    colours = json.loads((FOLDER / grammar["path"]).read_text(encoding="utf-8"))
    assert colours["scopeName"] == grammar["scopeName"]
    first = re.compile(language["firstLine"])
    assert [p.name for p in RULES if not first.search(p.read_text().split("\n")[0])] == []


def test_it_starts_the_command_that_there_is(package: Any) -> None:
    default = package["contributes"]["configuration"]["properties"]["llamasim.command"]["default"]
    assert default[0] == "llamasim"
    assert default[1] in COMMANDS


def test_the_script_uses_what_the_package_declares(package: Any) -> None:
    script = (FOLDER / "extension.js").read_text(encoding="utf-8")
    properties = package["contributes"]["configuration"]["properties"]
    for name in re.findall(r'\.get\("(\w+)"\)', script):
        assert f"llamasim.{name}" in properties
    for name in re.findall(r'registerCommand\("([\w.]+)"', script):
        assert name in {c["command"] for c in package["contributes"]["commands"]}
    needed = {n.split("/")[0] for n in re.findall(r'require\("([\w/-]+)"\)', script)}
    assert needed - {"vscode", "path"} == set(package["dependencies"])


def test_brackets_remarks_and_words_are_the_languages(package: Any) -> None:
    (language,) = package["contributes"]["languages"]
    found = json.loads((FOLDER / language["configuration"]).read_text(encoding="utf-8"))
    grammar = (ROOT / "grammar" / "rules.lark").read_text(encoding="utf-8")
    assert f"COMMENT: /{found['comments']['lineComment']}" in grammar
    assert f"NAME: /{found['wordPattern']}" in grammar.replace("[a-zA-Z_]", "[A-Za-z_]").replace(
        "[a-zA-Z0-9_]", "[A-Za-z0-9_]")
    for pair in found["brackets"]:
        assert all(f'"{sign}"' in grammar for sign in pair)


def test_wheels_leave_it_out() -> None:
    """Editors take it from the checkout; a wheel would only carry it about."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    left_out = project["tool"]["hatch"]["build"]["targets"]["wheel"]["exclude"]
    assert {"grammar/textmate.py", "grammar/vscode"} <= set(left_out)
