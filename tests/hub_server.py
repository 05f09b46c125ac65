"""A hub on this machine, and a client that is told to ask it."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import close_session, constants

REPO = "PKUDigitalHealth/ECG-R1-8B-RL"


@contextmanager
def serving(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["Hub"]:
    """A hub that holds `folder` as `REPO`, and a client that knows no other."""
    hub = Hub(folder)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    close_session()
    yield hub
    hub.stop()
    close_session()


class Hub:
    """The few answers of the hub that a download needs, over HTTP, from a folder.

    Attributes:
        asked: "METHOD path" of each request, and the Range of those that had one.
        cut: File name to the byte after which its connection breaks, once.
        closed: While true, every connection breaks at once.
    """

    commit = "f9257759e2e3d6b1864c2e1af4dfaa8e96eb84ea"

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked, self.cut = folder, [], {}
        self.closed = False
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self)

            def do_HEAD(self) -> None:
                hub.answer(self)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def files(self) -> list[dict[str, Any]]:
        """Path, size and hashes of each file, weights as Git LFS holds them."""
        found = []
        for file in sorted(self.folder.iterdir()):
            content = file.read_bytes()
            oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            one = {"path": file.name, "size": len(content), "oid": oid, "type": "file"}
            if file.suffix == ".safetensors":
                sha256 = hashlib.sha256(content).hexdigest()
                one["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
            found.append(one)
        return found

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request, or break its connection."""
        path = unquote(urlsplit(request.path).path)
        span = request.headers.get("Range", "")
        if REPO in path:  # the client asks for other things, too
            self.asked.append(f"{request.command} {path} {span}".strip())
        if self.closed:
            request.close_connection = True
            return
        api, resolve = f"/api/models/{REPO}", f"/{REPO}/resolve/"
        if path.startswith(resolve):
            self._send_file(request, *path.removeprefix(resolve).split("/", 1), span)
        elif path.startswith(f"{api}/tree/"):
            self._send_json(request, self.files())
        elif path in (api, f"{api}/revision/main", f"{api}/revision/{self.commit}"):
            self._send_json(request, self._info())
        else:
            code = "RevisionNotFound" if path.startswith(api) else "RepoNotFound"
            self._send(request, 404, b"{}", {"X-Error-Code": code})

    def _info(self) -> dict[str, Any]:
        siblings = []
        for file in self.files():
            one = {"rfilename": file["path"], "size": file["size"], "blobId": file["oid"]}
            if "lfs" in file:
                lfs = file["lfs"]
                one["lfs"] = {"sha256": lfs["oid"], "size": lfs["size"], "pointerSize": 134}
            siblings.append(one)
        card = {"license": "apache-2.0"}
        return {"id": REPO, "sha": self.commit, "siblings": siblings, "cardData": card}

    def _send_json(self, request: BaseHTTPRequestHandler, content: Any) -> None:
        self._send(request, 200, json.dumps(content).encode(), {})

    def _send_file(
        self, request: BaseHTTPRequestHandler, revision: str, name: str, span: str
    ) -> None:
        known = {file["path"]: file for file in self.files()}
        headers = {"X-Repo-Commit": self.commit}
        if revision not in ("main", self.commit) or name not in known:
            self._send(request, 404, b"", headers | {"X-Error-Code": "EntryNotFound"})
            return
        content, file = (self.folder / name).read_bytes(), known[name]
        headers["ETag"] = f'"{file.get("lfs", file)["oid"]}"'
        headers["X-Linked-Size"] = str(len(content))
        start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(request, 206 if start else 200, content[start:], headers, name)

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        content: bytes,
        headers: dict[str, str],
        name: str = "",
    ) -> None:
        request.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            request.send_header(key, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        stop = self.cut.pop(name, None)
        request.wfile.write(content[:stop])
        if stop is not None:
            request.wfile.flush()
            request.close_connection = True

    def stop(self) -> None:
        """No longer be there at all."""
        self.server.shutdown()
        self.server.server_close()
