"""Requests to a provider's API over httpx: who gets the key, what is read at most, and whether a byte left.

Theory of operation. One connection is a *lane*: an httpx transport of its own, taken for one exchange and put back.
httpx's pool, shared by many, costs more with every idle connection in it and loses slots when requests are cancelled
under load; a lane costs the same for ever. Submissions and polls have lanes of their own, so neither waits for the
other.

Whether a submission may be repeated hangs on whether any byte of it left. httpcore reports when it starts to write a
request; before that event nothing left, after it the provider may be at work. A transport that reports nothing proves
nothing, and then a lost answer counts as lost.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final, TypeAlias, cast

import anyio
import anyio.to_thread
import httpx

from ..errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from ..wire import MOST_BYTES, HttpReply, HttpRequest
from .credentials import Credential

__all__ = ["SUBMIT_LANES", "HttpTransport", "Lanes", "TlsContext", "Transport", "drain"]

HttpTransport: TypeAlias = httpx.AsyncBaseTransport
"""The one seam for HTTP: whatever a user brings must be this."""

SUBMIT_LANES: Final = 8
"""Submissions on their way at once: also the most that can be left unconfirmed by one crash."""
_POLL_LANES: Final = 16
_SUBMIT_IDLE_FOR: Final = 2.0
"""Seconds that an idle submit connection is kept: a reused one that the server has just closed loses an answer."""
_POLL_IDLE_FOR: Final = 30.0
_USER_AGENT: Final = f"kling-async/{version('kling-async')}"


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
    """A number of connections to one origin, each taken by one exchange at a time, the warmest first."""

    def __init__(
        self, size: int, *, origin: str, idle_for: float, tls: TlsContext, shared: httpx.AsyncBaseTransport | None
    ) -> None:
        self._origin = origin
        self._idle_for = idle_for
        self._tls = tls
        self._shared = shared
        self._places = anyio.Semaphore(size)
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
            self._idle.append(lane)

    async def _open(self) -> httpx.AsyncBaseTransport:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=self._idle_for)
        return httpx.AsyncHTTPTransport(verify=await self._tls.get(self._origin), limits=limits, trust_env=False)

    async def aclose(self) -> None:
        """Close the idle lanes."""
        while self._idle:
            await self._idle.pop().aclose()


class _Trail:
    """What httpcore reported of one exchange."""

    def __init__(self) -> None:
        self.watched = False
        self.left = False

    async def __call__(self, event: str, _: object) -> None:
        self.watched = True
        if event.endswith(".send_request_headers.started"):
            self.left = True

    @property
    def nothing_left(self) -> bool:
        return self.watched and not self.left


class _TooLong(Exception):
    """The reply is longer than what is read."""


async def drain(response: httpx.Response, take: Callable[[bytes], None]) -> None:
    """Hand each piece of a reply's body to `take` as it comes over the wire, and close the reply.

    Raises:
        Exception: what the transport or `take` raised.
    """
    refused: Exception | None = None
    try:
        # An asynchronous transport gives an asynchronous stream; httpx's type allows for both.
        async for piece in cast("httpx.AsyncByteStream", response.stream):
            try:
                take(piece)
            except Exception as error:  # noqa: BLE001 - raised below, once the stream has ended
                # Left in the middle, the stream's generators would be finished by the garbage collector, which trio
                # calls a leak. Closed here, it ends by itself.
                refused = refused or error
                await response.aclose()
    except Exception:
        if refused is None:
            raise
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    if refused is not None:
        raise refused


class Transport:
    """Carries requests to one provider's origin, and nothing anywhere else."""

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        timeout: float,
        tls: TlsContext,
        shared: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._provider = provider
        self._credential = credential
        self._timeout = timeout
        origin = credential.origin
        self._submits = Lanes(SUBMIT_LANES, origin=origin, idle_for=_SUBMIT_IDLE_FOR, tls=tls, shared=shared)
        self._polls = Lanes(_POLL_LANES, origin=origin, idle_for=_POLL_IDLE_FOR, tls=tls, shared=shared)

    async def submit(self, request: HttpRequest) -> HttpReply:
        """Send a request that costs money, once.

        Raises:
            NotSent: no byte of it left.
            AnswerLost: it may have arrived, and no whole reply came by the deadline.
        """
        return await self._send(request, self._submits)

    async def poll(self, request: HttpRequest) -> HttpReply:
        """Send a request that changes nothing.

        Raises:
            NotSent: no byte of it left.
            ProviderUnavailable: no whole reply came by the deadline.
            UnexpectedReply: the reply is too long to be read.
        """
        try:
            return await self._send(request, self._polls)
        except AnswerLost as error:
            kind = UnexpectedReply if isinstance(error.__cause__, _TooLong) else ProviderUnavailable
            raise kind(error.message, provider=self._provider) from error.__cause__

    async def _send(self, request: HttpRequest, lanes: Lanes) -> HttpReply:
        trail = _Trail()
        try:
            async with lanes.take() as lane:
                # Read time-outs never fire on a trickle, nor on endless 1xx replies: the exchange has one deadline.
                with anyio.fail_after(self._timeout):
                    return await self._exchange(lane, request, trail)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the question is the same
            raise self._failure(error, trail) from _bare(error)

    async def _exchange(self, lane: httpx.AsyncBaseTransport, request: HttpRequest, trail: _Trail) -> HttpReply:
        response = await lane.handle_async_request(self._dress(request, trail))
        body = bytearray()

        def take(piece: bytes) -> None:
            body.extend(piece)
            if len(body) > MOST_BYTES:
                raise _TooLong(f"more than {MOST_BYTES} bytes")

        await drain(response, take)
        return HttpReply(
            status=response.status_code,
            headers=dict(response.headers.items()),
            body=self._credential.redact(bytes(body)),
        )

    def _dress(self, request: HttpRequest, trail: _Trail) -> httpx.Request:
        """Give a request its origin, and, last, the key."""
        url = httpx.URL(self._credential.origin).copy_with(raw_path=request.path.encode("ascii"))
        headers = [
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", _USER_AGENT),
            self._credential.header_for(f"{url.scheme}://{url.netloc.decode('ascii')}"),
        ]
        if request.body:
            headers.append(("Content-Type", "application/json"))
        seconds = self._timeout
        waits = {"connect": seconds, "read": seconds, "write": seconds, "pool": None}
        extensions = {"timeout": waits, "trace": trail}
        return httpx.Request(request.method, url, headers=headers, content=request.body or None, extensions=extensions)

    def _failure(self, error: Exception, trail: _Trail) -> KlingError:
        host = self._credential.origin
        if trail.nothing_left:
            reason = _reason(error)
            return NotSent(f"No connection to {host}: {_words(error)}", reason=reason, provider=self._provider)
        if isinstance(error, TimeoutError):
            what = f"No whole answer from {host} within {self._timeout:g} s"
        else:
            what = f"The answer from {host} was lost: {_words(error)}"
        return AnswerLost(what, provider=self._provider)

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._submits.aclose()
        await self._polls.aclose()


def _words(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _reason(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return "timeout"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return "tls"
        if isinstance(seen, socket.gaierror):
            return "dns"
        seen = seen.__cause__ or seen.__context__
    return "refused"


def _bare(error: Exception) -> Exception:
    """Take an error's traceback and causes away: frames below hold the request with its key."""
    error.__traceback__ = None
    error.__cause__ = error.__context__ = None
    return error
