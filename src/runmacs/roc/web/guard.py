"""Who may ask at all: what stands in front of every request and WebSocket.

Rules:

* A name in ``Host`` must be ours: a foreign page can let its own name lead to this computer,
  and would then be of the same origin. An address cannot be bent like that.
* An ``Origin`` that is not this very server is refused, on HTTP and WebSocket alike.
* Beyond loopback everything but the page's own files needs the token.
* What runs code on an instrument by GET needs the token, or a header that no foreign page can
  send without asking first: on loopback as well.
* Every answer carries the policy that keeps foreign code out of the page.
"""

from __future__ import annotations

import hmac
import json
import socket
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from .settings import Settings

__all__ = ["PAGE_HEADER", "Guard", "authorized", "may_run"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PAGE_HEADER: Final = b"roc-page"

_ADDRESSES: Final = 10_000
_HEADERS: Final = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        b" connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none';"
        b" frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class _Bucket:
    """So many a second, and a burst of more."""

    __slots__ = ("at", "left")

    def __init__(self, burst: float, now: float) -> None:
        self.left = burst
        self.at = now

    def take(self, rate: float, burst: float, now: float, cost: float = 1.0) -> bool:
        self.left = min(burst, self.left + (now - self.at) * rate)
        self.at = now
        if self.left < cost:
            return False
        self.left -= cost
        return True


class Guard:
    """Refuses what may not be asked, and passes on the rest.

    Args:
        app: who answers.
        settings: what it was told.
        public: whether a path can be had without the token: the page's files.
    """

    def __init__(self, app: App, settings: Settings, public: Callable[[Scope], bool]) -> None:
        self._app = app
        self._settings = settings
        self._public = public
        self._names = {name.lower() for name in settings.hosts} | {"localhost"}
        if not settings.loopback:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
            self._names.add(settings.host.lower())
        self._asked: OrderedDict[str, _Bucket] = OrderedDict()
        self._failed: OrderedDict[str, _Bucket] = OrderedDict()
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            self.refused += 1
            await _refuse(scope, send, *refusal)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._settings.limits.body)
        try:
            await self._app(scope, body, _with_headers(scope, send))
        except _TooLarge:
            self.refused += 1
            await _refuse(scope, send, 413, _too_large(self._settings))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Status and reason, or None for what may be asked."""
        headers = _headers(scope)
        limits = self._settings.limits
        who, now = _address(scope), time.monotonic()
        if not _bucket(self._asked, who, limits.burst, now).take(
            limits.requests, limits.burst, now
        ):
            return 429, f"more than {limits.requests:g} requests a second from {who}; wait a second"
        host = headers.get(b"host", [])
        if len(host) != 1 or not self._is_ours(host[0]):
            return 421, "this server has another name; add it with --allow-host"
        if not _same_origin(headers.get(b"origin", []), host[0]):
            return 403, "another page may not ask this server"
        if not _is_direct(headers):
            return 403, "another site may not ask this server"
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length) > limits.body:
            return 413, _too_large(self._settings)
        return self._token_refusal(scope, headers, who, now)

    def _token_refusal(
        self, scope: Scope, headers: dict[bytes, list[bytes]], who: str, now: float
    ) -> tuple[int, str] | None:
        given = _bearer(headers)
        if given is not None:
            limits = self._settings.limits
            failed = _bucket(self._failed, who, limits.failures, now)
            rate = limits.failures / 60
            if not failed.take(rate, limits.failures, now, 0.0) or failed.left < 1:
                return 429, "too many wrong tokens; wait a minute"
            if not _is(given, self._settings.token):
                failed.take(rate, limits.failures, now)
                return 401, "this is not the token; `roc web` printed it when it began"
            scope["roc.token"] = True
        elif not self._settings.loopback and scope["type"] == "http" and not self._public(scope):
            return 401, "the token is needed: Authorization: Bearer TOKEN"
        return None

    def _is_ours(self, host: bytes) -> bool:
        try:
            name = urlsplit(f"//{host.decode('ascii')}").hostname or ""
        except ValueError:
            return False
        if name.lower().rstrip(".") in self._names:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._settings.loopback


def authorized(scope: Scope) -> bool:
    """Whether the request brought the token."""
    return bool(scope.get("roc.token"))


def may_run(scope: Scope) -> bool:
    """Whether a GET may run code on an instrument: with the token, or from the page itself."""
    return authorized(scope) or PAGE_HEADER in _headers(scope)


# ---- reading


def _headers(scope: Scope) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.lower(), []).append(value)
    return found


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "nowhere"


def _bucket(known: OrderedDict[str, _Bucket], who: str, burst: float, now: float) -> _Bucket:
    bucket = known.get(who)
    if bucket is None:
        bucket = known[who] = _Bucket(burst, now)
        if len(known) > _ADDRESSES:
            known.popitem(last=False)
    return bucket


def _same_origin(origin: list[bytes], host: bytes) -> bool:
    """Whether a browser's page is this very server's. Programs send no Origin."""
    if not origin:
        return True
    scheme, _, rest = origin[0].partition(b"://")
    return len(origin) == 1 and scheme in (b"http", b"https") and rest.lower() == host.lower()


def _is_direct(headers: dict[bytes, list[bytes]]) -> bool:
    """Whether no other site is behind it; following a link to the page is allowed."""
    site = headers.get(b"sec-fetch-site", [b"none"])[0]
    mode = headers.get(b"sec-fetch-mode", [b""])[0]
    return site in (b"none", b"same-origin") or mode == b"navigate"


def _bearer(headers: dict[bytes, list[bytes]]) -> bytes | None:
    given = headers.get(b"authorization", [])
    scheme, _, token = (given[0] if given else b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def _is(given: bytes, token: str) -> bool:
    return bool(token) and hmac.compare_digest(given, token.encode())


# ---- answering


def _too_large(settings: Settings) -> str:
    return f"a request has at most {settings.limits.body} bytes; send it in parts"


class _TooLarge(Exception):
    """More came than was announced, or allowed."""


class _Body:
    """A request's body, up to the limit."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _TooLarge
        return message


def _with_headers(scope: Scope, send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message.get("headers", [])}
            added = [*_HEADERS]
            if b"cache-control" not in given:
                added.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending


async def _refuse(scope: Scope, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    body = json.dumps({"error": {"code": status, "message": f"{_phrase(status)}: {reason}."}})
    headers = [(b"content-type", b"application/json"), *_HEADERS]
    headers.append((b"content-length", b"%d" % len(body)))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="roc"'))
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase
