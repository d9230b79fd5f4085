"""Connections to the hosts of outputs, kept while a client is open: most outputs of a run come from one host.

httpx's own pool would use a connection again for another name at the same address, whose certificate was never checked,
and after a response that was longer than it said.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from ssl import SSLContext
from typing import Final, TypeAlias, cast

import anyio
import httpcore
import httpx

from .connections import has_leftover

__all__ = ["OutputConnections"]

_IDLE_SECONDS: Final = 15.0
_MAX_IDLE: Final = 16
"""Maximum number of idle connections, to all hosts together."""

_Key: TypeAlias = tuple[str, str, int | None, str]
"""Scheme, host name, port and IP address: a certificate was checked for that name, and the address permitted."""


class OutputConnections:
    """Keeps connections for further outputs of the same hosts, as long as `keeping` is entered."""

    def __init__(self) -> None:
        self._idle: list[tuple[_Key, httpcore.AsyncHTTPConnection]] = []
        self._keeps = False

    @asynccontextmanager
    async def keeping(self) -> AsyncGenerator[None]:
        """Keep connections; at the end, the idle ones are closed."""
        self._keeps = True
        try:
            yield
        finally:
            self._keeps = False
            with anyio.CancelScope(shield=True):
                while self._idle:
                    await self._idle.pop()[1].aclose()

    @asynccontextmanager
    async def exchange(self, tls: SSLContext) -> AsyncGenerator[httpx.AsyncBaseTransport]:
        """Yield a transport for one request and its response, which is closed before this is left."""
        transport = _Exchange(self, tls)
        try:
            yield transport
        finally:
            with anyio.CancelScope(shield=True):
                await self._release(transport)

    def take(self, key: _Key) -> httpcore.AsyncHTTPConnection | None:
        """Return an idle connection, the most recently used first, or None."""
        for at in reversed(range(len(self._idle))):
            if self._idle[at][0] == key:
                return self._idle.pop(at)[1]
        return None

    async def _release(self, transport: _Exchange) -> None:
        if transport.held is None:
            return
        key, connection = transport.held
        if not self._keeps or not connection.is_idle() or has_leftover(connection):
            await connection.aclose()
            return
        self._idle.append((key, connection))
        if len(self._idle) > _MAX_IDLE:
            await self._idle.pop(0)[1].aclose()


class _Exchange(httpx.AsyncBaseTransport):
    """Sends a request to the IP address in its URL, over a kept connection or a new one.

    Attributes:
        held: the connection of the last request.
    """

    def __init__(self, connections: OutputConnections, tls: SSLContext) -> None:
        self._connections = connections
        self._tls = tls
        self.held: tuple[_Key, httpcore.AsyncHTTPConnection] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url, name = request.url, str(request.extensions.get("sni_hostname", ""))
        key = (url.scheme, name, url.port, url.host)
        while (kept := self._connections.take(key)) is not None:
            self.held = key, kept
            try:
                if not kept.is_closed() and not kept.has_expired():
                    return await _send(kept, request)
            except (httpx.NetworkError, httpx.RemoteProtocolError):
                pass  # its server has closed it meanwhile: a GET may be repeated
            await kept.aclose()
        origin = httpcore.Origin(url.raw_scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80))
        connection = httpcore.AsyncHTTPConnection(origin, ssl_context=self._tls, keepalive_expiry=_IDLE_SECONDS)
        self.held = key, connection
        return await _send(connection, request)


async def _send(connection: httpcore.AsyncHTTPConnection, request: httpx.Request) -> httpx.Response:
    url = request.url
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    with _as_httpx():
        response = await connection.handle_async_request(
            httpcore.Request(request.method, target, headers=request.headers.raw, extensions=request.extensions)
        )
    return httpx.Response(response.status, headers=response.headers, stream=_Body(response))


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for piece in cast("AsyncIterator[bytes]", self._response.stream):
                yield piece

    async def aclose(self) -> None:
        with _as_httpx():
            await self._response.aclose()


@contextmanager
def _as_httpx() -> Generator[None]:
    """Raise httpx's errors in the place of httpcore's, which have the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        kind: type[httpx.TransportError] = getattr(httpx, type(error).__name__, httpx.TransportError)
        raise kind(str(error)) from error
    except httpcore.ConnectionNotAvailable as error:
        raise httpx.RemoteProtocolError("The connection was closed") from error
