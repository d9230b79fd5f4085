"""Requests to a provider's API over httpcore: who gets the key, what is read at most, and whether a byte left.

Theory of operation. Submissions and polls have lanes of their own, so neither waits for the other. Polls go over
aiohttp where that is installed and the event loop is asyncio's. Submissions never do: it cannot tell a server that hung
up from one that was never reached.

Whether a submission may be repeated hangs on whether any byte of it left. httpcore reports when it starts to write a
request; before that event nothing left, after it the provider may be at work. A transport that reports nothing proves
nothing, and then a lost answer counts as lost.

The key can reach no other origin: the address that a request is sent to is made of the key's own origin, once, and what
a request says of where it goes is only ever a path there.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import anyio
import httpcore
import httpx

from ..errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from ..printable import one_line
from ..wire import MOST_BYTES, HttpReply, HttpRequest
from .credentials import Credential
from .lanes import HttpTransport, Lanes, TlsContext, drain
from .shortcut import Shortcut
from .signals import interrupts_resent

if TYPE_CHECKING:
    from .aiohttp_polls import AiohttpPolls

__all__ = ["Transport"]

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


class _Body(bytearray):
    """The body of a reply, as far as it is read."""

    def take(self, piece: bytes) -> None:
        self.extend(piece)
        if len(self) > MOST_BYTES:
            raise _TooLong(f"more than {MOST_BYTES} bytes")


class Transport:
    """Carries requests to one provider's origin, and nothing anywhere else.

    Args:
        provider: its name, for errors.
        credential: its origin, and the key that goes there.
        timeout: seconds until an exchange has to be over.
        tls: the context for https.
        submit_lanes: submissions on their way at once: also the most that can be left unconfirmed by one crash.
        shared: a transport of the user's that carries everything instead.
    """

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        timeout: float,
        tls: TlsContext,
        submit_lanes: int,
        shared: HttpTransport | None = None,
    ) -> None:
        self._provider = provider
        self._credential = credential
        self._timeout = timeout
        origin = credential.origin
        self._to, url = httpcore.URL(origin), httpx.URL(origin)
        host = url.netloc.decode("ascii")
        named = [("Host", host), *_HEADERS, credential.header_for(f"{url.scheme}://{host}")]
        self._headers = [(name.encode("ascii"), text.encode("ascii")) for name, text in named]
        self._submits = Lanes(submit_lanes, origin=origin, idle_for=_SUBMIT_IDLE_FOR, tls=tls, shared=shared)
        self._polls = Lanes(_POLL_LANES, origin=origin, idle_for=_POLL_IDLE_FOR, tls=tls, shared=shared)
        self._shortcut = Shortcut(
            credential=credential,
            headers=_HEADERS,
            timeout=timeout,
            tls=tls,
            most=_POLL_LANES,
            idle_for=_POLL_IDLE_FOR,
            allowed=shared is None,
        )

    async def submit(self, request: HttpRequest) -> HttpReply:
        """Send a request that costs money, once.

        Raises:
            NotSent: no byte of it left.
            AnswerLost: it may have arrived, and no whole reply came by the deadline.
        """
        trail = _Trail()
        try:
            return await self._send(request, self._submits, trail)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the question is the same
            raise self._failure(error, trail) from self._bare(error)

    async def poll(self, request: HttpRequest) -> HttpReply:
        """Send a request that changes nothing.

        Whether a byte of it left is not asked: it may be sent again in any case, and asking costs a tenth of it.

        Raises:
            ProviderUnavailable: no whole reply came by the deadline.
            UnexpectedReply: the reply is too long to be read.
        """
        try:
            shorter = await self._shortcut.find()
            if shorter is not None:
                return await self._fetch(request, shorter)
            return await self._send(request, self._polls, None)
        except Exception as error:  # noqa: BLE001 - as above
            kind = UnexpectedReply if isinstance(error, _TooLong) else ProviderUnavailable
            raise kind(self._lost(error), provider=self._provider) from self._bare(error)

    async def _send(self, request: HttpRequest, lanes: Lanes, trail: _Trail | None) -> HttpReply:
        async with lanes.take() as lane:
            # Read time-outs never fire on a trickle, nor on endless 1xx replies: the exchange has one deadline.
            with anyio.fail_after(self._timeout), interrupts_resent():
                response = await lane.handle_async_request(self._dress(request, trail))
                body = _Body()
                await drain(response, body.take)
                return self._reply(response.status, _by_name(response.headers), body)

    async def _fetch(self, request: HttpRequest, shorter: AiohttpPolls) -> HttpReply:
        body = _Body()
        status, headers = await shorter.fetch(request.path, body.take)
        return self._reply(status, headers, body)

    def _reply(self, status: int, headers: Mapping[str, str], body: _Body) -> HttpReply:
        redact = self._credential.redact
        # What is packed is redacted where it is unpacked: here that would only break it.
        plain = headers.get("content-encoding", "identity") == "identity"
        return HttpReply(
            status=status,
            headers={name: redact(text) for name, text in headers.items()},
            body=self._credential.redact_bytes(bytes(body)) if plain else bytes(body),
            redact=redact,
        )

    def _dress(self, request: HttpRequest, trail: _Trail | None) -> httpcore.Request:
        """Make a request to the key's own origin; all but its path was made ready before, as that is what costs."""
        to, target = self._to, request.path.encode("ascii")
        url = httpcore.URL(scheme=to.scheme, host=to.host, port=to.port, target=target)
        headers = self._headers
        if request.body:
            headers = [*headers, (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(request.body))]
        extensions = {} if trail is None else {"trace": trail}
        return httpcore.Request(
            request.method, url, headers=headers, content=request.body or None, extensions=extensions
        )

    def _failure(self, error: Exception, trail: _Trail) -> KlingError:
        if trail.nothing_left:
            message = f"No connection to {self._credential.origin}: {self._words(error)}"
            return NotSent(message, reason=_reason(error), provider=self._provider)
        return AnswerLost(self._lost(error), provider=self._provider)

    def _lost(self, error: Exception) -> str:
        host = self._credential.origin
        if isinstance(error, TimeoutError):
            return f"No whole answer from {host} within {self._timeout:g} s"
        return f"The answer from {host} was lost: {self._words(error)}"

    def _words(self, error: Exception) -> str:
        """Return an error's name and words, or those of what it came from: some transports leave their own blank.

        A library shows the line that it cannot read, and in that the peer may say anything.
        """
        words = (one_line(self._credential.redact(str(one)))[:200] for one in _chain(error))
        return ": ".join(filter(None, (type(error).__name__, next(filter(None, words), ""))))

    def _bare(self, error: Exception) -> Exception | None:
        """Take an error's traceback and causes away: frames below hold the request with its key.

        One that repeats the key itself is no cause that may be shown.
        """
        error.__traceback__ = None
        error.__cause__ = error.__context__ = None
        return error if self._credential.redact(shown := repr(error)) == shown else None

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._submits.aclose()
        await self._polls.aclose()
        await self._shortcut.aclose()


def _by_name(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name in lower case; those that come more than once are joined (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _reason(error: BaseException) -> str:
    if isinstance(error, (TimeoutError, httpcore.TimeoutException, httpx.TimeoutException)):
        return "timeout"
    for one in _chain(error):
        if isinstance(one, ssl.SSLError):
            return "tls"
        if isinstance(one, socket.gaierror):
            return "dns"
    return "refused"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
