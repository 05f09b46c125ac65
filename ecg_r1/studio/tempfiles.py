"""Files on their way through the server: each is removed with the request that used it last.

Gradio writes an upload to disk before any handler runs, under a name made of its content, so
that two visitors who send the same file share one copy: removing it needs to be counted. What
nobody ever used is swept by Gradio's `delete_cache`, the second net.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


class Passing:
    """Files that somebody still needs, each counted as often as it is needed.

    Example:
        >>> from tempfile import NamedTemporaryFile
        >>> with NamedTemporaryFile(delete=False) as made:
        ...     files = Passing(keep_s=60)
        >>> files.expect([made.name, made.name])  # two visitors sent the same
        >>> files.release([made.name])
        >>> Path(made.name).exists()
        True
        >>> files.release([made.name])
        >>> Path(made.name).exists()
        False
    """

    def __init__(self, keep_s: float) -> None:
        """`keep_s`: after this many seconds the sweep has taken the file, and nobody waits."""
        self.keep_s = keep_s
        self._needed: dict[str, list[float]] = {}  # path -> when each need of it began
        self._arriving = 0
        self._lock = Lock()

    def expect(self, paths: Iterable[str]) -> None:
        """One more request will use each of these."""
        now = time.monotonic()
        with self._lock:
            for path, begun in self._needed.items():
                self._needed[path] = [t for t in begun if now - t < self.keep_s]
            for path in paths:
                self._needed.setdefault(path, []).append(now)
            self._remove()

    def release(self, paths: Iterable[str]) -> None:
        """A request is done with these; what nobody else needs is removed.

        What was never expected here is left alone.
        """
        with self._lock:
            for path in paths:
                if self._needed.get(path):
                    self._needed[path].pop(0)
            self._remove()

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """While something arrives nothing is removed: it may be the same file once more."""
        with self._lock:
            self._arriving += 1
        try:
            yield
        finally:
            with self._lock:
                self._arriving -= 1
                self._remove()

    def _remove(self) -> None:
        if self._arriving:
            return
        for path in [path for path, needs in self._needed.items() if not needs]:
            del self._needed[path]
            Path(path).unlink(missing_ok=True)
            with suppress(OSError):  # not empty: another upload lies beside it
                Path(path).parent.rmdir()


class Watch:
    """ASGI middleware that sees uploads come and made files go.

    Attributes:
        app: What it stands before.
        uploads: Told of every file that arrives.
        made: Told of every file that has been fetched whole.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]], *, uploads: Passing, made: Passing
    ) -> None:
        self.app, self.uploads, self.made = app, uploads, made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note what it brings or takes."""
        path, method = scope.get("path", ""), scope.get("method")
        if method == "POST" and path.endswith("/upload"):
            with self.uploads.arriving():
                await self._upload(scope, receive, send)
        elif method == "GET" and "/file=" in path:
            await self.app(scope, receive, send)
            self.made.release([path.partition("/file=")[2]])
        else:
            await self.app(scope, receive, send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, status = bytearray(), 0

        async def pass_on(message: Scope) -> None:
            nonlocal status
            status = message.get("status", status)
            body.extend(message.get("body", b""))
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and status == HTTPStatus.OK:
                self.uploads.expect(json.loads(body))  # before the visitor can use a name
            await send(message)

        await self.app(scope, receive, pass_on)


@contextmanager
def private_folder() -> Iterator[None]:
    """A folder for Gradio's files that no other user can look into, gone at the end.

    Whoever has set GRADIO_TEMP_DIR keeps that.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        yield
        return
    with TemporaryDirectory(prefix="ecg-r1-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["GRADIO_TEMP_DIR"]
