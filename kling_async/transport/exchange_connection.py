"""A connection for asyncio, which sends one request at a time and reads its response."""

from __future__ import annotations

import asyncio
import select
from typing import cast

from .complete_parser import CompleteParser
from .http_parser import NotPlain, ParsedResponse, ResponseParser

__all__ = ["ExchangeConnection"]


class ExchangeConnection(asyncio.Protocol):
    """A connection for one exchange at a time.

    Args:
        max_bytes: maximum length of a body.

    Attributes:
        number: how many exchanges it has begun.
        closed: whether it must not be used again.
        idle_since: when its last exchange ended, by the event loop's clock.
    """

    __slots__ = (
        "_complete",
        "_future",
        "_max_bytes",
        "_parser",
        "_received",
        "_transport",
        "closed",
        "idle_since",
        "number",
    )

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parser = ResponseParser(max_bytes)
        self._complete: CompleteParser | None = None
        self._received: list[bytes] = []
        """The bytes so far of a response that is not complete, should it turn out not to be a plain one."""
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[ParsedResponse] | None = None
        self.number = 0
        self.closed = False
        self.idle_since = 0.0

    @property
    def has_answered(self) -> bool:
        """Whether any byte of a response to the last request has arrived."""
        return self._parser.has_begun or self._complete is not None

    @property
    def is_reusable(self) -> bool:
        """Whether it is open, and the last request was wholly sent."""
        return not self.closed and self._transport is not None and not self._transport.get_write_buffer_size()

    @property
    def has_unread(self) -> bool:
        """Whether its socket has bytes or an end that the event loop has not read yet."""
        return self._transport is None or _is_readable(self._transport.get_extra_info("socket").fileno())

    def require_open(self) -> None:
        """Raise ConnectionResetError if it was closed."""
        if self.closed:
            raise ConnectionResetError("the connection was closed before anything was sent")

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
            response = self._parse(data)
        except Exception as error:  # noqa: BLE001 - it is malformed or too long, and must not end in the event loop
            self.fail(error)
            return
        if response is not None:
            self._future = None
            if response.is_last:
                self.abort()
            if not future.done():
                future.set_result(response)

    def _parse(self, data: bytes) -> ParsedResponse | None:
        """Return the response once it is complete, read by h11 from its first byte on if it is not a plain one."""
        if self._complete is not None:
            return self._complete.feed(data)
        try:
            response = self._parser.feed(data)
        except NotPlain:
            self._complete = CompleteParser(self._max_bytes)
            return self._complete.feed(b"".join((*self._received, data)))
        if response is None:
            self._received.append(data)
        elif self._received:
            self._received.clear()
        return response

    def eof_received(self) -> None:
        """Take the end of the connection, which may be that of a response as well."""
        if self._complete is not None:
            self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        problem = "the connection was closed before the response was complete"
        self.fail(exc if isinstance(exc, OSError) else ConnectionResetError(problem))


def _is_readable(descriptor: int) -> bool:
    """Return whether a socket can be read at once; one that is closed can."""
    if descriptor < 0:
        return True
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([descriptor], [], [], 0)[0])
