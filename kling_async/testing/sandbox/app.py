"""The sandbox as an ASGI application, for a server or for `httpx.ASGITransport`, on asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from ...system.clock import Clock, SystemClock
from .handler import RequestHandler
from .http import Delivery, Request, Response, text_response
from .media import Assets
from .state import Sandbox

__all__ = ["SandboxApp"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_MAX_BODY_BYTES = 128 * 1024 * 1024
"""Enough for the largest upload that is documented with a limit, 100 MB, and for images of 50 MB in base64."""
_MAX_GATEWAY_BYTES = 4 * 1024 * 1024
_GATEWAYS = "/api/"
"""Paths of providers that take media by their URLs only."""


@cache
def _assets() -> Assets:
    here = files("kling_async.testing.sandbox")
    return Assets(clip=(here / "clip.mp4").read_bytes(), still=(here / "still.jpg").read_bytes())


class SandboxApp:
    """Serve a sandbox over ASGI.

    Without `cut` a broken connection is a ConnectionResetError, which `httpx.ASGITransport` raises to its caller.

    Args:
        sandbox: the sandbox.
        clock: its source of time.
        cut: breaks the connection of a scope; servers pass it.
    """

    def __init__(
        self, sandbox: Sandbox, clock: Clock | None = None, *, cut: Callable[[Scope], None] | None = None
    ) -> None:
        self.sandbox = sandbox
        self._clock = clock or SystemClock()
        self._cut = cut
        self._handler = RequestHandler(sandbox, _assets())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the sandbox supports http only, not {scope['type']}")
        body = await _read(receive, _MAX_GATEWAY_BYTES if scope["path"].startswith(_GATEWAYS) else _MAX_BODY_BYTES)
        if body is None:
            await _send(send, text_response("The body is too long.\n", status=413))
            return
        response = self._handler.handle(self._request(scope, body))
        if response.at is not None:
            await self._clock.sleep(response.at - self._clock.now())
        if response.delivery is Delivery.COMPLETE:
            await _send(send, response)
        elif response.delivery is Delivery.CUT:
            await self._break(scope, receive, send, response)
        else:
            await _until_gone(receive)

    def _request(self, scope: Scope, body: bytes) -> Request:
        pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}
        host = headers.get("host") or ":".join(map(str, scope.get("server") or ("localhost",)))
        return Request(
            method=scope["method"],
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=headers,
            body=body,
            origin=f"{scope.get('scheme', 'http')}://{host}",
            now=self._clock.now(),
            utc=self._clock.utc(),
        )

    async def _break(self, scope: Scope, receive: Receive, send: Send, response: Response) -> None:
        if self._cut is None:
            raise ConnectionResetError("the sandbox dropped the connection")
        if response.body:
            await send(_head(response))
            await send(
                {"type": "http.response.body", "body": response.body[: len(response.body) // 2], "more_body": True}
            )
        self._cut(scope)
        await _until_gone(receive)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Return the complete body, or None if it is too long; read to its end, so that the sender gets the response."""
    body, length = bytearray(), 0
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        length += len(piece)
        if length <= limit:
            body += piece
        if not message.get("more_body", False):
            return bytes(body) if length <= limit else None


async def _send(send: Send, response: Response) -> None:
    await send(_head(response))
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


def _head(response: Response) -> MutableMapping[str, Any]:
    length = len(response.body) if response.length is None else response.length
    headers = {**response.headers, "content-length": str(length)}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": response.status, "headers": pairs}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
