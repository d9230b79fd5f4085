"""Requests to a provider's API over httpx: who gets the key, what is read at most, and whether a byte left.

Theory of operation. Submissions and polls have lanes of their own, so neither waits for the other. Polls may share a
transport of httpx-aiohttp where that is installed. Submissions never do: it cannot tell a server that hung up from one
that was never reached.

Whether a submission may be repeated hangs on whether any byte of it left. httpcore reports when it starts to write a
request; before that event nothing left, after it the provider may be at work. A transport that reports nothing proves
nothing, and then a lost answer counts as lost.
"""

from __future__ import annotations

import socket
import ssl
from importlib.metadata import version
from typing import Final

import anyio
import httpx

from ..errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from ..wire import MOST_BYTES, HttpReply, HttpRequest
from .credentials import Credential
from .lanes import HttpTransport, Lanes, TlsContext, drain

__all__ = ["SUBMIT_LANES", "Transport"]

SUBMIT_LANES: Final = 8
"""Submissions on their way at once: also the most that can be left unconfirmed by one crash."""
_POLL_LANES: Final = 64
_SUBMIT_IDLE_FOR: Final = 2.0
"""Seconds that an idle submit connection is kept: a reused one that the server has just closed loses an answer."""
_POLL_IDLE_FOR: Final = 30.0
_HEADERS: Final = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"kling-async/{version('kling-async')}"),
)


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


class Transport:
    """Carries requests to one provider's origin, and nothing anywhere else."""

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        timeout: float,
        tls: TlsContext,
        submit_lanes: int = SUBMIT_LANES,
        shared: HttpTransport | None = None,
    ) -> None:
        self._provider = provider
        self._credential = credential
        self._timeout = timeout
        self._waits = {"connect": timeout, "read": timeout, "write": timeout, "pool": None}
        origin = credential.origin
        self._submits = Lanes(submit_lanes, origin=origin, idle_for=_SUBMIT_IDLE_FOR, tls=tls, shared=shared)
        self._polls = Lanes(_POLL_LANES, origin=origin, idle_for=_POLL_IDLE_FOR, tls=tls, shared=shared, pooled=True)

    async def submit(self, request: HttpRequest) -> HttpReply:
        """Send a request that costs money, once.

        Raises:
            NotSent: no byte of it left.
            AnswerLost: it may have arrived, and no whole reply came by the deadline.
        """
        return await self._send(request, self._submits, _Trail())

    async def poll(self, request: HttpRequest) -> HttpReply:
        """Send a request that changes nothing.

        Whether a byte of it left is not asked: it may be sent again in any case, and asking costs a tenth of it.

        Raises:
            ProviderUnavailable: no whole reply came by the deadline.
            UnexpectedReply: the reply is too long to be read.
        """
        try:
            return await self._send(request, self._polls, None)
        except AnswerLost as error:
            kind = UnexpectedReply if isinstance(error.__cause__, _TooLong) else ProviderUnavailable
            raise kind(error.message, provider=self._provider) from error.__cause__

    async def _send(self, request: HttpRequest, lanes: Lanes, trail: _Trail | None) -> HttpReply:
        try:
            async with lanes.take() as lane:
                # Read time-outs never fire on a trickle, nor on endless 1xx replies: the exchange has one deadline.
                with anyio.fail_after(self._timeout):
                    return await self._exchange(lane, request, trail)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the question is the same
            raise self._failure(error, trail) from _bare(error)

    async def _exchange(self, lane: HttpTransport, request: HttpRequest, trail: _Trail | None) -> HttpReply:
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

    def _dress(self, request: HttpRequest, trail: _Trail | None) -> httpx.Request:
        """Give a request its origin, and, last, the key."""
        url = httpx.URL(self._credential.origin + request.path)
        key = self._credential.header_for(f"{url.scheme}://{url.netloc.decode('ascii')}")
        headers = [*_HEADERS, key]
        if request.body:
            headers.append(("Content-Type", "application/json"))
        extensions: dict[str, object] = {"timeout": self._waits}
        if trail is not None:
            extensions["trace"] = trail
        return httpx.Request(request.method, url, headers=headers, content=request.body or None, extensions=extensions)

    def _failure(self, error: Exception, trail: _Trail | None) -> KlingError:
        host = self._credential.origin
        if trail is not None and trail.nothing_left:
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
