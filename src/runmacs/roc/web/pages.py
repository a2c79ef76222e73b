"""The page's own files: one HTML shell for all addresses, modules, styles.

Rules:

* A page and its JSON twin have one address: a browser gets the page, a program the JSON.
  With ``.json`` at the end a browser gets the JSON, too.
* Only what stands in the list of files is served; no path from outside reaches the disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from .requests import wants_page

__all__ = ["Files", "is_public", "or_page"]

_KINDS: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}

Answer = Callable[[Request], Awaitable[Response]]


class Files:
    """All that the page consists of, in memory."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        self._read(files("runmacs.roc.web") / "static", "")

    def _read(self, directory: Traversable, prefix: str) -> None:
        for entry in directory.iterdir():
            if entry.is_dir():
                self._read(entry, f"{prefix}{entry.name}/")
                continue
            kind = _KINDS.get(entry.name.rpartition(".")[2], "text/plain; charset=utf-8")
            text = entry.read_bytes()
            self._files[f"{prefix}{entry.name}"] = text, kind, f'"{sha256(text).hexdigest()[:16]}"'

    async def static(self, request: Request) -> Response:
        """``GET /static/<name>``."""
        return self._file(request, request.path_params["name"])

    async def shell(self, request: Request) -> Response:
        """The page."""
        return self._file(request, "index.html")

    def _file(self, request: Request, name: str) -> Response:
        found = self._files.get(name)
        if found is None:
            return Response("There is no such file.", 404, media_type="text/plain")
        text, kind, tag = found
        headers = {"etag": tag, "cache-control": "no-cache", "vary": "Accept"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(text, headers={**headers, "content-type": kind})


def or_page(shell: Answer, twin: Answer) -> Answer:
    """The page for a browser, its twin for a program."""

    async def either(request: Request) -> Response:
        return await (shell if wants_page(request) else twin)(request)

    return either


def is_public(scope: MutableMapping[str, Any]) -> bool:
    """Whether it needs no token: the page's own files, which hold nothing of the laboratory."""
    path = str(scope["path"])
    if path.startswith("/static/") or path in ("/health", "/favicon.ico"):
        return True
    if path.endswith(".json"):
        return False
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    pages = path == "/" or path.startswith(("/status", "/objects", "/logs"))
    return scope["method"] == "GET" and pages and b"text/html" in accept
