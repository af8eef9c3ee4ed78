"""A server of this machine that speaks as much of the Hugging Face hub's protocol as its clients need to download."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


@contextmanager
def hub_server(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[str]:
    """Serves repositories for as long as the context lasts; yields the address for ``HF_ENDPOINT``.

    Args:
        repositories: Files by path, by ``datasets/OWNER/NAME`` or ``models/OWNER/NAME``.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers about the repositories."""

        def do_GET(self) -> None:
            """A file, or what is known of a repository."""
            self._answer(body=True)

        def do_HEAD(self) -> None:
            """The same without the content."""
            self._answer(body=False)

        def do_POST(self) -> None:
            """What is known of some paths."""
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length).decode()
            try:
                wanted = json.loads(text)["paths"]
            except ValueError:
                wanted = [unquote(part.partition("=")[2]) for part in text.split("&") if part.startswith("paths=")]
            found = re.fullmatch(r"/api/((?:datasets|models)/[^/]+/[^/]+)/paths-info/[^/]+", self._path())
            if found is None or found[1] not in repositories:
                self._missing("RepoNotFound")
                return
            files = repositories[found[1]]
            self._json([_entry(path, files[path]) for path in wanted if path in files])

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def _path(self) -> str:
            return unquote(urlsplit(self.path).path)

        def _answer(self, *, body: bool) -> None:
            path = self._path()
            if found := re.fullmatch(r"/api/((?:datasets|models)/[^/]+/[^/]+)(?:/revision/[^/]+)?", path):
                return self._about(found[1])
            if found := re.fullmatch(r"/api/((?:datasets|models)/[^/]+/[^/]+)/tree/[^/]+/?(.*)", path):
                return self._tree(found[1], found[2])
            found = re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
            return self._file(f"{found[1] or 'models'}/{found[2]}", found[3], body) if found else self._missing("Entry")

        def _about(self, name: str) -> None:
            if name not in repositories:
                return self._missing("RepoNotFound")
            files = [{"rfilename": path} for path in repositories[name]]
            own = name.partition("/")[2]
            facts = {"id": own, "modelId": own, "sha": COMMIT, "siblings": files, "private": False, "tags": []}
            return self._json({**facts, "downloads": 0, "likes": 0, "disabled": False, "gated": False})

        def _tree(self, name: str, folder: str) -> None:
            files = repositories.get(name, {})
            inside = {path: data for path, data in files.items() if path.startswith(f"{folder}/" if folder else "")}
            if not inside:
                return self._missing("EntryNotFound")
            return self._json([_entry(path, data) for path, data in inside.items()])

        def _file(self, name: str, path: str, body: bool) -> None:
            data = repositories.get(name, {}).get(path)
            if data is None:
                return self._missing("EntryNotFound" if name in repositories else "RepoNotFound")
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)
            return None

        def _json(self, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _missing(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _entry(path: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha1(data).hexdigest()
    return {"type": "file", "path": path, "size": len(data), "oid": digest}
