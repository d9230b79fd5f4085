"""Connections: one per exchange at a time, kept warm, and closed when anything goes wrong on them.

A *lane* is an httpx transport of its own with one connection. httpx's pool, shared by many, costs more with every idle
connection in it and loses slots when requests are cancelled under load; a lane costs the same for ever.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import TypeAlias, cast

import anyio
import anyio.to_thread
import httpx

__all__ = ["HttpTransport", "Lanes", "TlsContext", "drain"]

HttpTransport: TypeAlias = httpx.AsyncBaseTransport
"""The one seam for HTTP: whatever a user brings must be this."""


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
        self,
        size: int,
        *,
        origin: str,
        idle_for: float,
        tls: TlsContext,
        shared: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._origin = origin
        self._idle_for = idle_for
        self._tls = tls
        self._shared = shared
        self._places = anyio.Semaphore(size, fast_acquire=True)
        self._idle: list[httpx.AsyncBaseTransport] = []

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[httpx.AsyncBaseTransport]:
        """Wait for a lane and hold it. One on which anything went wrong is closed, never put back."""
        async with self._places:
            if self._shared is not None:
                yield self._shared
                return
            lane = self._idle.pop() if self._idle else await self._open()
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

    async def _open(self) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=self._idle_for)
        return httpx.AsyncHTTPTransport(verify=await self._tls.get(self._origin), limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Close the idle lanes."""
        while self._idle:
            await self._idle.pop().aclose()


def _is_spent(lane: httpx.AsyncBaseTransport) -> bool:
    """Return whether more came over a lane than was asked for, so that it may not carry another exchange.

    h11 keeps what comes behind the end of a reply, and takes it for the reply to the next request, which would then get
    the id of another job (RFC 9112, 6.3 and 9.3). httpcore looks at the socket before it uses a connection again, but
    not at what has been read from it already. Neither says so in public: where it cannot be seen, a lane is spent.
    """
    try:
        connections = attrgetter("_pool.connections")(lane)
        return any(attrgetter("_connection._h11_state.trailing_data")(one)[0] for one in connections)
    except AttributeError:
        return True


async def drain(response: httpx.Response, take: Callable[[bytes], None]) -> None:
    """Hand each piece of a reply's body to `take` as it comes over the wire, and close the reply.

    Raises:
        Exception: what the transport or `take` raised.
    """
    refused: Exception | None = None
    try:
        # An asynchronous transport gives an asynchronous stream; httpx's type allows for both.
        async for piece in cast("httpx.AsyncByteStream", response.stream):
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
