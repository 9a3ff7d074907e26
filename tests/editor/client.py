"""An editor as the language server meets it: JSON-RPC over standard input and output."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import attrs

#: Longest wait for one message, in seconds; a busy machine starts Python slowly.
PATIENCE = 60


@attrs.define
class Client:
    """Sends messages, and takes answers and notices as they come."""

    write: BinaryIO
    messages: queue.Queue[dict[str, Any]] = attrs.field(factory=queue.Queue)
    notices: list[dict[str, Any]] = attrs.field(factory=list)
    last: int = 0
    can: dict[str, Any] = attrs.field(factory=dict)

    def listen(self, read: BinaryIO) -> threading.Thread:
        """Take messages until the other side closes."""
        thread = threading.Thread(target=self._take, args=(read,), daemon=True)
        thread.start()
        return thread

    def _take(self, read: BinaryIO) -> None:
        while header := read.readline():
            size = int(header.split(b":")[1])
            while read.readline().strip():
                pass
            self.messages.put(json.loads(read.read(size)))

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.write.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.write.flush()

    def tell(self, method: str, params: Any = None) -> None:
        """Send a notice."""
        self._send({"method": method, "params": params})

    def answer(self, method: str, params: Any = None) -> dict[str, Any]:
        """Send a request and return the whole answer, error or not."""
        self.last += 1
        self._send({"id": self.last, "method": method, "params": params})
        while True:
            message = self.messages.get(timeout=PATIENCE)
            if message.get("id") == self.last and "method" not in message:
                return message
            self.notices.append(message)

    def ask(self, method: str, params: Any = None) -> Any:
        """Send a request and return its result."""
        answer = self.answer(method, params)
        assert "error" not in answer, answer
        return answer["result"]

    def wait(self, fits: Callable[[dict[str, Any]], bool]) -> Any:
        """Return the parameters of the next notice that fits."""
        while True:
            for message in self.notices:
                if fits(message):
                    self.notices.remove(message)
                    return message["params"]
            self.notices.append(self.messages.get(timeout=PATIENCE))

    def findings(self, uri: str, version: int | None = None) -> list[dict[str, Any]]:
        """Return what the server next says is wrong with a file."""
        said = self.wait(lambda m: m.get("method") == "textDocument/publishDiagnostics"
                         and m["params"]["uri"] == uri
                         and version in (None, m["params"].get("version")))
        found: list[dict[str, Any]] = said["diagnostics"]
        return found

    def open(self, path: Path, text: str, language: str = "llamasim-rules") -> str:
        """Open a file and return its address."""
        uri = path.as_uri()
        self.tell("textDocument/didOpen", {"textDocument": {
            "uri": uri, "languageId": language, "version": 1, "text": text}})
        return uri

    def change(self, uri: str, text: str, version: int) -> None:
        """Give a file another text."""
        self.tell("textDocument/didChange", {
            "textDocument": {"uri": uri, "version": version},
            "contentChanges": [{"text": text}]})

    def begin(self, folder: Path) -> dict[str, Any]:
        """Introduce the client; return what the server can."""
        result = self.ask("initialize", {
            "processId": None, "rootUri": folder.as_uri(),
            "capabilities": {"textDocument": {"rename": {"prepareSupport": True}}}})
        self.tell("initialized", {})
        self.can = result["capabilities"]
        return self.can

    def end(self) -> None:
        """Take leave."""
        self.ask("shutdown")
        self.tell("exit")


@contextmanager
def server(folder: Path, *args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `llamasim lsp` in a folder; it is gone afterwards whatever happens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llamasim", "lsp", *args], cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None and not stream.closed:
                stream.close()


@contextmanager
def talking(folder: Path, *args: str) -> Iterator[Client]:
    """Run a server and speak with it over its standard streams, from greeting to leave."""
    with server(folder, *args) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        client = Client(process.stdin)
        thread = client.listen(process.stdout)
        client.begin(folder)
        yield client
        client.end()
        assert process.wait(PATIENCE) == 0
        thread.join(PATIENCE)
