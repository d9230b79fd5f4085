"""Keep-alive connections, each used by one exchange at a time and discarded on error.

Each is a bare connection of httpcore's: httpx and httpcore's own pool would take a quarter of the CPU time of a poll.
That pool also costs more with every idle connection in it, and loses slots when requests are cancelled under load; the
cost of a connection here is constant.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Final, Protocol, TypeAlias, cast

import anyio
import httpcore
import httpx

from .happy_eyeballs import Connector
from .tls import LazySSLContext

__all__ = ["Connection", "ConnectionPool", "HttpTransport", "has_leftover", "read_body"]

HttpTransport: TypeAlias = httpx.AsyncBaseTransport
"""The interface of a transport that a user passes in."""

_NO_TIMEOUTS: Final = dict.fromkeys(("connect", "read", "write", "pool"))
"""An exchange has one deadline, so no transport needs a timer for each of its steps."""


class Connection(Protocol):
    """A connection for one exchange at a time."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return the response once its headers are received."""
        ...


class ConnectionPool:
    """Connections to one origin, each used by one exchange at a time, the most recently used first.

    Args:
        size: maximum number of connections.
        origin: the origin.
        idle_seconds: seconds that an idle one is kept.
        tls: the context for all of them.
        shared: a transport of the user's that carries everything instead, and is not closed here.
    """

    def __init__(
        self, size: int, *, origin: str, idle_seconds: float, tls: LazySSLContext, shared: HttpTransport | None
    ) -> None:
        self._origin = origin
        self._idle_seconds = idle_seconds
        self._tls = tls
        self._shared = None if shared is None else _HttpxAdapter(shared)
        self._permits = anyio.Semaphore(size, fast_acquire=True)
        self._idle: list[httpcore.AsyncHTTPConnection] = []

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[Connection]:
        """Wait for a connection and hold it. After an error it is closed, never reused."""
        async with self._permits:
            if self._shared is not None:
                yield self._shared
                return
            connection = await self._reuse_or_open()
            try:
                yield connection
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await connection.aclose()
                raise
            if has_leftover(connection):
                await connection.aclose()
            else:
                self._idle.append(connection)

    async def _reuse_or_open(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed() and not connection.has_expired():
                return connection
            await connection.aclose()
        tls, origin = await self._tls.get(self._origin), httpcore.URL(self._origin).origin
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=tls, keepalive_expiry=self._idle_seconds, network_backend=Connector()
        )

    async def aclose(self) -> None:
        """Close the idle connections."""
        while self._idle:
            await self._idle.pop().aclose()


class _HttpxAdapter:
    """Adapts a transport of the user's, which takes requests of httpx."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        target = request.url
        url = httpx.URL(
            scheme=target.scheme.decode(), host=target.host.decode(), port=target.port, raw_path=target.target
        )
        content = b"".join([piece async for piece in cast("AsyncIterable[bytes]", request.stream)])
        extensions = cast("Mapping[str, object]", request.extensions)  # pyright: ignore[reportUnknownMemberType]
        response = await self._transport.handle_async_request(
            httpx.Request(
                request.method.decode(),
                url,
                headers=request.headers,
                content=content or None,
                extensions={"timeout": _NO_TIMEOUTS, **extensions},
            )
        )
        stream = cast("httpx.AsyncByteStream", response.stream)
        return httpcore.Response(response.status_code, headers=response.headers.raw, content=stream)


def has_leftover(connection: httpcore.AsyncHTTPConnection) -> bool:
    """Return whether a connection holds bytes after the end of its response, and so must not be reused.

    h11 keeps such bytes, and takes them for the response to the next request, which would then get the id of another
    job (RFC 9112, 6.3 and 9.3). httpcore checks the socket before it reuses a connection, but not the bytes that it has
    read already. Neither has a public attribute for them: where the private one is missing, no connection is reused.
    """
    try:
        return bool(attrgetter("_connection._h11_state.trailing_data")(connection)[0])
    except AttributeError:
        return True


async def read_body(response: httpcore.Response | httpx.Response, append: Callable[[bytes], None]) -> None:
    """Pass each piece of a response's body to `append` as it is received, and close the response.

    Raises:
        Exception: one of the transport's or of `append`.
    """
    failure: Exception | None = None
    try:
        # An asynchronous response has an asynchronous stream; the types allow for both.
        async for piece in cast("AsyncIterable[bytes]", response.stream):
            if failure is not None:
                continue  # it was read before the stream was closed, and follows the piece that failed
            try:
                append(piece)
            except Exception as error:  # noqa: BLE001 - raised below, once the stream has ended
                # Abandoned, the stream's generators would be finished by the garbage collector, which trio reports as
                # a leak. Closed here, it ends by itself.
                failure = error
                await response.aclose()
    except Exception:
        if failure is None:
            raise
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    if failure is not None:
        raise failure
