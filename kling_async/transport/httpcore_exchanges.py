"""Requests over httpcore, on any event loop, or over a transport of the user's."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import httpcore

from ..system.interrupts import interrupts_resent
from ..types.http import HttpRequest, join_fields
from .connections import ConnectionPool, read_body
from .exchanges import HeaderFields, RawResponse, SendTrace, body_fields
from .http_parser import BodyTooLarge

__all__ = ["HttpcoreExchanges"]


class HttpcoreExchanges:
    """Sends requests to one origin over httpcore.

    Args:
        origin: the origin.
        pool: its connections.
        max_bytes: maximum length of a response, also after decompression.
        redact: removes the API key from a text.
    """

    def __init__(self, *, origin: str, pool: ConnectionPool, max_bytes: int, redact: Callable[[str], str]) -> None:
        self._target = httpcore.URL(origin)
        self._pool = pool
        self._max_bytes = max_bytes
        self._redact = redact
        self._fields: HeaderFields = ()
        self._encoded_fields: list[tuple[bytes, bytes]] = []

    async def send(
        self, request: HttpRequest, fields: HeaderFields, *, max_seconds: float, trace: SendTrace | None
    ) -> RawResponse:
        async with self._pool.acquire() as connection:
            if trace is not None:
                trace.check()  # a transport of the user's may report nothing
            # Read time-outs never fire on a trickle, nor on endless 1xx responses: the exchange has one deadline.
            with anyio.fail_after(max_seconds), interrupts_resent():
                response = await connection.handle_async_request(self._build(request, fields, trace))
                body = _ResponseBody(self._max_bytes)
                await read_body(response, body.add)
                headers = join_fields(
                    (name.decode("latin-1"), self._redact(value.decode("latin-1"))) for name, value in response.headers
                )
                is_encoded = headers.get("content-encoding", "identity") != "identity"
                return RawResponse(response.status, headers, bytes(body), is_encoded)

    def _build(self, request: HttpRequest, fields: HeaderFields, trace: SendTrace | None) -> httpcore.Request:
        """Build a request to the origin."""
        origin, path = self._target, request.path.encode("ascii")
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=path)
        if fields is not self._fields:
            self._encoded_fields, self._fields = [*map(_encode, fields)], fields
        # A trace costs a tenth of the CPU time of a request.
        return httpcore.Request(
            request.method,
            url,
            headers=[*self._encoded_fields, *map(_encode, body_fields(request))],
            content=request.body or None,
            extensions={} if trace is None else {"trace": trace},
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _ResponseBody(bytearray):
    """The body of a response, of bounded length in bytes."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def add(self, piece: bytes) -> None:
        self.extend(piece)
        if len(self) > self._max_bytes:
            raise BodyTooLarge(f"more than {self._max_bytes} bytes")


def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    return name.encode("ascii"), value.encode("ascii")
