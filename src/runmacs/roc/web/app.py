"""The application: which address is answered by what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from .documents import openapi
from .door import Door
from .guard import Guard
from .hub import Hub
from .metrics import CONTENT_TYPE, metrics
from .pages import Files, is_public, or_page
from .requests import json_answer
from .settings import Settings
from .socket import Page

__all__ = ["make_app"]


def make_app(settings: Settings) -> Guard:
    """An ASGI application that shows one broker."""
    site = _Site(settings)
    told = {HTTPException: _told_as_json}
    app = Starlette(routes=site.routes(), lifespan=site.lifespan, exception_handlers=told)
    return Guard(app, settings, is_public)


async def _told_as_json(request: Request, error: Exception) -> Response:
    """No such address, or not with this method."""
    assert isinstance(error, HTTPException)
    told = {"error": {"code": error.status_code, "message": f"{error.detail}."}}
    answer = json_answer(told, error.status_code)
    answer.headers.update(error.headers or {})
    return answer


class _Site:
    """The answers, and the hub that they come from; it lives as long as the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = Files()
        self._hub: Hub | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        hub = self._hub = Hub(self._settings)
        hub.start()
        try:
            yield
        finally:
            await hub.stop()

    @property
    def hub(self) -> Hub:
        assert self._hub is not None, "the application has not begun"
        return self._hub

    def routes(self) -> list[Route | WebSocketRoute]:
        shell = self._files.shell
        routes: list[Route | WebSocketRoute] = [
            Route("/static/{name:path}", self._files.static),
            Route("/health", self._health),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            WebSocketRoute("/ws", self._websocket),
        ]
        twins = {
            "/": self._overview,
            "/status": self._status,
            "/objects": self._objects,
            "/logs": self._logs,
        }
        for path, twin in twins.items():
            routes.append(Route(path, or_page(shell, twin)))
            routes.append(Route(f"{path if path != '/' else '/overview'}.json", twin))
        return [
            *routes,
            Route("/status/{path:path}", or_page(shell, self._status)),
            Route("/objects/{path:path}", or_page(shell, self._objects)),
            Route("/history/{path:path}", self._history),
            Route("/openrpc/{object_id:path}", self._openrpc),
            Route("/rpc/{object_id:path}", self._rpc, methods=["POST"], name="rpc"),
        ]

    async def _websocket(self, websocket: WebSocket) -> None:
        await Page(self.hub, websocket).run()

    async def _health(self, request: Request) -> Response:
        """200 while the broker answers, else 503; says no more than that."""
        waits = bool(self.hub.objects.waiting)
        return json_answer({"status": "waiting" if waits else "ok"}, 503 if waits else 200)

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(metrics(self.hub), headers={"content-type": CONTENT_TYPE})

    async def _openapi(self, request: Request) -> Response:
        return json_answer(openapi(self._settings))

    async def _overview(self, request: Request) -> Response:
        return await Door(self.hub).overview(request)

    async def _objects(self, request: Request) -> Response:
        return await Door(self.hub).objects(request)

    async def _openrpc(self, request: Request) -> Response:
        return await Door(self.hub).openrpc(request)

    async def _rpc(self, request: Request) -> Response:
        return await Door(self.hub).rpc(request)

    async def _status(self, request: Request) -> Response:
        return await Door(self.hub).status(request)

    async def _history(self, request: Request) -> Response:
        return await Door(self.hub).history(request)

    async def _logs(self, request: Request) -> Response:
        return await Door(self.hub).logs(request)
