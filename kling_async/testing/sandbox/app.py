"""The sandbox as an ASGI application, for a server or for `httpx.ASGITransport`, on asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from ...effects.clock import Clock, SystemClock
from .desk import Desk
from .http import Answer, Ending, Request, text
from .media import Assets
from .state import Sandbox

__all__ = ["SandboxApp"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LONGEST_BODY = 4 * 1024 * 1024


@cache
def _assets() -> Assets:
    here = files("kling_async.testing.sandbox")
    return Assets(clip=(here / "clip.mp4").read_bytes(), still=(here / "still.jpg").read_bytes())


class SandboxApp:
    """Serve a sandbox over ASGI.

    A connection that breaks is a ConnectionResetError when nobody gave `cut`, and `httpx.ASGITransport` hands that on.

    Args:
        sandbox: what to serve.
        clock: whose time it lives in.
        cut: breaks the connection of a scope; servers give it.
    """

    def __init__(
        self, sandbox: Sandbox, clock: Clock | None = None, *, cut: Callable[[Scope], None] | None = None
    ) -> None:
        self.sandbox = sandbox
        self._clock = clock or SystemClock()
        self._cut = cut
        self._desk = Desk(sandbox, _assets())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3)."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the sandbox speaks http only, not {scope['type']}")
        body = await _read(receive)
        if body is None:
            await _send(send, text("The body is too long.\n", status=413))
            return
        answer = self._desk.answer(self._request(scope, body))
        if answer.at is not None:
            await self._clock.sleep(answer.at - self._clock.now())
        if answer.ending is Ending.WHOLE:
            await _send(send, answer)
        elif answer.ending is Ending.CUT:
            await self._break(scope, receive, send, answer)
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

    async def _break(self, scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
        if self._cut is None:
            raise ConnectionResetError("the sandbox dropped the connection")
        if answer.body:
            await send(_head(answer))
            await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        self._cut(scope)
        await _until_gone(receive)


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, or None when it is too long; read to its end, so that the sender hears the answer."""
    body, length = bytearray(), 0
    while True:
        message = await receive()
        piece: bytes = message.get("body", b"")
        length += len(piece)
        if length <= _LONGEST_BODY:
            body += piece
        if not message.get("more_body", False):
            return bytes(body) if length <= _LONGEST_BODY else None


async def _send(send: Send, answer: Answer) -> None:
    await send(_head(answer))
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _head(answer: Answer) -> MutableMapping[str, Any]:
    length = len(answer.body) if answer.length is None else answer.length
    headers = {**answer.headers, "content-length": str(length)}
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": answer.status, "headers": pairs}


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
