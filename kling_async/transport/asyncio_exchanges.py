"""Requests over a protocol of asyncio's: a fifth of the CPU time of a complete HTTP library, on asyncio only.

Theory of operation. A response in the usual form is parsed by `http_parser`, any other one by h11, which reads it from
its first byte on. A request that may be repeated is sent again if its kept connection turns out to be closed. One that
must not be is sent over a kept connection only if nothing has arrived there, its end included.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import anyio

from ..system.interrupts import interrupts_resent
from ..types.http import HeaderLines, HttpRequest
from .exchange_connection import ExchangeConnection
from .exchanges import HeaderFields, RawResponse, SendTrace, body_fields
from .happy_eyeballs import connect_first
from .http_parser import ParsedResponse
from .tls import LazySSLContext

__all__ = ["AsyncioExchanges"]

_TARGET: Final = re.compile(r"/[!-~]*", re.ASCII)
_FIELD: Final = re.compile(r"[!-9;-~]+: [ -~]+", re.ASCII)


class AsyncioExchanges:
    """Sends requests to one origin over kept connections.

    Args:
        origin: the origin.
        tls: the context for https.
        max_connections: maximum number of connections.
        max_bytes: maximum length of a body.
        idle_seconds: seconds that an idle connection is kept.
        redact: removes the API key from a text.
    """

    def __init__(
        self,
        *,
        origin: str,
        tls: LazySSLContext,
        max_connections: int,
        max_bytes: int,
        idle_seconds: float,
        redact: Callable[[str], str],
    ) -> None:
        self._origin = urlsplit(origin)
        self._tls = tls
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._redact = redact
        self._permits = anyio.Semaphore(max_connections, fast_acquire=True)
        self._idle: list[ExchangeConnection] = []
        self._closed = False
        self._deadlines: deque[tuple[float, ExchangeConnection, int]] = deque()
        """When each exchange on a kept connection must be complete, with its number there; the earliest is first."""
        self._timer: asyncio.TimerHandle | None = None
        self._fields: HeaderFields = ()
        self._encoded_fields = b""

    async def send(
        self, request: HttpRequest, fields: HeaderFields, *, max_seconds: float, trace: SendTrace | None
    ) -> RawResponse:
        """Send a request and return its response, as `Exchanges` says.

        Raises:
            OSError: no connection was made, or it was closed.
            ValueError: the path or a field has a character that it must not have.
            h11.RemoteProtocolError: the response is malformed.
        """
        if trace is not None:
            trace.reported = True
        data = self._encode(request, fields)
        async with self._permits:
            if trace is None:
                parsed = await self._repeatable(data, max_seconds)
            else:
                parsed = await self._once(data, max_seconds, trace)
        headers = HeaderLines(parsed.head, redact=self._redact)
        return RawResponse(parsed.status, headers, parsed.body, parsed.is_encoded)

    async def _repeatable(self, data: bytes, max_seconds: float) -> ParsedResponse:
        loop = asyncio.get_running_loop()
        now = loop.time()
        connection = self._kept(now)
        if connection is not None:
            try:
                future = connection.send(data, loop)
                self._set_deadline(now + max_seconds, connection, loop)
                return await self._response(future, connection, loop)
            except ConnectionError:
                if connection.has_answered:
                    raise
                # The server closed it while it was idle, or as the request was on its way.
        with anyio.fail_after(now + max_seconds - loop.time()):
            connection = await self._connect()
            return await self._response(connection.send(data, loop), connection, loop)

    async def _once(self, data: bytes, max_seconds: float, trace: SendTrace) -> ParsedResponse:
        loop = asyncio.get_running_loop()
        trace.check()  # before it takes time to connect
        with anyio.fail_after(max_seconds):
            connection = self._kept(loop.time(), unread=False) or await self._connect()
            try:
                connection.require_open()
                trace.begin()
            except BaseException:
                connection.abort()
                raise
            return await self._response(connection.send(data, loop), connection, loop)

    def _encode(self, request: HttpRequest, fields: HeaderFields) -> bytes:
        if _TARGET.fullmatch(request.path) is None:
            raise ValueError("a path with a blank or a control character")
        if fields is not self._fields:
            self._encoded_fields, self._fields = _encode(fields), fields
        line = f"{request.method} {request.path} HTTP/1.1\r\n".encode("ascii")
        return b"%b%b%b\r\n%b" % (line, self._encoded_fields, _encode(body_fields(request)), request.body)

    async def _response(
        self, future: asyncio.Future[ParsedResponse], connection: ExchangeConnection, loop: asyncio.AbstractEventLoop
    ) -> ParsedResponse:
        try:
            response = await future
        except BaseException:
            connection.abort()
            raise
        if self._closed or not connection.is_reusable:
            connection.abort()
        else:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        return response

    def _kept(self, now: float, *, unread: bool = True) -> ExchangeConnection | None:
        """Return the connection that was used last, if it may be used again; with bytes to read only if `unread`."""
        while self._idle:
            connection = self._idle.pop()
            is_kept = not connection.closed and connection.idle_since > now - self._idle_seconds
            if is_kept and (unread or not connection.has_unread):
                return connection
            connection.abort()
        return None

    async def _connect(self) -> ExchangeConnection:
        host, is_tls = self._origin.hostname or "", self._origin.scheme == "https"
        port = self._origin.port or (443 if is_tls else 80)
        context: ssl.SSLContext | None = await self._tls.get(self._origin.geturl()) if is_tls else None
        loop = asyncio.get_running_loop()

        async def connect(address: str) -> ExchangeConnection:
            _, connection = await loop.create_connection(
                lambda: ExchangeConnection(self._max_bytes),
                address,
                port,
                ssl=context,
                server_hostname=host if context else None,
            )
            return connection

        with interrupts_resent():
            return await connect_first(host, port, connect, close=ExchangeConnection.aclose)

    def _set_deadline(self, at: float, connection: ExchangeConnection, loop: asyncio.AbstractEventLoop) -> None:
        """End an exchange at a time, by one timer for all: a timer for each would cost a tenth of it."""
        self._remove_ended()
        self._deadlines.append((at, connection, connection.number))
        if self._timer is None:
            self._end_late(loop)

    def _remove_ended(self) -> None:
        deadlines = self._deadlines
        while deadlines and not deadlines[0][1].is_waiting(deadlines[0][2]):
            deadlines.popleft()

    def _end_late(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the exchanges that are late, and set the timer to the deadline of the next one."""
        self._remove_ended()
        while self._deadlines and self._deadlines[0][0] <= loop.time():
            self._deadlines.popleft()[1].fail(TimeoutError())
            self._remove_ended()
        self._timer = loop.call_at(self._deadlines[0][0], self._end_late, loop) if self._deadlines else None

    async def aclose(self) -> None:
        """Close the idle connections, and each of the others once its exchange has ended."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # The event loop closes their sockets in its next round, and it may be closed after this one.
        await asyncio.sleep(0)


def _encode(fields: HeaderFields) -> bytes:
    lines = [f"{name}: {value}" for name, value in fields]
    if not all(map(_FIELD.fullmatch, lines)):
        raise ValueError("a header field with a control character")  # it may hold the key: it is not repeated
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
