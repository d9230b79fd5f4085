"""Polls over a protocol of asyncio's: a fifth of the CPU time of a complete HTTP library, on asyncio only.

For polls alone: they cost nothing, so one whose kept connection turns out to be closed is sent again.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Sequence
from typing import Final, cast
from urllib.parse import urlsplit

import anyio

from ..system.interrupts import interrupts_resent
from .happy_eyeballs import connect_first
from .http_parser import ParsedResponse, ResponseParser
from .tls import LazySSLContext

__all__ = ["AsyncioPolls"]

_TARGET: Final = re.compile(r"/[!-~]*", re.ASCII)
_FIELD: Final = re.compile(r"[!-9;-~]+: [ -~]+", re.ASCII)


class AsyncioPolls:
    """Polls of one origin over kept connections.

    Args:
        origin: the origin.
        timeout: seconds until a poll must be complete.
        tls: the context for https.
        max_connections: maximum number of connections.
        max_bytes: maximum length of a body.
        idle_seconds: seconds that an idle connection is kept.
    """

    def __init__(
        self,
        *,
        origin: str,
        timeout: float,
        tls: LazySSLContext,
        max_connections: int,
        max_bytes: int,
        idle_seconds: float,
    ) -> None:
        self._origin = urlsplit(origin)
        self._timeout = timeout
        self._tls = tls
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._permits = anyio.Semaphore(max_connections, fast_acquire=True)
        self._idle: list[_Connection] = []
        self.closed = False
        """Whether no more polls may be begun."""
        self._deadlines: deque[tuple[float, _Connection, int]] = deque()
        """When each exchange on a kept connection must be complete, with its number there; the earliest is first."""
        self._timer: asyncio.TimerHandle | None = None
        self._fields: Sequence[tuple[str, str]] = ()
        self._encoded_fields = b""

    async def get(self, path: str, fields: Sequence[tuple[str, str]]) -> ParsedResponse:
        """Get a path on the origin.

        Args:
            path: absolute, already quoted.
            fields: the header fields. The same sequence is encoded once.

        Raises:
            NotPlain: the response is for a complete HTTP library to read.
            BodyTooLarge: its body is too long.
            TimeoutError: no complete response came in time.
            OSError: no connection was made, or it was closed.
            ValueError: a path or a field has a character that it must not have.
        """
        if _TARGET.fullmatch(path) is None:
            raise ValueError("a path with a blank or a control character")
        if fields is not self._fields:
            self._encoded_fields, self._fields = _encode(fields), fields
        request = b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode("ascii"), self._encoded_fields)
        async with self._permits:
            loop = asyncio.get_running_loop()
            now = loop.time()
            connection = self._kept(now)
            if connection is not None:
                try:
                    future = connection.send(request, loop)
                    self._set_deadline(now + self._timeout, connection, loop)
                    return await self._response(future, connection, loop)
                except ConnectionError:
                    if connection.has_answered:
                        raise
                    # The server closed it while it was idle, or as the request was on its way.
            with anyio.fail_after(now + self._timeout - loop.time()):
                connection = await self._connect()
                return await self._response(connection.send(request, loop), connection, loop)

    async def _response(
        self, future: asyncio.Future[ParsedResponse], connection: _Connection, loop: asyncio.AbstractEventLoop
    ) -> ParsedResponse:
        try:
            response = await future
        except BaseException:
            connection.abort()
            raise
        if self.closed:
            connection.abort()
        elif not connection.closed:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        return response

    def _kept(self, now: float) -> _Connection | None:
        """Return the connection that was used last, if it may be used again."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since > now - self._idle_seconds:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        host, is_tls = self._origin.hostname or "", self._origin.scheme == "https"
        port = self._origin.port or (443 if is_tls else 80)
        context: ssl.SSLContext | None = await self._tls.get(self._origin.geturl()) if is_tls else None
        loop = asyncio.get_running_loop()

        async def connect(address: str) -> _Connection:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._max_bytes),
                address,
                port,
                ssl=context,
                server_hostname=host if context else None,
            )
            return connection

        with interrupts_resent():
            return await connect_first(host, port, connect, close=_Connection.aclose)

    def _set_deadline(self, at: float, connection: _Connection, loop: asyncio.AbstractEventLoop) -> None:
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
        """Close the idle connections, and each of the others once its poll has ended."""
        self.closed = True
        while self._idle:
            self._idle.pop().abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # The event loop closes their sockets in its next round, and it may be closed after this one.
        await asyncio.sleep(0)


def _encode(fields: Sequence[tuple[str, str]]) -> bytes:
    lines = [f"{name}: {value}" for name, value in fields]
    if not all(map(_FIELD.fullmatch, lines)):
        raise ValueError("a header field with a control character")  # it may hold the key: it is not repeated
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


class _Connection(asyncio.Protocol):
    """A connection for one exchange at a time.

    Attributes:
        number: how many exchanges it has begun.
        closed: whether it must not be used again.
        idle_since: when its last exchange ended, by the event loop's clock.
    """

    __slots__ = ("_future", "_parser", "_transport", "closed", "idle_since", "number")

    def __init__(self, max_bytes: int) -> None:
        self._parser = ResponseParser(max_bytes)
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[ParsedResponse] | None = None
        self.number = 0
        self.closed = False
        self.idle_since = 0.0

    @property
    def has_answered(self) -> bool:
        """Whether any byte of a response to the last request has arrived."""
        return self._parser.has_begun

    def is_waiting(self, number: int) -> bool:
        """Return whether an exchange, by its number, has no response yet."""
        return self._future is not None and self.number == number

    def send(self, request: bytes, loop: asyncio.AbstractEventLoop) -> asyncio.Future[ParsedResponse]:
        """Send a request, and return the future of its response."""
        future: asyncio.Future[ParsedResponse] = loop.create_future()
        if self._transport is None or self.closed:
            future.set_exception(ConnectionResetError("the connection is closed"))
        else:
            self._future, self.number = future, self.number + 1
            self._transport.write(request)
        return future

    def fail(self, error: Exception) -> None:
        """End the exchange with an error, and close the connection."""
        future = self._future
        self.abort()
        if future is not None and not future.done():
            future.set_exception(error)

    def abort(self) -> None:
        """Close the connection at once."""
        self.closed, self._future = True, None
        if self._transport is not None:
            self._transport.abort()

    async def aclose(self) -> None:
        """Close a connection that is not needed."""
        self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # a protocol of streams gets no other kind

    def data_received(self, data: bytes) -> None:
        future = self._future
        if future is None:  # an answer to nothing that was asked
            self.abort()
            return
        try:
            response = self._parser.feed(data)
        except Exception as error:  # noqa: BLE001 - NotPlain or BodyTooLarge, and it must not end in the event loop
            self.fail(error)
            return
        if response is not None:
            self._future = None
            if response.is_last:
                self.abort()
            if not future.done():
                future.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        problem = "the connection was closed before the response was complete"
        self.fail(exc if isinstance(exc, OSError) else ConnectionResetError(problem))
