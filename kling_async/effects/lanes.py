"""Connections: one per exchange at a time, kept warm, and closed when anything goes wrong on them.

A *lane* is one connection of httpcore's, without a pool and without httpx around it, which take a quarter of the CPU of
a look. A pool, shared by many, costs more with every idle connection in it and loses slots when requests are cancelled
under load; a lane costs the same for ever.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import Final, Protocol, TypeAlias, cast

import anyio
import anyio.to_thread
import httpcore
import httpx

from .connecting import Connector

__all__ = ["HttpTransport", "Lane", "Lanes", "TlsContext", "drain"]

HttpTransport: TypeAlias = httpx.AsyncBaseTransport
"""The one seam for HTTP: whatever a user brings must be this."""

_NO_WAITS: Final = dict.fromkeys(("connect", "read", "write", "pool"))
"""An exchange has one deadline, so no transport needs a timer for each step of it."""


class TlsContext:
    """One TLS context for all lanes, made on first use and off the event loop: it reads a long file of certificates."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._made: ssl.SSLContext | None = None

    async def get(self, origin: str) -> ssl.SSLContext:
        """Return the context for an origin. One for plain http trusts nobody, and costs nothing to make."""
        if origin.startswith("http://"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with self._lock:
            if self._made is None:
                self._made = await anyio.to_thread.run_sync(httpx.create_ssl_context)
            return self._made


class Lane(Protocol):
    """Carries one exchange at a time."""

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request, and return the reply as soon as its headers are there."""
        ...


class Lanes:
    """A number of connections to one origin, each taken by one exchange at a time, the warmest first.

    Args:
        size: how many.
        origin: where they lead.
        idle_for: seconds that an idle one is kept.
        tls: the context for all of them.
        shared: a transport of the user's that carries everything instead, and is not closed here.
    """

    def __init__(
        self, size: int, *, origin: str, idle_for: float, tls: TlsContext, shared: HttpTransport | None
    ) -> None:
        self._origin = origin
        self._idle_for = idle_for
        self._tls = tls
        self._shared = None if shared is None else _Brought(shared)
        self._places = anyio.Semaphore(size, fast_acquire=True)
        self._idle: list[httpcore.AsyncHTTPConnection] = []

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[Lane]:
        """Wait for a lane and hold it. One on which anything went wrong is closed, never put back."""
        async with self._places:
            if self._shared is not None:
                yield self._shared
                return
            lane = await self._warmest()
            try:
                yield lane
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await lane.aclose()
                raise
            if _is_spent(lane):
                await lane.aclose()
            else:
                self._idle.append(lane)

    async def _warmest(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            lane = self._idle.pop()
            if not lane.is_closed() and not lane.has_expired():
                return lane
            await lane.aclose()
        tls, origin = await self._tls.get(self._origin), httpcore.URL(self._origin).origin
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=tls, keepalive_expiry=self._idle_for, network_backend=Connector()
        )

    async def aclose(self) -> None:
        """Close the idle lanes."""
        while self._idle:
            await self._idle.pop().aclose()


class _Brought:
    """A transport of the user's, who gets requests in the words of httpx."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        to = request.url
        url = httpx.URL(scheme=to.scheme.decode(), host=to.host.decode(), port=to.port, raw_path=to.target)
        content = b"".join([piece async for piece in cast("AsyncIterable[bytes]", request.stream)])
        asked = cast("Mapping[str, object]", request.extensions)  # pyright: ignore[reportUnknownMemberType]
        reply = await self._transport.handle_async_request(
            httpx.Request(
                request.method.decode(),
                url,
                headers=request.headers,
                content=content or None,
                extensions={"timeout": _NO_WAITS, **asked},
            )
        )
        stream = cast("httpx.AsyncByteStream", reply.stream)
        return httpcore.Response(reply.status_code, headers=reply.headers.raw, content=stream)


def _is_spent(lane: httpcore.AsyncHTTPConnection) -> bool:
    """Return whether more came over a lane than was asked for, so that it may not carry another exchange.

    h11 keeps what comes behind the end of a reply, and takes it for the reply to the next request, which would then get
    the id of another job (RFC 9112, 6.3 and 9.3). httpcore looks at the socket before it uses a connection again, but
    not at what has been read from it already. Neither says so in public: where it cannot be seen, a lane is spent.
    """
    try:
        return bool(attrgetter("_connection._h11_state.trailing_data")(lane)[0])
    except AttributeError:
        return True


async def drain(response: httpcore.Response | httpx.Response, take: Callable[[bytes], None]) -> None:
    """Hand each piece of a reply's body to `take` as it comes over the wire, and close the reply.

    Raises:
        Exception: what the transport or `take` raised.
    """
    refused: Exception | None = None
    try:
        # What is asynchronous gives an asynchronous stream; the types allow for both.
        async for piece in cast("AsyncIterable[bytes]", response.stream):
            if refused is not None:
                continue  # it was read already when the stream was closed, and belongs behind what was not taken
            try:
                take(piece)
            except Exception as error:  # noqa: BLE001 - raised below, once the stream has ended
                # Left in the middle, the stream's generators would be finished by the garbage collector, which trio
                # calls a leak. Closed here, it ends by itself.
                refused = error
                await response.aclose()
    except Exception:
        if refused is None:
            raise
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    if refused is not None:
        raise refused
