"""A language server over the functions of this room, for any editor; needs the extra `lsp`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from llamasim import __version__, editor
from llamasim.diagnostics import Diagnostic
from llamasim.editor import protocol
from llamasim.editor.protocol import Units
from llamasim.language.load import SUFFIX, shown_name

LANGUAGE = "llamasim-rules"
#: Pause in typing after which a file is checked, in seconds.
PAUSE = 0.15
#: The finding that a module's name is not its file's: a text without a file has none.
_NOT_ITS_PATH = "E0222"


class Asked(Protocol):
    """What a client asks of a place in a file."""

    text_document: types.TextDocumentIdentifier
    position: types.Position


class RulesServer(LanguageServer):
    """Keeps what was read of each open file until its text, or that of another, changes."""

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__("llamasim", __version__, types.TextDocumentSyncKind.Full)
        self.folders = tuple(folders)
        self._documents: dict[str, editor.Document] = {}
        self._waiting: dict[str, asyncio.TimerHandle] = {}

    @property
    def units(self) -> Units:
        """How the client counts columns."""
        return Units(self.workspace.position_encoding or types.PositionEncodingKind.Utf16)

    def path(self, uri: str) -> Path:
        """Return where a file lies; a text that was never saved would lie in the working folder."""
        found = to_fs_path(uri)
        return Path(found) if found else Path(f"untitled{SUFFIX}")

    def text(self, uri: str) -> str:
        """Return the text of an open file, with `\\n` at the ends of its lines."""
        return self.workspace.get_text_document(uri).source.replace("\r\n", "\n")

    def is_rules(self, uri: str) -> bool:
        """Whether an open file is a rule file."""
        document = self.workspace.get_text_document(uri)
        return document.language_id == LANGUAGE or self.path(uri).suffix == SUFFIX

    def document(self, uri: str) -> editor.Document:
        """Return an open rule file."""
        if uri not in self._documents:
            texts = {self.path(u).resolve(): self.text(u)
                     for u in self.workspace.text_documents if self.is_rules(u)}
            self._documents[uri] = editor.open_document(
                self.text(uri), self.path(uri), self.folders, texts)
        return self._documents[uri]

    def at(self, params: Asked) -> tuple[editor.Document, int, int]:
        """Return a file, and the line and column that a client means, from 1."""
        document = self.document(params.text_document.uri)
        line, column = self.units.place(document.source.text, params.position)
        return document, line, column

    def changed(self, uri: str, pause: float = 0.0) -> None:
        """Forget what was read, and check a file after a pause."""
        self._documents.clear()
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        if not pause:
            self.publish(uri)
            return
        loop = asyncio.get_running_loop()
        self._waiting[uri] = loop.call_later(pause, self.publish, uri)

    def closed(self, uri: str) -> None:
        """Forget a file and what was said of it."""
        self._documents.clear()
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        self._send(uri, None, [])

    def publish(self, uri: str) -> None:
        """Say what is wrong with an open file."""
        self._waiting.pop(uri, None)
        if uri not in self.workspace.text_documents:
            return
        name = shown_name(self.path(uri))
        found = [protocol.diagnostic(d, name, self.units) for d in self.findings(uri)]
        self._send(uri, self.workspace.get_text_document(uri).version, found)

    def findings(self, uri: str) -> list[Diagnostic]:
        """Return what is wrong with an open file: a rule file, or a scenario."""
        if not self.is_rules(uri):
            return editor.scenario_findings(self.text(uri), self.path(uri), self.folders)
        saved = to_fs_path(uri) is not None
        found = editor.findings(self.document(uri))
        return [d for d in found if saved or d.code != _NOT_ITS_PATH]

    def _send(self, uri: str, version: int | None, found: list[types.Diagnostic]) -> None:
        self.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri, found, version))


def server(folders: Sequence[Path] = ()) -> RulesServer:
    """Return a server; `folders` are further folders of rule files."""
    made = RulesServer(folders)
    _follow(made)
    _explain(made)
    _change(made)
    return made


def _follow(server: RulesServer) -> None:
    """Register what a client tells of its files."""

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(ls: RulesServer, params: types.DidOpenTextDocumentParams) -> None:
        ls.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(ls: RulesServer, params: types.DidChangeTextDocumentParams) -> None:
        ls.changed(params.text_document.uri, PAUSE)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(ls: RulesServer, params: types.DidSaveTextDocumentParams) -> None:
        for uri in list(ls.workspace.text_documents):
            ls.changed(uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: RulesServer, params: types.DidCloseTextDocumentParams) -> None:
        ls.closed(params.text_document.uri)


def _explain(server: RulesServer) -> None:
    """Register what changes nothing."""

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(ls: RulesServer, params: types.HoverParams) -> types.Hover | None:
        found = editor.hover(*ls.at(params)) if ls.is_rules(params.text_document.uri) else None
        return protocol.hover(found, ls.units) if found else None

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: RulesServer, params: types.DefinitionParams) -> types.Location | None:
        if not ls.is_rules(params.text_document.uri):
            return None
        found = editor.definition(*ls.at(params))
        return protocol.location(found, ls.units) if found else None

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(ls: RulesServer, params: types.ReferenceParams) -> list[types.Location]:
        uri = params.text_document.uri
        if not ls.is_rules(uri):
            return []
        return [types.Location(uri, ls.units.range(s)) for s in editor.references(*ls.at(params))]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlight(
        ls: RulesServer, params: types.DocumentHighlightParams
    ) -> list[types.DocumentHighlight]:
        if not ls.is_rules(params.text_document.uri):
            return []
        found = editor.references(*ls.at(params))
        return [types.DocumentHighlight(ls.units.range(s)) for s in found]

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(
        ls: RulesServer, params: types.DocumentSymbolParams
    ) -> list[types.DocumentSymbol]:
        uri = params.text_document.uri
        found = editor.outline(ls.document(uri)) if ls.is_rules(uri) else ()
        return [protocol.symbol(s, ls.units) for s in found]


def _change(server: RulesServer) -> None:
    """Register what writes: completion, formatting and renaming."""

    @server.feature(types.TEXT_DOCUMENT_COMPLETION,
                    types.CompletionOptions(trigger_characters=[".", "*"]))
    def complete(ls: RulesServer, params: types.CompletionParams) -> types.CompletionList | None:
        if not ls.is_rules(params.text_document.uri):
            return None
        return protocol.completions(editor.complete(*ls.at(params)), ls.units)

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatting(
        ls: RulesServer, params: types.DocumentFormattingParams
    ) -> list[types.TextEdit]:
        uri = params.text_document.uri
        found = editor.formatted(ls.document(uri)) if ls.is_rules(uri) else ()
        return protocol.edits(found, ls.units)

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare(ls: RulesServer, params: types.PrepareRenameParams) -> types.Range | None:
        if not ls.is_rules(params.text_document.uri):
            return None
        found = editor.renamed_span(*ls.at(params))
        if isinstance(found, editor.CannotRename):
            raise JsonRpcInvalidParams(found.why)
        return ls.units.range(found)

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(ls: RulesServer, params: types.RenameParams) -> types.WorkspaceEdit | None:
        uri = params.text_document.uri
        if not ls.is_rules(uri):
            return None
        found = editor.rename(*ls.at(params), params.new_name)
        if isinstance(found, editor.CannotRename):
            raise JsonRpcInvalidParams(found.why)
        return types.WorkspaceEdit(changes={uri: protocol.edits(found, ls.units)})
