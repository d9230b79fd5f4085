"""An ASGI application that receives webhooks, to be mounted in an app of Starlette or FastAPI, or served by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from ..runtime.webhooks import WebhookReceiver
from ..types.webhooks import WebhookAction, WebhookResult

__all__ = ["app"]

_Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[_Message]]
_Send: TypeAlias = Callable[[_Message], Awaitable[None]]
_App: TypeAlias = Callable[[_Message, _Receive, _Send], Awaitable[None]]


def app(receiver: WebhookReceiver) -> _App:
    """Return an ASGI 3 application that hands each POST to a receiver; the last part of its path names the provider.

    Mount it where `receiver.url` leads, such as `api.mount("/hooks", app(receiver))`. It reads no more of a body than
    the receiver takes, and answers without a body.
    """

    async def serve(scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"webhooks come by http, and not by {scope['type']}")
        await _answer(send, await _handle(receiver, scope, receive))

    return serve


async def _handle(receiver: WebhookReceiver, scope: _Message, receive: _Receive) -> int:
    if scope["method"] != "POST":
        return 405
    body = await _read(scope, receive, receiver.max_bytes)
    if isinstance(body, WebhookResult):
        return body.status
    provider = str(scope["path"]).rstrip("/").rpartition("/")[2]
    return (await receiver.handle(_headers(scope), body, provider=provider)).status


async def _read(scope: _Message, receive: _Receive, max_bytes: int) -> bytes | WebhookResult:
    """Return the body, or the answer to one that is too long or breaks off."""
    too_long = WebhookResult(status=413, action=WebhookAction.REFUSED)
    length = _headers(scope).get("content-length", "")
    if length.isdecimal() and int(length[:20]) > max_bytes:
        return too_long
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return WebhookResult(status=400, action=WebhookAction.REFUSED)
        body += message.get("body", b"")
        if len(body) > max_bytes:
            return too_long
        if not message.get("more_body", False):
            return bytes(body)


def _headers(scope: _Message) -> dict[str, str]:
    pairs: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def _answer(send: _Send, status: int) -> None:
    headers = [(b"content-length", b"0"), *([(b"allow", b"POST")] if status == 405 else [])]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
